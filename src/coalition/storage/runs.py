"""Settlement runs in SQL: runs, their windows and parties, files handed out, and what banks said.

Every function runs in the caller's transaction; one that changes a run expects its row locked by `lock_run`. Decides
nothing: settlement/ does, with the rules of domain/settlement_runs.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from coalition.domain.bank_results import BankLine, Instruction, Matched, Result
from coalition.domain.settlement_runs import Run, RunParty, RunPlan
from coalition.storage.connect import Connection
from coalition.storage.settlement import WINDOWS, Window

RUNS: Final = """
SELECT run_id, state, maker, prepare_time, collected_minor, paid_minor, advance_minor, advance_limit_minor,
       advanced_minor, content_hash
FROM runs
"""


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where a participant pays from and is paid to. A mandate lets the operator collect; without one "" and None."""

    participant_id: int
    account: str
    bank: str
    holder: str
    mandate_id: str
    mandate_date: date | None


@dataclass(frozen=True, slots=True)
class RunFile:
    """What was handed out once is handed out again with the same bytes."""

    name: str
    sha256: bytes
    byte_count: int


def windows_to_settle(connection: Connection, calendar: str | None) -> list[Window]:
    """Netted windows of one calendar or of all that no run holds, oldest first within each, locked."""
    rows = connection.execute(
        WINDOWS
        + """
        WHERE w.state = 'NETTED' AND (%(calendar)s::text IS NULL OR c.code = %(calendar)s)
            AND NOT EXISTS (SELECT FROM run_windows r WHERE r.window_id = w.window_id AND r.is_held)
        ORDER BY c.code, w.window_id FOR UPDATE OF w
        """,
        {"calendar": calendar},
    )
    return [Window(*row) for row in rows]


def next_run_id(connection: Connection) -> int:
    """The number of the next run, without a gap."""
    return int(connection.execute("SELECT coalesce(max(run_id), 0) + 1 FROM runs").fetchall()[0][0])


def insert_run(
    connection: Connection,
    run: Run,
    plan: RunPlan,
    *,
    content: bytes,
    window_ids: Sequence[int],
    instruction_ids: Sequence[str | None],
) -> None:
    """A run with its windows and parties. A rival's run under way is a unique violation: run it again, and see it."""
    connection.execute(
        "INSERT INTO runs (run_id, state, maker, prepare_time, collected_minor, paid_minor, advance_minor, "
        "advance_limit_minor, content_hash, content) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            run.run_id,
            run.state,
            run.maker,
            run.prepare_time,
            run.collected_minor,
            run.paid_minor,
            run.advance_minor,
            run.advance_limit_minor,
            run.content_hash,
            content,
        ),
    )
    connection.execute(
        "INSERT INTO run_windows (run_id, window_id) SELECT %s, unnest(%s::integer[])", (run.run_id, list(window_ids))
    )
    connection.execute(
        "INSERT INTO run_parties (run_id, participant_id, due_minor, instructed_minor, state, instruction_id) "
        "SELECT %s, * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::text[], %s::text[])",
        (
            run.run_id,
            [party.participant_id for party in plan.parties],
            [party.due_minor for party in plan.parties],
            [party.instructed_minor for party in plan.parties],
            [party.state for party in plan.parties],
            list(instruction_ids),
        ),
    )


def run_under_way(connection: Connection) -> Run | None:
    """The run that is PREPARED, APPROVED or SETTLING; there is at most one."""
    found = _runs(connection, "WHERE state IN ('PREPARED', 'APPROVED', 'SETTLING')", ())
    return found[0] if found else None


def read_run(connection: Connection, run_id: int) -> Run | None:
    """The run as it stands."""
    found = _runs(connection, "WHERE run_id = %s", (run_id,))
    return found[0] if found else None


def lock_run(connection: Connection, run_id: int) -> Run | None:
    """The run, locked until the transaction ends: one step at a time."""
    found = _runs(connection, "WHERE run_id = %s FOR UPDATE", (run_id,))
    return found[0] if found else None


def list_runs(connection: Connection, before: int | None, limit: int) -> list[Run]:
    """Runs with a number below `before`, newest first."""
    return _runs(
        connection, "WHERE (%s::integer IS NULL OR run_id < %s) ORDER BY run_id DESC LIMIT %s", (before, before, limit)
    )


