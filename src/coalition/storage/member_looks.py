"""What every look at a member runs, as prepared statements: a counter waits for it, and to plan them costs more than to
run them. One round trip each.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from coalition.domain.members import CardLimits, CardRow, MemberFile, MemberRow, SealedRecord
from coalition.storage.arrays import plain_texts, texts, whole_numbers
from coalition.storage.connect import Connection
from coalition.storage.pipeline import Pipeline, pipeline_of

LATEST_RECORDS: Final = """
SELECT DISTINCT ON (r.member_id, r.field_group) r.member_id, r.field_group, r.revision, r.record_id, r.sealed
FROM member_records r
"""
MEMBER: Final = """
SELECT m.member_id, m.wallet_id, m.state, p.code, m.create_time, w.is_named, g.into_member_id
FROM members m JOIN participants p ON p.participant_id = m.recruiter_id JOIN wallets w USING (lane, wallet_id)
    LEFT JOIN member_merges g ON g.member_id = m.member_id
"""
CARD: Final = """
SELECT c.lane, c.card_id, c.wallet_id, c.last_four, c.state, c.replaced_by, p.code, c.kind, c.operation_limit_minor,
       c.day_limit_minor, c.month_limit_minor
FROM cards c JOIN participants p ON p.participant_id = c.issuer_id
"""
MEMBER_NAMED: Final = f"{MEMBER} WHERE m.member_id = %s::uuid"
RECORDS: Final = f"""
{LATEST_RECORDS} WHERE r.member_id = %s::uuid AND r.field_group = ANY(%s::text[])
ORDER BY r.member_id, r.field_group, r.revision DESC
"""
CARDS: Final = f"""
{CARD} WHERE (c.lane, c.wallet_id) = (SELECT lane, wallet_id FROM members WHERE member_id = %s::uuid)
ORDER BY c.state = 'REPLACED', c.card_id LIMIT %s::integer
"""
INDEXED_RECORDS: Final = f"""
{LATEST_RECORDS} JOIN member_indexes i USING (member_id)
WHERE i.field = %s::text AND i.value = ANY(%s::integer[]) AND r.field_group = %s::text
ORDER BY r.member_id, r.field_group, r.revision DESC LIMIT %s::integer
"""
STATES: Final = "SELECT member_id, state FROM members WHERE member_id = ANY(%s::uuid[])"
NOTE: Final = """
INSERT INTO member_acts (member_id, request_id, participant_id)
SELECT unnest(%s::uuid[]), %s::uuid, %s::integer
"""
PREPARED: Final = (MEMBER_NAMED, RECORDS, CARDS, INDEXED_RECORDS, STATES, NOTE)


def read_file(
    connection: Connection, member_id: UUID, field_groups: Iterable[str], cards_max: int
) -> MemberFile | None:
    """A member's row, its latest records of these groups and its cards; one round trip, each of a moment of its own."""
    pipeline = _pipeline(connection)
    member = pipeline.execute(MEMBER_NAMED, (str(member_id),))
    records = pipeline.execute(RECORDS, (str(member_id), texts(field_groups)))
    cards = pipeline.execute(CARDS, (str(member_id), str(cards_max)))
    pipeline.run()
    rows = member.rows()
    if not rows:
        return None
    return MemberFile(MemberRow(*rows[0]), tuple(_sealed_records(records.rows())), tuple(map(card_of, cards.rows())))


def read_records(connection: Connection, member_id: UUID, field_groups: Iterable[str]) -> list[SealedRecord]:
    """A member's latest records of these groups."""
    return _sealed_records(_rows(connection, RECORDS, str(member_id), texts(field_groups)))


def read_indexed(
    connection: Connection, field: str, values: Sequence[int], field_group: str, limit: int
) -> list[SealedRecord]:
    """The latest record of a group of everybody under these blind indexes; `limit` at most."""
    rows = _rows(connection, INDEXED_RECORDS, field, whole_numbers(values), field_group, str(limit))
    return _sealed_records(rows)


def read_states(connection: Connection, member_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """State by member, of those that there are."""
    return dict(_rows(connection, STATES, plain_texts(member_ids)))


def write_note(
    connection: Connection, member_ids: Sequence[UUID], request_id: UUID, participant_id: int
) -> Mapping[UUID, str]:
    """Write down which members the act under this request id is about; their states, of those that there are."""
    pipeline = _pipeline(connection)
    states = pipeline.execute(STATES, (plain_texts(member_ids),))
    pipeline.execute(NOTE, (plain_texts(member_ids), str(request_id), str(participant_id)))
    pipeline.run()
    return dict(states.rows())


def _sealed_records(rows: Iterable[tuple[Any, ...]]) -> list[SealedRecord]:
    """Of rows of LATEST_RECORDS."""
    return [SealedRecord(*row) for row in rows]


def card_of(row: tuple[Any, ...]) -> CardRow:
    """Of a row of CARD, whose last columns are the kind and the limits."""
    lane, card_id, wallet_id, last_four, state, replaced_by, issuer, kind, *limits = row
    return CardRow(lane, card_id, wallet_id, last_four, state, replaced_by, issuer, CardLimits(*limits), kind)


def _pipeline(connection: Connection) -> Pipeline:
    return pipeline_of(connection, PREPARED)


def _rows(connection: Connection, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
    pipeline = _pipeline(connection)
    answer = pipeline.execute(statement, parameters)
    pipeline.run()
    return answer.rows()
