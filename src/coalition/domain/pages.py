"""Pages: how long a page of a list may be, and the token that names where the next one begins.

A token is opaque to clients and bound to its list: the key of the last row seen, so rows that come or go meanwhile are
neither skipped nor repeated. It grants nothing; each call asks for permission anew.
"""

import base64
import hashlib
import json
from typing import Final

from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason

PAGE_SIZE_DEFAULT: Final = 50
PAGE_SIZE_MAX: Final = 1000
TOKEN_CHARACTERS_MAX: Final = 512
_MARK_BYTES: Final = 8


def page_limit(page_size: int) -> int:
    """The rows of a page: 0 asks for 50, more than 1,000 gets 1,000 (AIP-158). Raises Refused(FIELD_INVALID)."""
    if page_size < 0:
        raise Refused(Reason.FIELD_INVALID, "page_size", {"expected": "0 to 1000"})
    return min(page_size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


def page_token(scope: str, last_key: str | int) -> str:
    """The token after the row with `last_key` of the list that `scope` names (the list and what narrows it)."""
    key = json.dumps(last_key, ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(_mark(scope, key) + key).rstrip(b"=").decode()


def text_key(scope: str, token: str) -> str | None:
    """The key in a token of a list that is ordered by text; None for the first page (an empty token).

    Raises Refused(PAGE_TOKEN_INVALID) for a token of another list, or none of ours.
    """
    key = _key(scope, token)
    if key is not None and not isinstance(key, str):
        raise Refused(Reason.PAGE_TOKEN_INVALID, "page_token")
    return key


def number_key(scope: str, token: str) -> int | None:
    """The same for a list that is ordered by number."""
    key = _key(scope, token)
    if key is not None and not isinstance(key, int):
        raise Refused(Reason.PAGE_TOKEN_INVALID, "page_token")
    return key


def _key(scope: str, token: str) -> object:
    if not token:
        return None
    content = _content(token)
    mark, key = content[:_MARK_BYTES], content[_MARK_BYTES:]
    if mark != _mark(scope, key):
        raise Refused(Reason.PAGE_TOKEN_INVALID, "page_token")
    return json.loads(key)


def _content(token: str) -> bytes:
    """The bytes of a token; empty for what is none, and nothing has the mark of that."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        return b""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _mark(scope: str, key: bytes) -> bytes:
    """Tells tokens of other lists and typing errors; it is no signature, as a token grants nothing."""
    return hashlib.sha256(scope.encode() + b"\n" + key).digest()[:_MARK_BYTES]