def run_content(connection: Connection, run_id: int) -> bytes:
    """All that was approved of it, canonical bytes."""
    return bytes(connection.execute("SELECT content FROM runs WHERE run_id = %s", (run_id,)).fetchall()[0][0])


def run_windows(connection: Connection, run_id: int) -> list[Window]:
    """The windows of a run, oldest first within their calendar; of an aborted one those it held."""
    rows = connection.execute(
        WINDOWS + " JOIN run_windows r USING (window_id) WHERE r.run_id = %s ORDER BY c.code, w.window_id", (run_id,)
    )
    return [Window(*row) for row in rows]


def run_parties(connection: Connection, run_id: int) -> list[RunParty]:
    """Everybody in a run, in order of their numbers."""
    rows = connection.execute(
        "SELECT r.participant_id, p.code, r.due_minor, r.instructed_minor, r.settled_minor, r.state, r.instruction_id "
        "FROM run_parties r JOIN participants p USING (participant_id) WHERE r.run_id = %s ORDER BY r.participant_id",
        (run_id,),
    )
    return [RunParty(*row) for row in rows]


def set_state(connection: Connection, run_id: int, state: str) -> None:
    """Where the run stands from now on."""
    connection.execute("UPDATE runs SET state = %s WHERE run_id = %s", (state, run_id))


def finish_if_told(connection: Connection, run_id: int) -> bool:
    """DONE, and its windows SETTLED, if the bank said of every instruction what became of it; whether it did."""
    waiting = connection.execute(
        "SELECT EXISTS (SELECT FROM run_parties WHERE run_id = %s AND state = 'WAITING')", (run_id,)
    ).fetchall()[0][0]
    if waiting:
        return False
    set_state(connection, run_id, "DONE")
    connection.execute(
        "UPDATE windows SET state = 'SETTLED' WHERE window_id IN "
        "(SELECT window_id FROM run_windows WHERE run_id = %s AND is_held)",
        (run_id,),
    )
    return True


def withhold(connection: Connection, run_id: int) -> None:
    """What waits is not instructed any more: what is due stays due."""
    connection.execute("UPDATE run_parties SET state = 'FAILED' WHERE run_id = %s AND state = 'WAITING'", (run_id,))


def let_windows_go(connection: Connection, run_id: int) -> None:
    """The run's windows are CLOSED again, without figures: they may be netted anew and join another run."""
    held = "SELECT window_id FROM run_windows WHERE run_id = %s AND is_held"
    connection.execute(f"DELETE FROM net_positions WHERE window_id IN ({held})", (run_id,))
    connection.execute(f"UPDATE windows SET state = 'CLOSED', net_time = NULL WHERE window_id IN ({held})", (run_id,))
    connection.execute("UPDATE run_windows SET is_held = false WHERE run_id = %s", (run_id,))


def bank_accounts(connection: Connection) -> dict[int, BankAccount]:
    """Everybody's account, by participant number."""
    rows = connection.execute(
        "SELECT participant_id, account, bank, holder, mandate_id, mandate_date FROM bank_accounts "
        "ORDER BY participant_id"
    )
    return {row[0]: BankAccount(*row) for row in rows}


def set_bank_accounts(connection: Connection, accounts: Sequence[BankAccount]) -> None:
    """These accounts are used by every run that is prepared from now on; a run keeps those it was prepared with."""
    for account in sorted(accounts, key=lambda each: each.participant_id):
        connection.execute(
            "INSERT INTO bank_accounts (participant_id, account, bank, holder, mandate_id, mandate_date) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (participant_id) DO UPDATE SET account = excluded.account, "
            "bank = excluded.bank, holder = excluded.holder, mandate_id = excluded.mandate_id, "
            "mandate_date = excluded.mandate_date",
            (
                account.participant_id,
                account.account,
                account.bank,
                account.holder,
                account.mandate_id,
                account.mandate_date,
            ),
        )


