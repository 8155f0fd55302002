"""The end of a day at the command line, against a real server: both counts, the close, and every difference named."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from coalition.client import OutcomeUnknown, ServerUnreachable, Terminal, TryRules, new_request_id
from coalition.client.line import Line
from tests.cli.conftest import Run
from tests.house import House

TILL = "store-a/main/till-2"


@pytest.fixture
def card(house: House, tmp_path: Path) -> Path:
    """The number of a fresh member's card, in a file."""
    file = tmp_path / "card.txt"
    file.write_text(house.new_card())
    return file


class Counter:
    """A till that begins its day here: what it did before is closed, agreed or not."""

    def __init__(self, coalition: Run, card: Path, outbox: Path) -> None:
        self._run = coalition
        self._at = ("--at", TILL, "--outbox", str(outbox))
        self._card = ("--card", f"@{card}")
        self._outbox = outbox
        self.run("close-day", code=None)

    def run(self, command: str, *arguments: str, code: int | None = 0) -> Any:
        ran = self._run("till", command, *self._at, *arguments, "--json")
        assert code in {None, ran.code}, ran
        return json.loads(ran.out)

    def sell(self, amount: str, command: str = "purchase", code: int = 0) -> str:
        told = self.run(command, *self._card, "--amount", amount, code=code)
        return str(told["receipt"]["request_id"]) if code == 0 else ""

    def shown(self, command: str) -> str:
        return self._run("till", command, *self._at).out

    @contextmanager
    def books(self) -> Iterator[sqlite3.Connection]:
        """The till's own file, to be forged."""
        with sqlite3.connect(self._outbox) as database:
            yield database
        database.close()


@pytest.fixture
def counter(coalition: Run, card: Path, tmp_path: Path) -> Counter:
    return Counter(coalition, card, tmp_path / "till-2.outbox")


def test_a_day_is_shown_and_closed_and_the_next_begins_with_nothing(counter: Counter):
    counter.sell("100", "top-up")
    sale = counter.sell("12.30")
    counter.run("refund", sale, "--amount", "2.30")
    counter.sell("999", code=1)
    shown = counter.shown("day")
    told = counter.run("day")
    closed = counter.run("close-day")
    after = counter.run("day")

    assert "till and journal agree" in shown
    assert "12.30" in shown
    assert (True, told["theirs"]) == (told["agrees"], told["ours"])
    assert [("TOP_UP", 1, 10_000, 0), ("PURCHASE", 1, 1_230, 1), ("REFUND", 1, 230, 0)] == [
        (each["kind"], each["accepted_count"], each["accepted_minor"], each["declined_count"]) for each in told["ours"]
    ]
    assert (True, 0, told["number"]) == (closed["agrees"], closed["difference_count"], closed["number"])
    assert ([], [], told["number"] + 1) == (after["ours"], after["theirs"], after["number"])


def test_a_lost_an_invented_and_a_changed_sale_are_each_named(counter: Counter):
    """The till's books are wrong: the close says where, and is recorded all the same."""
    counter.sell("100", "top-up")
    lost, changed = counter.sell("7"), counter.sell("8")
    invented = new_request_id()
    with counter.books() as books:
        books.execute("DELETE FROM operations WHERE request_id = ?", (lost,))
        books.execute("UPDATE operations SET amount_minor = 900 WHERE request_id = ?", (changed,))
        books.execute(
            "INSERT INTO operations SELECT place + 10, ?, kind, 300, '', state, begin_ms, change_ms, '', 0, '', 77,"
            " till FROM operations WHERE request_id = ?",
            (invented, changed),
        )
    assert "DIFFERS" in counter.shown("day")
    closed = counter.run("close-day", code=1)
    told = {
        each["request_id"]: tuple(
            each[side]["accepted_minor"] if side in each else None for side in ("stated", "recorded")
        )
        for each in closed["differences"]
        if each.get("request_id")
    }

    assert {lost: (None, 700), changed: (900, 800), invented: (300, None)} == told
    assert (False, 4) == (closed["agrees"], closed["difference_count"])
    assert counter.run("close-day")["agrees"]


