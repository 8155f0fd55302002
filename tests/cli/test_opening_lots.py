"""`coalition members lots`: value moves in once, and only if it comes to what the other system says."""

import csv
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from coalition.client import Connection
from tests.cli.conftest import Run

GROCER = "store-a/main/till-1"
HEADER = ("member_id", "card_number", "issuer", "paid", "bonus", "expiry", "custody")
LINES = 130
_phones = itertools.count(1)


def member(coalition: Run) -> str:
    told = json.dumps({"name": "王小明", "phone": f"+8613611{next(_phones):06}"})
    ran = coalition("member", "enrol", "--recruiter", "store-a", "--from-file", "-", "--field", "member_id", typed=told)
    return ran.out.strip()


def written(path: Path, rows: list[tuple[str, ...]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    return path


def unboxed(told: str) -> str:
    """As one line, without the frame that errors of the command line are printed in."""
    return " ".join(told.replace("│", " ").split())


def balance(coalition: Run, member_id: str) -> int:
    return int(json.loads(coalition("wallet", member_id, "--json").out)["wallet"]["balance_minor"])


def test_lots_are_opened_for_cards_and_members_and_what_is_refused_is_named(coalition: Run, tmp_path: Path):
    card = tmp_path / "card.txt"
    holder = member(coalition)
    coalition("card", "issue", "--issuer", "store-a", "--number-to", str(card))
    coalition("card", "link", "--card", f"@{card}", "--member", holder)
    number = card.read_text().strip()
    path = written(
        tmp_path / "lots.csv",
        [
            ("", number, "store-a", "625.00", "125", "", ""),
            (holder, "", "store-a", "0.01", "", "", "issuer"),
            ("00000000-0000-4000-8000-000000000000", "", "store-a", "1", "", "", ""),
            (holder, "", "store-a", "", "5", "2017-01-01", ""),
        ],
    )
    ran = coalition("members", "lots", str(path), "--total", "store-a=626.01+130.00")
    assert 0 == ran.code, ran.err
    assert "2 lines are refused" in ran.out
    assert number not in ran.out + ran.err
    refused = Path(f"{path}.refused.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert ["4,member_id,MEMBER_UNKNOWN", "5,,LOT_NOT_OPEN"] == refused
    assert "balance 750.01 CNY" in coalition("balance", "--at", GROCER, "--card", f"@{card}").out


@pytest.mark.parametrize(
    "totals",
    [
        ("store-a=1.00",),
        ("store-a=1.01",),
        ("store-a=1.00+0.01", "cafe=1.00"),
        ("cafe=1.00+0.01",),
    ],
)
def test_a_file_that_comes_to_something_else_writes_nothing(coalition: Run, tmp_path: Path, totals: tuple[str, ...]):
    holder = member(coalition)
    path = written(tmp_path / "lots.csv", [(holder, "", "store-a", "1.00", "0.01", "", "")])
    ran = coalition("members", "lots", str(path), *(part for total in totals for part in ("--total", total)))
    assert 2 == ran.code
    assert "nothing was written" in unboxed(ran.err)
    assert not Path(f"{path}.import").exists()
    assert 0 == balance(coalition, holder)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (("", "", "store-a", "1", "", "", ""), "line 2: one of card_number and member_id"),
        (("m", "", "store-a", "1.001", "", "", ""), "line 2: "),
        (("m", "", "store-a", "1", "", "tomorrow", ""), "line 2, expiry"),
        (("m", "", "store-a", "1", "", "", "bank"), "line 2, custody"),
        (("m", "", "store-a"), "line 2 has another number of fields"),
    ],
)
def test_a_line_that_cannot_be_read_is_named_before_anything_is_sent(
    coalition: Run, tmp_path: Path, row: tuple[str, ...], told: str
):
    ran = coalition("members", "lots", str(written(tmp_path / "lots.csv", [row])), "--total", "store-a=1")
    assert 2 == ran.code
    assert told in unboxed(ran.err)


def test_an_import_of_lots_that_was_cut_goes_on_and_opens_none_twice(
    coalition: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    holder = member(coalition)
    path = written(tmp_path / "lots.csv", [(holder, "", "store-a", "1.00", "0.10", "", "")] * LINES)
    totals = ("--total", f"store-a={LINES}.00+{LINES // 10}.00")
    call = Connection.call
    answered: list[Any] = []

    def cut(self: Connection, method: Any, request: Any, **more: Any) -> Any:
        answer: Any = call(self, method, request, **more)
        answered.append(answer)
        if len(answered) == 1:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(Connection, "call", cut)
    assert 0 != coalition("members", "lots", str(path), *totals).code
    assert 100 * 110 == balance(coalition, holder)
    again = coalition("members", "lots", str(path), *totals)
    assert 0 == again.code, again.err
    assert LINES * 110 == balance(coalition, holder)
    assert "0 lines are refused" in again.out
