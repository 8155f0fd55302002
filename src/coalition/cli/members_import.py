"""`coalition members import`: people of another system move in, from a CSV file, as many as there are.

The file is read line by line and sent by the hundred. Beside it a journal of the import remembers when it began; every
request id is derived from that, the file's own hash and the place in it, so that an import that is started again does
nothing twice. What was refused is written to a file: line, field and reason, never what the line said.
"""

import csv
import hashlib
import json
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, TextIO
from uuid import UUID

import typer
from rich.progress import Progress

from coalition.cli.output import console
from coalition.cli.session import Session, client_command
from coalition.client import new_request_id
from coalition.v1.member_pb2 import ImportedMember, ImportMembersRequest

COLUMNS: Final = ("name", "phone", "birth_month", "card_number")
LINES: Final = 200
BYTES_MAX: Final = 48 * 1024
"""Of one message, whose bound is 64 KiB."""
ACCEPTED: Final = "ACCEPTED"

members_app = typer.Typer(no_args_is_help=True, help="Many members at once: they move in from another system.")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file. `number` counts from 1, the header is the first; `end` is where it ends, in bytes."""

    number: int
    member: ImportedMember
    end: int


@members_app.command("import", epilog="Example: coalition members import people.csv --recruiter grocer")
@client_command
def members_import(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="FILE", help=f"CSV, UTF-8, with {', '.join(COLUMNS)} in its header.")],
    recruiter: Annotated[
        str, typer.Option(metavar="PARTICIPANT", help="Who recruited them; the identity's own.", show_default=False)
    ] = "",
) -> None:
    """Enrol the members of a CSV file, each with an empty wallet and the card in hand, if there is one.

    birth_month and card_number may be empty or absent. Lines that are refused are written to FILE.refused.csv with
    number, field and reason; correct them in a file of their own. Started again with the same file it goes on where it
    stopped, and nobody is made twice; FILE.import remembers that.
    """
    began = remembered(path)
    enrolled = refused = 0
    with (
        session.coalition() as connection,
        path.open(encoding="utf-8-sig", newline="") as file,
        new_file(Path(f"{path}.refused.csv")) as refusals,
        Progress(console=console(stderr=True), disable=not sys.stderr.isatty()) as bars,
    ):
        report = csv.writer(refusals)
        report.writerow(("line", "field", "reason"))
        bar = bars.add_task("members", total=path.stat().st_size)
        for place, lines in enumerate(_chunks(_lines(file))):
            answer = connection.call(
                connection.members.ImportMembers,
                ImportMembersRequest(
                    request_id=part_request_id(began, "import", place),
                    recruiter=recruiter,
                    members=[line.member for line in lines],
                ),
            )
            for line, ended in zip(lines, answer.lines, strict=True):
                if ended.reason == ACCEPTED:
                    enrolled += 1
                else:
                    refused += 1
                    report.writerow((line.number, ended.field, ended.reason))
            bars.update(bar, completed=lines[-1].end)
    session.say([], f"{enrolled} members are enrolled, {refused} lines refused; see {path}.refused.csv.")


def remembered(path: Path) -> dict[str, Any]:
    """When the import of this very file began, remembered beside it before anything is sent."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        beside = Path(f"{path}.import")
        if not beside.exists():
            now_ms = time.time_ns() // 1_000_000
            beside.write_text(json.dumps({"began_ms": now_ms, "sha256": digest}) + "\n", encoding="utf-8")
        began: dict[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise typer.BadParameter(f"{path} or {path}.import cannot be read or written") from None
    if began.get("sha256") != digest:
        raise typer.BadParameter(f"{path} has changed since its import began; put what is new into a file of its own")
    return began


def part_request_id(began: dict[str, Any], what: str, place: int) -> str:
    """The one request id of a part of a file, for what is done with it."""
    digest = hashlib.sha256(f"members {what} {began['sha256']} {place}".encode()).digest()
    timed = UUID(new_request_id(now_ms=began["began_ms"])).int
    kept = ((1 << 48) - 1) << 80 | 0xF << 76 | 0b11 << 62  # time, version and variant
    return str(UUID(int=timed & kept | int.from_bytes(digest[:16], "big") & ~kept))


def _lines(file: TextIO) -> Iterator[Line]:
    """The file's lines as messages. A broken header or line ends the command with exit code 2, without its content."""
    reader = csv.reader(_counted(file, ends := [0]), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        if not {"name", "phone"} <= set(header) <= set(COLUMNS) or len(set(header)) < len(header):
            raise typer.BadParameter(f"the header must name name, phone and perhaps {', '.join(COLUMNS[2:])}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise typer.BadParameter(f"line {reader.line_num} has {len(row)} fields, the header {len(header)}")
            told = dict(zip(header, (field.strip() for field in row), strict=True))
            month = told.get("birth_month") or "0"
            # A month that is no number is refused as one that is not in the year, by its line.
            member = ImportedMember(
                name=told["name"],
                phone=told["phone"],
                birth_month=int(month) if month.isascii() and month.isdigit() and len(month) <= len("12") else -1,
                card_number=told.get("card_number", ""),
            )
            yield Line(reader.line_num, member, ends[0])
    except (csv.Error, UnicodeDecodeError):
        raise typer.BadParameter(f"line {reader.line_num + 1} cannot be read as CSV in UTF-8") from None


def _counted(file: TextIO, ends: list[int]) -> Iterator[str]:
    """The file's text lines; `ends` is told how many bytes have been read."""
    for line in file:
        ends[0] += len(line.encode())
        yield line


def _chunks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Parts that fit into a message; the same file is cut in the same places, always."""
    part: list[Line] = []
    size = 0
    for line in lines:
        line_bytes = line.member.ByteSize() + 8
        if part and (len(part) == LINES or size + line_bytes > BYTES_MAX):
            yield part
            part, size = [], 0
        part.append(line)
        size += line_bytes
    if part:
        yield part


def new_file(path: Path) -> TextIO:
    """A file that only its owner can read, written anew."""
    path.unlink(missing_ok=True)
    path.touch(mode=stat.S_IRUSR | stat.S_IWUSR)
    return path.open("w", encoding="utf-8", newline="")
