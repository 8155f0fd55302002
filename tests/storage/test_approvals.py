"""Approvals as the database keeps them: constraints, content bound by hash, an inbox per office."""

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from coalition.domain.approvals import Approval, Decision, Office, Subject, decide_step
from coalition.storage import approvals
from coalition.storage.connect import Connection, connect
from tests.postgres import MIGRATED_LEDGER, SharedPostgres

NOW = datetime(2017, 2, 1, tzinfo=UTC)
CONTENT, OTHER_CONTENT = b"\x01" * 32, b"\x02" * 32
MAKER = "/op/wang"
LARGE = 500_000_00


@pytest.fixture(scope="module")
def database(postgres: SharedPostgres) -> Iterator[str]:
    with postgres.copy(MIGRATED_LEDGER) as name:
        yield postgres.dsn("coalition_settlement", name)


@pytest.fixture
def books(database: str) -> Iterator[Connection]:
    """Nothing of a test is kept."""
    with connect(database) as connection, connection.transaction(force_rollback=True):
        yield connection


def ask(books: Connection, *, name: str = "1", content: bytes = CONTENT, amount_minor: int = LARGE) -> int:
    return approvals.ask(
        books, Subject.RUN, name, content_hash=content, amount_minor=amount_minor, maker=MAKER, time=NOW
    )


def approve(books: Connection, approval_id: int, checker: str, content: bytes = CONTENT) -> Approval:
    approvals.set_offices(books, checker, [office for office in Office if office is not Office.PRIVACY])
    known = approvals.lock(books, approval_id)
    assert known is not None
    held = approvals.offices_of(books, checker)
    decided = decide_step(known, checker, held, content, Decision.APPROVED, NOW)
    approvals.write_step(books, decided)
    return decided


def test_the_bands_are_those_of_the_source_document(books: Connection):
    assert [(0, 1), (50_000_00, 2), (500_000_00, 3)] == [
        (band.from_minor, len(band.offices)) for band in approvals.bands(books)
    ]


def test_what_everybody_agreed_to_is_approved_with_that_content_alone(books: Connection):
    approval_id = ask(books)
    for checker in ("/ap/liu", "/ap/chen"):
        approve(books, approval_id, checker)
        assert not approvals.approved(books, Subject.RUN, "1", CONTENT)
    last = approve(books, approval_id, "/ap/zhao")

    assert approvals.lock(books, approval_id) == last
    assert approvals.approved(books, Subject.RUN, "1", CONTENT)
    assert not approvals.approved(books, Subject.RUN, "1", OTHER_CONTENT)
    assert not approvals.approved(books, Subject.CAP, "1", CONTENT)
    assert approval_id == ask(books)


def test_what_is_changed_after_an_approval_needs_everybody_anew(books: Connection):
    """A content that is put back does not bring its old approval back with it."""
    first = ask(books, amount_minor=1)
    approve(books, first, "/ap/liu")
    assert approvals.approved(books, Subject.RUN, "1", CONTENT)
    second = ask(books, content=OTHER_CONTENT, amount_minor=1)
    assert not approvals.approved(books, Subject.RUN, "1", CONTENT)
    assert not approvals.approved(books, Subject.RUN, "1", OTHER_CONTENT)
    third = ask(books, amount_minor=1)

    assert first < second < third
    assert not approvals.approved(books, Subject.RUN, "1", CONTENT)
    states = books.execute("SELECT state FROM approvals ORDER BY approval_id").fetchall()
    assert ["LAPSED", "LAPSED", "PENDING"] == [state for (state,) in states]


def test_a_refused_content_may_be_asked_for_again(books: Connection):
    first = ask(books)
    known = approvals.lock(books, first)
    assert known is not None
    approvals.write_step(books, decide_step(known, "/ap/liu", [Office.FINANCE], CONTENT, Decision.REFUSED, NOW))

    assert first < ask(books)
    assert not approvals.approved(books, Subject.RUN, "1", CONTENT)


def test_an_inbox_holds_what_waits_for_its_office(books: Connection):
    small, large = ask(books, name="1", amount_minor=1), ask(books, name="2")
    approve(books, large, "/ap/liu")

    def waiting(*offices: Office, after: int = 0) -> list[int]:
        return [each.approval_id for each in approvals.inbox(books, offices or None, after, 10)]

    assert [small] == waiting(Office.FINANCE)
    assert [large] == waiting(Office.RATIFIER)
    assert [] == waiting(Office.CHAIRMAN)
    assert [small, large] == waiting()
    assert [large] == waiting(after=small)
    approve(books, small, "/ap/liu")
    assert [large] == waiting()


@pytest.mark.parametrize(
    ("maker", "checker", "place", "error"),
    [
        (MAKER, "/ap/wang", 2, psycopg.errors.CheckViolation),  # the maker under another role
        ("/op/somebody", "/ap/liu", 2, psycopg.errors.ForeignKeyViolation),  # a maker who is not the approval's
        (MAKER, "/op/liu", 2, psycopg.errors.CheckViolation),  # who is no approver
        (MAKER, "/ap/first", 2, psycopg.errors.UniqueViolation),  # the same checker twice
        (MAKER, "/ap/liu", 1, psycopg.errors.UniqueViolation),  # the same step twice
    ],
)
def test_the_database_itself_holds_maker_and_checkers_apart(books: Connection, maker, checker, place, error):
    """Whatever the program believes: a step that breaks the rule cannot be written."""
    approval_id = ask(books)
    approve(books, approval_id, "/ap/first")
    with pytest.raises(error):
        books.execute(
            "INSERT INTO approval_steps (approval_id, place, office, maker, checker, decision, decide_time) "
            "VALUES (%s, %s, 'FINANCE', %s, %s, 'APPROVED', now())",
            (approval_id, place, maker, checker),
        )


def test_no_process_may_change_how_many_must_agree_or_what_was_said(database: str):
    for statement in (
        "DELETE FROM approval_bands",
        "UPDATE approval_bands SET offices = '{FINANCE}'",
        "UPDATE approval_steps SET checker = '/ap/x'",
        "DELETE FROM approval_steps",
        "UPDATE approvals SET content_hash = content_hash",
        "DELETE FROM approvals",
    ):
        with connect(database) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement)


def test_only_one_asking_waits_at_a_time(books: Connection):
    ask(books)
    with pytest.raises(psycopg.errors.UniqueViolation):
        books.execute(
            "INSERT INTO approvals (subject, name, content_hash, amount_minor, offices, maker, ask_time) "
            "SELECT subject, name, content_hash, amount_minor, offices, maker, ask_time FROM approvals"
        )
