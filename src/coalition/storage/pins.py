"""PINs in SQL: tries counted in a transaction of their own, rows held during a batch, a PIN set at the counter.

Whoever locks several rows locks them in (lane, wallet) order, and after the wallets where it locks those too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from coalition.domain.commands import Command, Paying
from coalition.domain.pins import CountedTry, HeldPin, PinRow, count_tries
from coalition.storage.arrays import byte_strings, number_columns
from coalition.storage.journal import requests_columns
from coalition.storage.ledger_credentials import name_of
from coalition.storage.pipeline import Answer, Pipeline

ANSWERED: Final = """
SELECT r.participant_id, r.request_id::text
FROM unnest(%s::smallint[], %s::uuid[], %s::integer[]) AS asked (lane, request_id, participant_id)
JOIN requests r USING (lane, request_id, participant_id)
"""
WALLETS_NAMED: Final = """
SELECT token, lane, wallet_id FROM credentials WHERE token = ANY(%s::bytea[]) AND wallet_id IS NOT NULL
UNION ALL SELECT token, lane, wallet_id FROM pay_tickets WHERE token = ANY(%s::bytea[])
"""
LOCK_PINS: Final = """
SELECT p.lane, p.wallet_id, p.revision, p.tries, p.forgiven, p.salt, p.tag, p.key_version
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN pins p USING (lane, wallet_id)
ORDER BY p.lane, p.wallet_id FOR UPDATE OF p
"""
COUNT_TRIES: Final = """
UPDATE pins p SET tries = new.tries
FROM unnest(%s::smallint[], %s::bigint[], %s::integer[]) AS new (lane, wallet_id, tries)
WHERE p.lane = new.lane AND p.wallet_id = new.wallet_id
"""
FORGIVE_TRIES: Final = """
UPDATE pins p SET forgiven = new.forgiven
FROM unnest(%s::smallint[], %s::bigint[], %s::integer[]) AS new (lane, wallet_id, forgiven)
WHERE p.lane = new.lane AND p.wallet_id = new.wallet_id
"""
SET_PIN: Final = """
INSERT INTO pins (lane, wallet_id, revision, salt, tag, key_version) VALUES (%s, %s, 1, %s, %s, %s)
ON CONFLICT (lane, wallet_id) DO UPDATE SET revision = pins.revision + 1, tries = 0, forgiven = 0,
    salt = excluded.salt, tag = excluded.tag, key_version = excluded.key_version
"""
PREPARED: Final = (ANSWERED, WALLETS_NAMED, LOCK_PINS, COUNT_TRIES, FORGIVE_TRIES)

Key = tuple[int, UUID]
Place = tuple[int, int]


def unanswered(pipeline: Pipeline, lane_count: int, commands: Sequence[Command]) -> set[Key]:
    """Those of `commands` that have no stored answer, in one statement."""
    asked = pipeline.execute(ANSWERED, requests_columns(commands, lane_count))
    pipeline.run()
    return _keys(commands) - _answered(asked)


def count_and_commit(
    pipeline: Pipeline, lane_count: int, known: Mapping[bytes, Place], commands: Sequence[Paying]
) -> dict[Key, CountedTry]:
    """Count a try for each command without a stored answer whose card leads to a wallet, in their order.

    `known` says where credentials lead, (lane, wallet) by their names (see `name_of`); others are looked up. Two round
    trips, one more for those. The row locks are held from the look to the commit: whoever else counts, waits, and sees
    what was counted here.
    """
    pipeline.execute("BEGIN")
    asked = pipeline.execute(ANSWERED, requests_columns(commands, lane_count))
    names = [name_of(each) for each in commands]
    places = {name: known[name] for name in names if name in known}
    strangers = set(names) - places.keys()
    if strangers:
        looked_up = pipeline.execute(WALLETS_NAMED, (byte_strings(strangers),) * 2)
        pipeline.run()
        places |= {token: (lane, wallet_id) for token, lane, wallet_id in looked_up.rows()}
    locked = lock_pins(pipeline, places.values())
    pipeline.run()
    answered = _answered(asked)
    to_count = [
        (_key(command), places[name][1])
        for command, name in zip(commands, names, strict=True)
        if _key(command) not in answered and name in places
    ]
    rows = {row.wallet_id: row for row in _rows(locked)}
    counted, changed = count_tries([wallet_id for _, wallet_id in to_count], rows)
    if changed:
        pipeline.execute(
            COUNT_TRIES, number_columns([(row.lane, row.wallet_id, row.tries) for row in changed.values()])
        )
    pipeline.execute("COMMIT")
    pipeline.run()
    return {key: tried for (key, _), tried in zip(to_count, counted, strict=True)}


def lock_pins(pipeline: Pipeline, places: Iterable[Place]) -> Answer:
    """Queue the lock on the PINs of these wallets, those that have one."""
    return pipeline.execute(LOCK_PINS, number_columns(sorted(set(places))) or ("{}", "{}"))


def held_pins(locked: Answer) -> dict[int, HeldPin]:
    """What a batch keeps of the rows it locked, by wallet."""
    return {row.wallet_id: HeldPin(row.lane, row.wallet_id, row.revision, row.forgiven) for row in _rows(locked)}


def write_forgiven(pipeline: Pipeline, pins: Iterable[HeldPin]) -> None:
    """Queue what right PINs have forgiven."""
    moved = [(pin.lane, pin.wallet_id, pin.forgiven) for pin in pins if pin.is_moved]
    if moved:
        pipeline.execute(FORGIVE_TRIES, number_columns(moved))


def _rows(locked: Answer) -> list[PinRow]:
    return [PinRow(*row) for row in locked.rows()]


def _answered(asked: Answer) -> set[Key]:
    return {(participant_id, UUID(request_id)) for participant_id, request_id in asked.rows()}


def _keys(commands: Sequence[Command]) -> set[Key]:
    return {_key(command) for command in commands}


def _key(command: Command) -> Key:
    return command.participant_id, command.request_id
