"""Witness policies as files."""

from pathlib import Path

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.policy import Policy
from coalition.config import SettingInvalid


def read_policy(path: Path) -> Policy:
    """The policy in a file. Raises SettingInvalid with the line to correct."""
    try:
        return Policy.parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, EvidenceMalformed) as error:
        raise SettingInvalid(f"witness policy {path} (setting witness_policy, or --policy): {error}") from None
