"""What the tables say now beside the log, for AuditService: a page of a section. Decides nothing, opens nothing."""

import json
from collections.abc import Callable
from typing import Protocol

from coalition.domain.acts import JSON
from coalition.domain.audit_records import StatePage
from coalition.domain.pages import page_limit, page_token, text_key
from coalition.v1 import audit_pb2


class AuditStateReads(Protocol):
    """Blocking reads of the tables."""

    def page(self, section: str, after: str | None, limit: int) -> StatePage: ...


class AuditState:
    """Blocking, so it is called in a thread. `keys` are the rows of the house's key versions: no table has them."""

    def __init__(self, reads: AuditStateReads, keys: Callable[[], list[list[JSON]]]) -> None:
        self._reads = reads
        self._keys = keys

    def page(self, request: audit_pb2.ListStateRequest) -> audit_pb2.ListStateResponse:
        """The next rows of a section. Raises Refused(FIELD_INVALID, PAGE_TOKEN_INVALID)."""
        section = audit_pb2.StateSection.Name(request.section).removeprefix("STATE_SECTION_").lower()
        scope, limit = f"state/{section}", page_limit(request.page_size)
        after = text_key(scope, request.page_token)
        if request.section == audit_pb2.STATE_SECTION_KEYS:
            page = self._key_page(int(after or 0), limit)
        else:
            page = self._reads.page(section, after, limit)
        return audit_pb2.ListStateResponse(
            rows=page.rows,
            next_page_token="" if page.last_key is None else page_token(scope, page.last_key),
            number=page.number,
        )

    def _key_page(self, begin: int, limit: int) -> StatePage:
        number = self._reads.page("rights", None, 1).number  # first: what the ring tells afterwards is as new
        rows = self._keys()
        last_key = str(begin + limit) if begin + limit < len(rows) else None
        return StatePage([json.dumps(row).encode() for row in rows[begin : begin + limit]], last_key, number)