def run_files(connection: Connection, run_id: int) -> dict[str, RunFile]:
    """What was handed out of a run, by file name."""
    rows = connection.execute(
        "SELECT name, sha256, byte_count FROM run_files WHERE run_id = %s ORDER BY name", (run_id,)
    )
    return {name: RunFile(name, bytes(sha256), count) for name, sha256, count in rows}


def add_run_files(connection: Connection, run_id: int, files: Sequence[RunFile]) -> None:
    """Keep for ever what is handed out."""
    for file in files:
        connection.execute(
            "INSERT INTO run_files (run_id, name, sha256, byte_count) VALUES (%s, %s, %s, %s)",
            (run_id, file.name, file.sha256, file.byte_count),
        )


def instructions(connection: Connection, instruction_ids: Collection[str]) -> dict[str, Instruction]:
    """Those of these instructions that were handed out, by their ids, of runs that were not aborted."""
    rows = connection.execute(
        """
        SELECT p.run_id, p.participant_id, p.instruction_id, p.instructed_minor, p.settled_minor, p.state
        FROM run_parties p JOIN runs r USING (run_id)
        WHERE p.instruction_id = ANY (%s) AND r.state IN ('SETTLING', 'DONE') AND EXISTS (
            SELECT FROM run_files f WHERE f.run_id = p.run_id
                AND starts_with(f.name, CASE WHEN p.instructed_minor < 0 THEN 'collections' ELSE 'payments' END))
        """,
        (sorted(instruction_ids),),
    )
    return {row[2]: Instruction(*row) for row in rows}


def update_instructions(connection: Connection, changed: Sequence[Instruction]) -> None:
    """What the bank said of them so far."""
    connection.execute(
        "UPDATE run_parties AS p SET state = given.state, settled_minor = given.settled "
        "FROM unnest(%s::text[], %s::text[], %s::bigint[]) AS given (instruction_id, state, settled) "
        "WHERE p.instruction_id = given.instruction_id",
        (
            [each.instruction_id for each in changed],
            [each.state for each in changed],
            [each.settled_minor for each in changed],
        ),
    )


def add_advance(connection: Connection, run_id: int, amount_minor: int) -> None:
    """The operator laid out more for this run."""
    connection.execute("UPDATE runs SET advanced_minor = advanced_minor + %s WHERE run_id = %s", (amount_minor, run_id))


def has_result(connection: Connection, sha256: bytes) -> bool:
    """Whether this very file was taken into the books."""
    return bool(connection.execute("SELECT 1 FROM bank_results WHERE sha256 = %s", (sha256,)).fetchall())


def known_lines(connection: Connection, references: Collection[str]) -> dict[str, BankLine]:
    """Lines of these bank references that were taken into the books before."""
    rows = connection.execute(
        "SELECT bank_reference, instruction_id, amount_minor, currency_code, result FROM bank_lines "
        "WHERE bank_reference = ANY (%s)",
        (sorted(references),),
    )
    return {
        reference: BankLine(reference, instruction, amount, currency, Result(result))
        for reference, instruction, amount, currency, result in rows
    }


def add_result(
    connection: Connection,
    sha256: bytes,
    entry_id: int,
    *,
    line_count: int,
    mismatch_count: int,
    lines: Sequence[tuple[Matched, int | None]],
) -> None:
    """Keep a file and its lines, each with the entry that posted it; None for one that moved nothing."""
    connection.execute(
        "INSERT INTO bank_results (sha256, entry_id, line_count, mismatch_count) VALUES (%s, %s, %s, %s)",
        (sha256, entry_id, line_count, mismatch_count),
    )
    rows: list[tuple[Any, ...]] = [
        (
            matched.line.bank_reference,
            sha256,
            matched.line.instruction_id,
            matched.line.amount_minor,
            matched.line.currency_code,
            matched.line.result.value,
            entry,
        )
        for matched, entry in lines
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO bank_lines (bank_reference, sha256, instruction_id, amount_minor, currency_code, result, "
                "entry_id) VALUES (%s, %s, %s, %s, %s, %s, %s)",
                rows,
            )


def _runs(connection: Connection, condition: str, parameters: tuple[object, ...]) -> list[Run]:
    rows = connection.execute(f"{RUNS} {condition}", parameters).fetchall()
    return [replace(Run(*row), content_hash=bytes(row[-1])) for row in rows]
