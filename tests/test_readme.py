"""The README, executed: every command block and every Python block runs in order against a server started as it says.

What follows a block as ```text must appear in its output, line by line in that order; "…" stands for what changes.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from coalition.config import PREFIX, Settings
from tests.places import passable_directory

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"(?:<!-- (?P<note>.*?) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = "not run here: "
EXIT_CODE = re.compile(r"ends with exit code (\d+)")
SERVE = "make serve"
READY_SECONDS = 90
MARK = "---block ended---"
# The parts of a clone that its Makefile needs; var/ is made beside them.
CLONE = (".venv", "Makefile", "pyproject.toml", "requirements.lock", "src", "settlement", "keys")


@dataclass(frozen=True)
class Block:
    """A fenced block, the comment before it and the output shown after it."""

    language: str
    body: str
    note: str
    expected: tuple[str, ...]


def blocks() -> list[Block]:
    found: list[Block] = []
    for match in FENCE.finditer(README):
        if match["language"] == "text":
            executed = found.pop()
            found.append(Block(executed.language, executed.body, executed.note, tuple(match["body"].splitlines())))
        else:
            found.append(Block(match["language"], match["body"], match["note"] or "", ()))
    return found


def squeezed(line: str) -> str:
    return " ".join(line.split())


def missing_line(expected: tuple[str, ...], output: str) -> str | None:
    """The first expected line that does not appear after the ones before it."""
    lines = iter(squeezed(line) for line in output.splitlines())
    for wanted in expected:
        # Numbers and names stand exactly; only "…" stands for anything.
        pattern = ".*".join(re.escape(squeezed(part)) for part in squeezed(wanted).split("…"))
        pattern = pattern.replace(r".*", ".*?")
        if not any(re.search(pattern.replace(".*?", r"\s?.*?\s?"), line) for line in lines):
            return wanted
    return None


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Reader:
    """Someone who follows the README: a shell, a server in another terminal, and the ports of this machine."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, self.settlement_port = free_ports(2)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = {
            **inherited,
            "COALITION_LISTEN": f"127.0.0.1:{self.port}",
            "COALITION_SETTLEMENT_LISTEN": f"127.0.0.1:{self.settlement_port}",
        }
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._server: subprocess.Popen[bytes] | None = None
        self._server_log = directory / "serve.log"

    def serve(self) -> str:
        """Type `make serve` in a terminal of its own and wait until it says what to type next."""
        with self._server_log.open("wb") as log:
            self._server = subprocess.Popen(
                # The environment of this clone is not installed anew by a test, however old its stamp.
                ["make", "--assume-old=.venv/.installed", "serve"],
                cwd=self.directory,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._server.poll() is None:
            said = self._server_log.read_text(encoding="utf-8")
            if "settlement_server_started" in said and "Ctrl-C" in said:
                return said
            time.sleep(0.1)
        pytest.fail(f"make serve did not come up:\n{self._server_log.read_text(encoding='utf-8')}")

    def bash(self, body: str) -> tuple[int, str]:
        """Run a block in the one shell; its exit code is the first failing command's, or 0."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.write(f"code=0; trap 'code=$?' ERR\n{body}\ntrap - ERR; echo; echo '{MARK}' $code\n")
        self._shell.stdin.flush()
        lines: list[str] = []
        for line in self._shell.stdout:
            if line.startswith(MARK):
                return int(line.split()[-1]), "".join(lines)
            lines.append(line)
        pytest.fail(f"the shell ended:\n{''.join(lines)}")

    def python(self, body: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-c", body],
            cwd=self.directory,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def here(self, text: str) -> str:
        """The text with the addresses of this run instead of the default ones."""
        return text.replace(":7443", f":{self.port}").replace(":7444", f":{self.settlement_port}")

    def close(self) -> None:
        self._shell.kill()
        self._shell.wait()
        if self._server is not None and self._server.poll() is None:
            os.killpg(self._server.pid, signal.SIGINT)
            try:
                self._server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._server.pid, signal.SIGKILL)
                self._server.wait()


@pytest.fixture
def reader() -> Iterator[Reader]:
    with passable_directory() as clone:
        for name in CLONE:
            (clone / name).symlink_to(ROOT / name)
        following = Reader(clone)
        yield following
        following.close()


@pytest.mark.xdist_group("serial")
@pytest.mark.timeout(300)
def test_a_newcomer_who_types_the_readme_sees_what_it_shows(reader: Reader):
    """It is the first thing that everybody tries, and the first to rot."""
    ran = 0
    for block in blocks():
        if not block.language or block.note.startswith(NOT_RUN):
            continue
        if block.body.strip() == SERVE:
            code, output = 0, reader.serve()
        elif block.language == "python":
            code, output = reader.python(reader.here(block.body))
        else:
            code, output = reader.bash(block.body)
        ran += 1
        wanted = EXIT_CODE.fullmatch(block.note)
        assert (int(wanted[1]) if wanted else 0) == code, f"{block.body}\nanswered:\n{output}"
        missing = missing_line(tuple(reader.here(line) for line in block.expected), output)
        assert missing is None, f"{block.body}\nshould show:\n{missing}\nbut answered:\n{output}"

    assert ran > 12


def test_only_the_demo_is_not_run_and_it_says_why():
    """An example that nothing executes is a promise that nobody keeps."""
    not_run = [block for block in blocks() if block.note.startswith(NOT_RUN)]

    assert ["make demo"] == [block.body.strip() for block in not_run]
    assert all(len(block.note) > len(NOT_RUN) for block in not_run)
    assert {"", "bash", "python"} == {block.language for block in blocks()}
    assert 1 == sum(block.language == "" for block in blocks()), "only the picture is neither run nor compared"


def test_the_settings_table_names_every_setting_with_its_default():
    """A setting that the manual does not know is found by accident."""
    rows = dict(re.findall(r"^\| `(COALITION_\w+)` \| (.*?) \|", README, re.MULTILINE))
    plain = {
        f"{PREFIX}{name.upper()}": f"`{field.default}`"
        for name, field in Settings.model_fields.items()
        if field.default is not None
    }

    assert {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} == set(rows)
    assert plain == {name: rows[name] for name in plain}


def test_every_file_the_readme_links_to_exists():
    """A newcomer follows links before commands."""
    links = re.findall(r"\]\(([^)#:]+)\)", README)

    assert [] == [link for link in links if not (ROOT / link).exists()]


@pytest.mark.parametrize(
    ("expected", "output", "missing"),
    [
        (("a 1.00",), "x\n  a    1.00  \n", None),
        (("paid … fen",), "paid 12 fen", None),
        (("a", "b"), "b\na\n", "b"),
        (("a 1.00",), "a 11.00", "a 1.00"),
        (("a … c",), "a b d", "a … c"),
    ],
)
def test_an_expected_line_must_appear_in_its_order(expected, output, missing):
    """The comparison above passes on nothing missing; this shows that something can be."""
    assert missing == missing_line(expected, output)
