"""The doors of the house that no import line shows: environment, clock, randomness, and the study's bare shelves.

import-linter (`make lint`) holds the doors between rooms; these tests read the source for the rest.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"

ENVIRONMENT = {"os.environ", "os.environb", "os.getenv", "os.putenv"}
CLOCK = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
RANDOMNESS = {"random", "secrets", "os.urandom", "uuid.uuid1", "uuid.uuid4", "uuid.uuid6", "uuid.uuid7", "uuid.uuid8"}

# Who may: a path, or a folder with everything in it. The rest are handed a settings object, a clock, a random source.
# data_directory.py chooses what a child process inherits (PATH, LD_LIBRARY_PATH): that is no setting.
MAY_READ_ENVIRONMENT = ("coalition/config.py", "coalition/storage/data_directory.py")
# The client makes request ids before it sends; a command is the edge of its own process, where a clock is picked up.
# keys is a command too, and imports nothing of ours: its clock and random arguments have the real ones as defaults.
EDGES = ("coalition/client/", "coalition/cli/", "coalition/replay/", "keys/")
MAY_READ_CLOCK = ("coalition/bootstrap/clock.py", *EDGES)
MAY_DRAW = ("coalition/bootstrap/house.py", "coalition/bootstrap/strongroom.py", *EDGES)


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Yield (path such as coalition/clearing/desk.py, syntax tree) of all hand-written code that is installed."""
    for base, folder in ((SOURCE, SOURCE / "coalition"), (ROOT, ROOT / "settlement"), (ROOT, ROOT / "keys")):
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(base).as_posix()
            if not name.startswith("coalition/v1/"):
                yield name, ast.parse(path.read_text(encoding="utf-8"), filename=name)


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Map each local name to what it was imported as: {"now": "datetime.now"} for `from datetime import now`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def uses(tree: ast.Module, forbidden: set[str]) -> list[str]:
    """Return `line: name` for each use of a forbidden name, however it was imported or renamed."""
    names = imported_names(tree)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            spelled = ast.unparse(node)
            head, dot, tail = spelled.partition(".")
            full = names.get(head, "") + dot + tail
            # datetime.datetime.now and datetime.now are one thing: the class is reached by either import.
            full = full.replace("datetime.datetime.", "datetime.").replace("datetime.date.", "date.")
            if head in names and (full in forbidden or full.partition(".")[0] in forbidden):
                found.append(f"{node.lineno}: {spelled}")
    return found


def trespassers(forbidden: set[str], allowed: tuple[str, ...]) -> list[str]:
    """Return each forbidden use outside the allowed paths as `path:line: name`."""
    return [
        f"{name}:{use}" for name, tree in modules() if not name.startswith(allowed) for use in uses(tree, forbidden)
    ]


def test_only_config_reads_the_environment():
    """A setting that is read elsewhere is a setting that `coalition check` and the manual do not know."""
    found = trespassers(ENVIRONMENT, MAY_READ_ENVIRONMENT)

    assert [] == found, "take the value from coalition.config.Settings, handed in by bootstrap"


def test_only_the_edges_read_the_wall_clock():
    """A rule that reads the clock cannot be replayed, nor tested at the cut-off of a window."""
    found = trespassers(CLOCK, MAY_READ_CLOCK)

    assert [] == found, "take a clock (Callable[[], datetime]) as an argument; bootstrap hands in the real one"


def test_only_the_edges_draw_random_numbers():
    """Chance that is handed in can be replayed from a seed."""
    found = trespassers(RANDOMNESS, MAY_DRAW)

    assert [] == found, "take the random source as an argument; bootstrap hands in the real one"


def test_the_domain_imports_the_standard_library_and_itself_only():
    """The study is read with a pencil: nothing in it depends on a library's version, a database or a network."""
    foreign = [
        f"{name}:{node.lineno}: {target}"
        for name, tree in modules()
        if name.startswith("coalition/domain/")
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for target in imports_of(node)
        if target.partition(".")[0] not in sys.stdlib_module_names and not f"{target}.".startswith("coalition.domain.")
    ]

    assert [] == foreign


def imports_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    """Return the modules that this statement imports."""
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]


def test_a_command_of_the_month_loads_no_server_no_alembic_and_no_sqlalchemy():
    """It is run by timers and in loops: these three took half of its time."""
    code = "import sys, settlement.cli, coalition.bootstrap.settlement; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert set() == {"coalition.server", "grpc", "alembic", "sqlalchemy"} & set(ran.stdout.split())


def test_imports_are_absolute():
    """A relative import hides which room it leaves from the reader, and from the test above."""
    relative = [
        f"{name}:{node.lineno}"
        for name, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]

    assert [] == relative


@pytest.mark.parametrize(
    ("source", "forbidden"),
    [
        ("import os\nos.environ['A']", ENVIRONMENT),
        ("from os import environ as e\ne.get('A')", ENVIRONMENT),
        ("import os as system\nsystem.getenv('A')", ENVIRONMENT),
        ("from datetime import datetime\ndatetime.now(UTC)", CLOCK),
        ("import datetime\ndatetime.datetime.now()", CLOCK),
        ("import datetime as dt\ndt.date.today()", CLOCK),
        ("from time import time\ntime()", CLOCK),
        ("import random\nrandom.Random(1)", RANDOMNESS),
        ("from secrets import token_bytes\ntoken_bytes(8)", RANDOMNESS),
        ("import uuid\nuuid.uuid4()", RANDOMNESS),
        ("from uuid import uuid4\nstart(ids=uuid4)", RANDOMNESS),
    ],
)
def test_a_forbidden_name_is_seen_however_it_is_spelled(source: str, forbidden: set[str]):
    """The tests above pass on an empty list; this one shows that the list can fill."""
    found = uses(ast.parse(source), forbidden)

    assert found


@pytest.mark.parametrize(
    "source",
    [
        "import time\ntime.monotonic()",
        "from datetime import datetime\ndatetime.fromisoformat('2017-01-01')",
        "def decide(random, now):\n    return random(now())",
        "import os\nos.fsync(3)",
    ],
)
def test_what_is_handed_in_or_is_no_wall_clock_is_allowed(source: str):
    """A monotonic clock measures; it never says what day it is."""
    found = uses(ast.parse(source), ENVIRONMENT | CLOCK | RANDOMNESS)

    assert [] == found
