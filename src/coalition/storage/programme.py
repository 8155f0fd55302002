"""The programme's snapshot for desks, and the first laying of the scheme. Never changes either afterwards."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Final
from uuid import UUID

from psycopg.rows import tuple_row

from coalition.domain.agreements import Version, parse_content
from coalition.domain.calendars import FIRST_CALENDARS, window_label
from coalition.domain.day_limits import DayKey, Flow, Subject
from coalition.domain.errors import CoalitionError, LedgerBroken
from coalition.domain.programme import Participant, Programme, Scheme, Store, Terminal
from coalition.storage.connect import Connection
from coalition.storage.lease import Cursor

AMOUNT_MAX_DEFAULT: Final = 100_000_000
"""The largest amount of one operation, minor units: a million yuan, well above what one wallet may hold."""
SCHEME_LOCK: Final = 5_067_002
"""Advisory lock: two servers that start on an empty database lay one scheme."""

# One statement is one snapshot in any isolation level, so this may run inside a batch's transaction too.
# 5 ms for 500 participants, 1,000 terminals and 300 agreement versions, 14 ms with the snapshot built from them.
LOAD: Final = """
SELECT (SELECT epoch FROM config_epoch),
    (SELECT json_build_array(deployment_id, display_name, trust_domain, zone, currency_code, lane_count, amount_max,
        operator_id, custody_id) FROM scheme),
    (SELECT coalesce(json_agg(json_build_array(participant_id, code, display_name, role, chain_code, state = 'ACTIVE')),
        '[]') FROM participants),
    (SELECT coalesce(json_agg(json_build_array(store_id, participant_id, code, display_name, state = 'ACTIVE')), '[]')
        FROM stores),
    (SELECT coalesce(json_agg(json_build_array(terminal_id, store_id, code, state = 'ACTIVE')), '[]') FROM terminals),
    (SELECT coalesce(json_object_agg(code, calendar_id), '{}') FROM calendars),
    (SELECT coalesce(json_agg(json_build_array(agreement_id, version, code, kind, effective_from, effective_until,
        content, unit)), '[]') FROM agreement_versions JOIN agreements USING (agreement_id) WHERE is_signed),
    (SELECT coalesce(json_object_agg(window_id, code || '/' || label), '{}') FROM windows JOIN calendars
        USING (calendar_id)),
    (SELECT coalesce(json_agg(json_build_array(business_date, subject, subject_id, flow, reached_minor)), '[]')
        FROM day_limits_reached WHERE business_date >= current_date - 2),
    (SELECT coalesce(json_agg(participant_id), '[]') FROM caps_reached WHERE is_stopped),
    (SELECT coalesce(json_object_agg(participant_id, successor_id), '{}') FROM participants
        WHERE successor_id IS NOT NULL),
    (SELECT coalesce(json_agg(terms_id), '[]') FROM sponsors_reached WHERE is_reached)
"""


class SchemeDiffers(CoalitionError):
    """The database was made for another scheme than the settings describe."""

    def __init__(self, setting: str, stored: object, wanted: object) -> None:
        super().__init__(
            f"setting {setting} is {wanted!r}, but this database was made with {stored!r}: "
            "put the setting back, or name another database"
        )
        self.setting = setting


def load(connection: Connection) -> Programme:
    """The programme as of now. Raises LedgerBroken before the scheme is laid."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(LOAD).fetchone()
    if row is None or row[1] is None:
        raise LedgerBroken("the database holds no scheme yet; start it with `coalition serve`")
    epoch, scheme, participants, stores, terminals, calendars, versions, windows, reached, stopped, successors, dry = (
        row
    )
    return Programme(
        epoch,
        Scheme(UUID(scheme[0]), *scheme[1:]),
        [Participant(*each) for each in participants],
        [Store(*each) for each in stores],
        [Terminal(*each) for each in terminals],
        calendars,
        [_version(*each) for each in versions],
        {int(window_id): name for window_id, name in windows.items()},
        {
            DayKey(date.fromisoformat(day), Subject(subject), subject_id, Flow(flow)): total
            for day, subject, subject_id, flow, total in reached
        },
        frozenset(stopped),
        {int(left): standing for left, standing in successors.items()},
        frozenset(dry),
    )


def _version(
    agreement_id: int,
    version: int,
    code: str,
    kind: str,
    effective_from: str,
    effective_until: str | None,
    content: Mapping[str, object],
    unit: int | None,
) -> Version:
    until = None if effective_until is None else date.fromisoformat(effective_until)
    parsed = parse_content(kind, content)
    return Version(agreement_id, version, code, kind, date.fromisoformat(effective_from), until, parsed, unit)


def lay_scheme(
    connection: Connection,
    *,
    deployment_id: UUID,
    display_name: str,
    trust_domain: str,
    zone: str,
    currency_code: str,
    lane_count: int,
    time: datetime,
    business_date: date,
    amount_max: int = AMOUNT_MAX_DEFAULT,
    operator_code: str = "hq",
    custody_code: str = "trust",
    calendars: Mapping[str, str] = FIRST_CALENDARS,
    first_label: str | None = None,
) -> bool:
    """Lay what every ledger begins with: scheme, operator, custody, calendars (code to cadence), an open window each.

    `business_date` is `time` in `zone`; `first_label` replaces the label of the windows, which is else the one of that
    date. Answers whether it was laid now: on a ledger that has a scheme nothing is written. Raises SchemeDiffers where
    that scheme contradicts what can never change; its display_name and amount_max are left as they are.
    """
    with connection.transaction(), connection.cursor(row_factory=tuple_row) as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEME_LOCK,))
        stored = cursor.execute(
            "SELECT deployment_id, trust_domain, zone, currency_code, lane_count FROM scheme"
        ).fetchone()
        if stored is not None:
            wanted = (deployment_id, trust_domain, zone, currency_code, lane_count)
            _check_same(stored, wanted)
            return False
        operator_id = _lay_participant(cursor, operator_code, display_name, "OPERATOR", time)
        custody_id = _lay_participant(cursor, custody_code, f"{display_name} trust", "CUSTODY", time)
        cursor.execute(
            "INSERT INTO scheme (deployment_id, display_name, trust_domain, zone, currency_code, lane_count,"
            " amount_max, operator_id, custody_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                deployment_id,
                display_name,
                trust_domain,
                zone,
                currency_code,
                lane_count,
                amount_max,
                operator_id,
                custody_id,
            ),
        )
        for code, cadence in calendars.items():
            cursor.execute(
                "WITH calendar AS (INSERT INTO calendars (code, cadence) VALUES (%s, %s) RETURNING calendar_id)"
                " INSERT INTO windows (calendar_id, label, open_time) SELECT calendar_id, %s, %s FROM calendar",
                (code, cadence, first_label or window_label(cadence, business_date), time),
            )
        cursor.execute("UPDATE config_epoch SET epoch = epoch + 1")
    return True


def _check_same(stored: tuple[object, ...], wanted: tuple[object, ...]) -> None:
    settings = ("deployment_id", "trust_domain", "zone", "currency_code", "lane_count")
    for setting, before, now in zip(settings, stored, wanted, strict=True):
        if before != now:
            raise SchemeDiffers(setting, before, now)


def _lay_participant(cursor: Cursor, code: str, display_name: str, role: str, time: datetime) -> int:
    row = cursor.execute(
        "INSERT INTO participants (code, display_name, role, create_time) VALUES (%s, %s, %s, %s)"
        " RETURNING participant_id",
        (code, display_name, role, time),
    ).fetchone()
    if row is None:
        raise LedgerBroken(f"participant {code} was not written")
    return int(row[0])
