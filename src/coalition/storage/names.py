"""What the journal's numbers stand for: codes of participants, stores, terminals, agreements, and labels of windows.

All of these are given once and never change, so what was read once is kept; only an unknown number is asked for again.
"""

from collections.abc import Mapping
from typing import Final

from coalition.domain.accounts import kind_of, parties_of
from coalition.domain.errors import LedgerBroken
from coalition.storage.lease import Cursor

NAMES: Final = """
SELECT 'participant', participant_id, code FROM participants
UNION ALL SELECT 'store', store_id, code FROM stores
UNION ALL SELECT 'terminal', terminal_id, code FROM terminals
UNION ALL SELECT 'agreement', agreement_id, code FROM agreements
UNION ALL SELECT 'window', window_id, c.code || '/' || label FROM windows JOIN calendars c USING (calendar_id)
"""


class Names:
    """Callable from any thread: what is known is replaced as a whole, never changed."""

    def __init__(self) -> None:
        self._known: Mapping[tuple[str, int], str] = {}
        self._accounts: dict[int, str] = {}

    def of(self, cursor: Cursor, kind: str, number: int | None) -> str:
        """The code of the `kind` with this number; empty for None. Raises LedgerBroken for a number nobody has."""
        if number is None:
            return ""
        found = self._known.get((kind, number))
        if found is None:
            self._known = {(row[0], row[1]): row[2] for row in cursor.execute(NAMES).fetchall()}
            found = self._known.get((kind, number))
        if found is None:
            raise LedgerBroken(f"the journal names {kind} {number}, which does not exist")
        return found

    def account(self, cursor: Cursor, number: int) -> str:
        """An account by kind and participant codes: "WALLET", "CLEARING(cafe)", "FLOAT(trust,store-a)"."""
        found = self._accounts.get(number)
        if found is None:
            owners = [self.of(cursor, "participant", party) for party in parties_of(number) if party]
            found = kind_of(number).name + (f"({','.join(owners)})" if owners else "")
            self._accounts[number] = found
        return found
