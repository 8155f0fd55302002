"""Keys of lists that are ordered by several codes, as one text in a page token."""

from coalition.domain.errors import Refused
from coalition.domain.pages import page_token, text_key
from coalition.domain.reasons import Reason

SEPARATOR = "/"  # no code and no number has it


def parts_key(scope: str, token: str, count: int) -> tuple[str, ...] | None:
    """The `count` parts of the key in a token; None for the first page. Raises Refused(PAGE_TOKEN_INVALID)."""
    text = text_key(scope, token)
    if text is None:
        return None
    parts = tuple(text.split(SEPARATOR))
    if len(parts) != count:
        raise Refused(Reason.PAGE_TOKEN_INVALID, "page_token")
    return parts


def parts_token(scope: str, *parts: str | int) -> str:
    """The token behind the row with these parts."""
    return page_token(scope, SEPARATOR.join(map(str, parts)))


def whole_part(text: str) -> int:
    """A part that is a number. Raises Refused(PAGE_TOKEN_INVALID)."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(2**31))):
        raise Refused(Reason.PAGE_TOKEN_INVALID, "page_token")
    return int(text)