def test_an_undone_sale_counts_on_both_sides(
    counter: Counter, house: House, address: str, card: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Whether the sale had arrived or not only the journal knows: the till asks."""
    counter.sell("100", "top-up")
    send = Line.send
    arrives = iter((True, False))

    async def lossy(line: Line, method: str, request: object, deadline_s: float) -> Any:
        if method == "Purchase":
            if next(arrives):
                await send(line, method, request, deadline_s)
            raise ServerUnreachable(line.server, "DEADLINE_EXCEEDED", "the answer was lost")
        return await send(line, method, request, deadline_s)

    rules = TryRules(total_s=0.1)
    with (
        monkeypatch.context() as patched,
        Terminal(
            address, house.certificate(f"t/{TILL}"), outbox=tmp_path / "till-2.outbox", at=TILL, rules=rules
        ) as till,
    ):
        patched.setattr(Line, "send", lossy)
        for _ in range(2):
            with pytest.raises(OutcomeUnknown):
                till.purchase(card.read_text(), 500)
        assert till.settled(20)
    told = counter.run("day")
    closed = counter.run("close-day")

    assert [("PURCHASE", 1, 0), ("REVERSAL", 2, 0), ("TOMBSTONE", 0, 1)] == [
        (each["kind"], each["accepted_count"], each["declined_count"]) for each in told["ours"][1:]
    ]
    assert (True, True) == (told["agrees"], closed["agrees"])


def test_without_a_line_nothing_is_closed(counter: Counter, monkeypatch: pytest.MonkeyPatch):
    quick = TryRules(deadline_s=0.5, total_s=0.5)
    with monkeypatch.context() as cut:
        cut.setattr("coalition.client.aio_terminal.TryRules", lambda: quick)
        cut.setenv("COALITION_LISTEN", "127.0.0.1:1")
        failed = counter.run("close-day", "--wait", "0", code=3)

    assert "NOT_DONE" == failed["outcome"]


def test_a_till_of_another_maker_closes_by_a_file(coalition: Run, house: House, card: Path, tmp_path: Path):
    """What it counted comes from a file or standard input; number, chain and signature are made here."""
    at = ("--at", "store-a/main/till-1")
    coalition("top-up", *at, "--card", f"@{card}", "50")
    held = json.loads(coalition("day", "totals", *at, "--json").out)
    before = coalition("day", "close", *at, "-", "--json", typed=json.dumps({"totals": held["since_close"]}))
    receipt = json.loads(coalition("pay", *at, "--card", f"@{card}", "7", "--json").out)["receipt"]
    sale = {"request_id": receipt["request_id"], "kind": "PURCHASE", "accepted": True, "amount_minor": 700}
    counted = tmp_path / "counted.json"
    counted.write_text(json.dumps({"operations": [sale], "business_date": held["business_date"]}))
    agreed = coalition("day", "close", *at, str(counted), "--json")
    differs = coalition("day", "close", *at, str(counted))
    shown = coalition("day", "totals", *at)

    assert (0, 0, 1, 0) == (before.code, agreed.code, differs.code, shown.code), (before, agreed, differs, shown)
    assert json.loads(agreed.out)["agrees"]
    assert receipt["request_id"] in differs.out
    assert "2 differences" in differs.out
    assert f"number {held['next_number'] + 3}" in shown.out


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        ("[]", "must be an object"),
        ('{"business_date": "2026-11-26"}', "totals or operations"),
        ('{"totals": [{"kind": "SALE"}]}', "ENTRY_KIND_SALE"),
        ('{"totals": [{"kind": "PURCHASE"}, {"kind": "PURCHASE"}]}', "each kind once"),
        ("{", "Expecting"),
    ],
)
def test_a_file_that_is_no_count_is_refused_with_the_cure(coalition: Run, house: House, text: str, cure: str):
    refused = coalition("day", "close", "--at", "store-a/main/till-1", "-", typed=text)

    assert 2 == refused.code
    assert cure in " ".join(refused.err.split())
