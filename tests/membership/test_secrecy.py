"""Nothing personal is ever stored, logged or raised in clear, nor as a hash that could be tried out."""

import hashlib
import json
import traceback
from collections.abc import Callable
from functools import partial

from structlog.testing import capture_logs

from coalition.domain.acts import body_hash
from coalition.domain.errors import CoalitionError
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.membership.profile import Profile
from tests.membership.desk import Desk
from tests.offices import dump, log_text

NAME = "欧阳卡纳里"
PHONES = ("13977778888", "13966665555")
GIVEN = "4111111111111111"


def everything(desk: Desk) -> tuple[list[str], list[CoalitionError]]:
    """Use every call with the canaries, rightly and wrongly; return the numbers made, and all errors."""
    numbers: list[str] = []
    errors: list[CoalitionError] = []
    enrolment = desk.enrol(PHONES[0], NAME, 11)
    for _ in range(2):
        made = desk.issue().number
        assert made is not None
        numbers.append(made)
    desk.link(numbers[0], enrolment.member_id)
    desk.freeze(numbers[0])
    replaced = desk.replace(numbers[0]).number
    assert replaced is not None
    numbers.append(replaced)
    desk.issue(GIVEN)
    wrong: list[Callable[[], object]] = [
        partial(desk.enrol, PHONES[0], NAME),
        partial(desk.enrol, PHONES[1], NAME, recruiter="nobody"),
        partial(desk.enrol, PHONES[1] + "9", NAME),
        partial(desk.enrol, PHONES[1], NAME * 50),
        partial(desk.enrol, PHONES[1], NAME, 13),
        partial(desk.reception.reading.by_phone, Reader(desk.house.operator_id, "/hq/a"), PHONES[1], "DISPUTE"),
        partial(desk.issue, GIVEN),
        partial(desk.issue, GIVEN + "7"),
        partial(desk.link, GIVEN[:-1] + "2", enrolment.member_id),
        partial(desk.link, numbers[0], enrolment.member_id),
        partial(desk.freeze, numbers[0]),
        partial(desk.replace, numbers[0]),
        partial(desk.replace, numbers[2], numbers[2]),
    ]
    for work in wrong:
        try:
            work()
        except CoalitionError as error:
            errors.append(error)
    assert len(wrong) == len(errors)
    desk.reception.reading.by_phone(Reader(desk.house.operator_id, "/hq/a"), PHONES[0], "DISPUTE")
    return [*numbers, GIVEN], errors


def canaries(numbers: list[str]) -> list[bytes]:
    texts = [NAME, NAME[:3], *PHONES, *(f"+86{phone}" for phone in PHONES), *numbers]
    escaped = [json.dumps(NAME).strip('"'), NAME.encode().hex(), *(phone.encode().hex() for phone in PHONES)]
    return [text.encode() for text in [*texts, *escaped]]


def test_no_name_phone_or_card_number_is_in_either_database(desk: Desk):
    numbers, _ = everything(desk)
    stored = dump(desk.house.postgres, desk.house.ledger) + dump(desk.house.postgres, desk.house.keydb)

    assert numbers[0][-4:].encode() in stored
    assert [] == [canary for canary in canaries(numbers) if canary in stored]


def test_no_plain_hash_of_something_personal_is_stored(desk: Desk):
    """There are ten thousand million phones: a plain hash of one is found in an hour."""
    numbers, _ = everything(desk)
    stored = dump(desk.house.postgres, desk.house.ledger)
    hashes = [hashlib.sha256(canary).digest() for canary in canaries(numbers)]
    hashes += [
        body_hash(Kind.MEMBER_ENROLLED, {"phone": PHONES[0], "name": NAME, "birth_month": 11}),
        body_hash(Kind.CARD_ISSUED, {"number": GIVEN}),
        body_hash(Kind.CARD_FROZEN, {"card": numbers[0]}),
    ]

    assert [] == [digest for digest in hashes if digest in stored]


def test_equal_bodies_do_not_show_as_equal(desk: Desk):
    for _ in range(2):
        desk.issue()
    hashes = desk.house.query("SELECT body_hash FROM requests")

    assert 2 == len(set(hashes))


def test_no_error_log_line_or_repr_holds_something_personal(desk: Desk, capsys):
    with capture_logs() as logs:
        numbers, errors = everything(desk)
    told = [
        *("".join(traceback.format_exception(error)) + repr(vars(error)) for error in errors),
        repr(logs),
        repr(Profile(NAME, PHONES[0], 11)),
        repr(desk.reception.get_card(GIVEN)),
        repr(desk.reception.reading.by_phone(Reader(desk.house.operator_id, "/hq/a"), PHONES[0], "DISPUTE")),
        repr(desk.issue()),
        log_text(desk.house.postgres),
        "".join(capsys.readouterr()),
    ]

    assert [] == [canary for canary in canaries(numbers) for text in told if canary in text.encode()]
