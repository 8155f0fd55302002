"""`coalition members import`: every line ends once, however often the import is started."""

import csv
from pathlib import Path
from typing import Any

import pytest

from coalition.cli import members_import
from coalition.client import Connection
from coalition.domain.cards import check_digit
from tests.cli.conftest import Run

LINES = 450


def written(path: Path, rows: list[tuple[str, ...]], header: tuple[str, ...] = members_import.COLUMNS) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def people(first: int) -> list[tuple[str, ...]]:
    return [(f"王{number}", f"1370000{first + number:04}", str(number % 12 + 1), "") for number in range(LINES)]


def refusals(path: Path) -> list[list[str]]:
    with Path(f"{path}.refused.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def test_lines_that_are_refused_are_named_without_what_they_said(coalition: Run, tmp_path: Path):
    rows = people(0)
    card = "95824169375100" + check_digit("95824169375100")
    rows[0] = (*rows[0][:3], card)
    rows[7], rows[300], rows[301] = ("王", "12", "", ""), rows[6], ("王", "13600000000", "May", "")
    path = written(tmp_path / "people.csv", rows)
    ran = coalition("members", "import", str(path), "--recruiter", "store-a")

    assert 0 == ran.code, ran.err
    assert f"{LINES - 3} members are enrolled, 3 lines refused" in ran.out
    assert [
        ["9", "phone", "FIELD_INVALID"],
        ["302", "phone", "MEMBER_EXISTS"],
        ["303", "birth_month", "FIELD_INVALID"],
    ] == refusals(path)
    assert "ACTIVE" in coalition("card", "show", "--card", "-", typed=f"{card}\n").out
    assert "name 王*" in coalition("member", "find", typed="+8613700000100\n").out


def test_an_import_that_was_cut_goes_on_and_makes_nobody_twice(
    coalition: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = written(tmp_path / "people.csv", people(1000))
    sent: list[str] = []
    call = Connection.call

    def cut(self: Connection, method: Any, request: Any, **more: Any) -> Any:
        answer: Any = call(self, method, request, **more)
        sent.append(request.request_id)
        if len(sent) == 2:
            raise KeyboardInterrupt
        return answer

    with monkeypatch.context() as broken:
        broken.setattr(Connection, "call", cut)
        coalition("members", "import", str(path), "--recruiter", "store-a")
    assert 2 == len(set(sent))
    again = coalition("members", "import", str(path), "--recruiter", "store-a")
    assert f"{LINES} members are enrolled, 0 lines refused" in again.out
    assert again.out == coalition("members", "import", str(path), "--recruiter", "store-a").out

    written(path, people(2000))
    changed = coalition("members", "import", str(path), "--recruiter", "store-a")
    assert 2 == changed.code
    assert "has changed since" in " ".join(changed.err.replace("│", " ").split())


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        (("name", "mobile"), ("王", "13700009999"), "the header must name"),
        (("name", "phone"), ("王", "13700009999", "x"), "line 2 has 3 fields"),
    ],
)
def test_a_file_that_is_broken_is_refused_without_its_content(
    coalition: Run, tmp_path: Path, header: tuple[str, ...], row: tuple[str, ...], told: str
):
    ran = coalition("members", "import", str(written(tmp_path / "people.csv", [row], header)))
    assert 2 == ran.code
    assert told in " ".join(ran.err.replace("│", " ").split())
    assert "13700009999" not in ran.err
