"""Statements that terminals sign at the end of their day, between the rooms and the strongroom."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from coalition.bootstrap.errors import strongroom_errors
from keys import StatementForged, check_statement, load_statement_key, sign_statement

DAY_CLOSE: Final = "day-close"
"""The kind of statement that a terminal signs at the end of its day."""


def signed_by(certificate_pem: bytes, statement: bytes, signature: bytes) -> bool:
    """Whether the key of that certificate signed this as the close of a day."""
    try:
        check_statement(certificate_pem, DAY_CLOSE, statement, signature)
    except StatementForged:
        return False
    return True


def day_signer(key: Path) -> Callable[[bytes], bytes]:
    """Signs closes of a day by the private key of a certificate (PEM). Raises StrongroomRefused, naming the file."""
    with strongroom_errors():
        private_key = load_statement_key(key)
    return lambda statement: sign_statement(private_key, DAY_CLOSE, statement)
