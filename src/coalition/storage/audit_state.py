"""What the tables say now of the subjects that the log tells of: rows as JSON arrays, in pages, for auditors.

Changes nothing. Members' records are told sealed; nothing personal is in clear. docs/audit-log.md has every row.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from coalition.domain.audit_records import StatePage
from coalition.storage.connect import Connection
from coalition.storage.lease import Lease, leased


class Section(NamedTuple):
    """`rows` selects the columns of `keys`, with their types, and the row as JSON; the key columns are an index."""

    keys: tuple[tuple[str, str], ...]
    rows: str


BASE64: Final = "translate(encode({}, 'base64'), E'\\n', '')"
SECTIONS: Final = {
    "agreements": Section(
        (("code", "text"), ("version", "integer")),
        """
        SELECT a.code, v.version,
            json_build_array(a.code, v.version, a.kind, v.effective_from, v.effective_until, v.content)
        FROM agreements a JOIN agreement_versions v USING (agreement_id)
        """,
    ),
    "rights": Section(
        (("place", "text"),),
        """
        SELECT 'participant ' || code, json_build_array('participant', code, state, role, chain_code) FROM participants
        UNION ALL
        SELECT 'store ' || p.code || '/' || s.code, json_build_array('store', p.code || '/' || s.code, s.state)
        FROM stores s JOIN participants p USING (participant_id)
        UNION ALL
        SELECT 'terminal ' || p.code || '/' || s.code || '/' || t.code,
            json_build_array('terminal', p.code || '/' || s.code || '/' || t.code, t.state)
        FROM terminals t JOIN stores s USING (store_id) JOIN participants p USING (participant_id)
        """,
    ),
    "windows": Section(
        (("window_id", "integer"),),
        """
        SELECT w.window_id, json_build_array(c.code, w.label, w.state, w.cut_number, w.netting_entry_id, coalesce((
            SELECT json_agg(json_build_array(n.participant_id, n.unit, n.net_position_minor)
                            ORDER BY n.unit, n.participant_id)
            FROM net_positions n WHERE n.window_id = w.window_id), '[]'))
        FROM windows w JOIN calendars c USING (calendar_id)
        """,
    ),
    "day_closes": Section(
        (("terminal_id", "integer"), ("number", "bigint")),
        f"""
        SELECT terminal_id, number, json_build_array(terminal_id, number, last_entry_id,
            convert_from(statement, 'UTF8'), {BASE64.format("signature")}, convert_from(certificate, 'UTF8'))
        FROM day_closes
        """,
    ),
    "disclosures": Section(
        (("disclosure_id", "uuid"),),
        """
        SELECT disclosure_id,
            json_build_array(disclosure_id, requester, approver, purpose, to_json(field_groups), to_json(member_ids),
                             CASE WHEN recipient_key <> '' THEN encode(sha256(recipient_key), 'hex') END)
        FROM disclosures
        """,
    ),
    "records": Section(
        (("member_id", "uuid"), ("field_group", "text"), ("revision", "integer")),
        f"""
        SELECT member_id, field_group, revision,
            json_build_array(member_id, field_group, revision, record_id, {BASE64.format("sealed")})
        FROM member_records
        """,
    ),
    "seeds": Section(
        (("lane", "smallint"), ("card_id", "bigint")),
        f"""
        SELECT lane, card_id, json_build_array(card_id, record_id, {BASE64.format("sealed")}) FROM device_seeds
        """,
    ),
    "wallets": Section(
        (("lane", "smallint"), ("wallet_id", "bigint")),
        """
        SELECT w.lane, w.wallet_id, json_build_array(w.wallet_id, w.last_entry_id, w.balance_minor, coalesce((
            SELECT json_agg(json_build_array(l.lot_id, l.face, l.principal, l.reserved) ORDER BY l.lot_id)
            FROM lots l WHERE l.lane = w.lane AND l.wallet_id = w.wallet_id AND l.is_open AND l.face > 0), '[]'),
            w.merged_into, coalesce((
            SELECT json_agg(json_build_array(p.pass_id, p.visits, p.principal) ORDER BY p.pass_id)
            FROM passes p WHERE p.lane = w.lane AND p.wallet_id = w.wallet_id AND p.is_open), '[]'), coalesce((
            SELECT json_agg(json_build_array(a.code, o.balance) ORDER BY a.code)
            FROM points o JOIN agreements a ON a.agreement_id = o.programme_id
            WHERE o.lane = w.lane AND o.wallet_id = w.wallet_id AND o.balance <> 0), '[]'))
        FROM wallets w
        """,
    ),
    "members": Section((("member_id", "uuid"),), "SELECT member_id, json_build_array(member_id, state) FROM members"),
    # How many credentials lead to a card by way of its wallet: no token is told.
    "cards": Section(
        (("lane", "smallint"), ("card_id", "bigint")),
        """
        SELECT c.lane, c.card_id, json_build_array(c.card_id, c.kind, c.wallet_id, c.state,
            json_build_array(c.operation_limit_minor, c.day_limit_minor, c.month_limit_minor),
            (SELECT count(*) FROM credentials t WHERE t.wallet_id = c.wallet_id AND t.card_id = c.card_id))
        FROM cards c
        """,
    ),
    "holds": Section(
        (("expire_time", "timestamptz"), ("entry_id", "bigint")),
        """
        SELECT expire_time, entry_id, json_build_array(entry_id, wallet_id, amount_minor,
            (extract(epoch FROM expire_time) * 1000000)::bigint)
        FROM holds WHERE is_open
        """,
    ),
}
"""The first column of a key that is not one column of the table, as of `rights`, makes a small section."""
NEWEST: Final = "SELECT coalesce(max(number), 0) FROM batches WHERE number <= %s"


class AuditStateReads:
    """Callable from any thread. `decided` tells the last journal number up to which every batch is decided."""

    def __init__(self, lease: Lease, decided: Callable[[Connection], int]) -> None:
        self._lease = lease
        self._decided = decided

    def page(self, section: str, after: str | None, limit: int) -> StatePage:
        """The rows of a section behind the key `after`, `limit` at most. Raises FrontierStalled, StoreUnavailable."""
        with leased(self._lease) as connection:
            number = connection.execute(NEWEST, (self._decided(connection),)).fetchall()[0][0]
            rows = connection.execute(*page_of(SECTIONS[section], after, limit)).fetchall()
        last = None if len(rows) < limit else "\n".join(map(str, rows[-1][:-1]))
        return StatePage([row[-1].encode() for row in rows], last, number)


def page_of(section: Section, after: str | None, limit: int) -> tuple[str, tuple[Any, ...]]:
    """The statement of a page and its parameters: the rows behind a key, in the order of the keys."""
    names = ", ".join(name for name, _ in section.keys)
    told = f"SELECT {names}, told::text FROM ({section.rows}) AS found ({names}, told)"
    if after is None:
        return f"{told} ORDER BY {names} LIMIT %s", (limit,)
    values = ", ".join(f"%s::{type_}" for _, type_ in section.keys)
    return f"{told} WHERE ({names}) > ({values}) ORDER BY {names} LIMIT %s", (*after.split("\n"), limit)
