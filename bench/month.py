"""The month at scale: close and net of few and of many claims, re-deriving beside a bare GROUP BY, statements.

`python -m bench.month --claims 10000000` prints close_net_1m and close_net_10m; `make bench` runs a tenth of it. Claims
are copied into the journal of a database of its own; everything measured is the real command's code.
"""

import argparse
import random
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import Figure, figure, median_figure
from coalition.bootstrap.databases import databases
from coalition.bootstrap.house import lay
from coalition.bootstrap.strongroom import key_ring, notary
from coalition.config import load_settings
from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.ids import entry_id
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.followers.follower import Follower
from coalition.storage import settlement as store
from coalition.storage.connect import Connection, connect
from coalition.storage.positions import POSITIONS
from settlement import closing, netting, rederiving, report

PARTICIPANTS: Final = 1_000
COUNTERPARTIES: Final = 20
BATCH: Final = 1_000  # entries of a batch, one claim each
CODES: Final = (TransferCode.PRINCIPAL, TransferCode.BONUS)
CLAIMS: Final = 1_000_000
STATEMENT_CLAIMS: Final = 100_000
ROUNDS: Final = 5
MONTHS: Final = 3  # of each size
FIRST_WINDOW: Final = "2017-01"
BYTES_PER_MAXRSS: Final = 1024


@dataclass(frozen=True, slots=True)
class Books:
    """A ledger with many participants. `dsn` is the settlement's, `owner` may copy into the journal."""

    dsn: str
    owner: str
    notary: Notary
    participant_ids: tuple[int, ...]

    def connect(self) -> Connection:
        return connect(self.dsn, "bench")

    def follower(self, connection: Connection) -> Follower:
        return Follower(POSITIONS, self.connect, lambda: store.now(connection), time.sleep)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.month", description=__doc__)
    parser.add_argument("--claims", type=int, default=CLAIMS, help=f"claims of the large window (default {CLAIMS})")
    parser.add_argument(
        "--statement-claims",
        type=int,
        default=STATEMENT_CLAIMS,
        help=f"claims of the window whose statements are made (default {STATEMENT_CLAIMS})",
    )
    options = parser.parse_args()
    var = Path(tempfile.mkdtemp(prefix="coalition-bench-", dir="/tmp"))
    var.chmod(0o755)
    try:
        for each in month_figures(var, options.claims, options.statement_claims, say=print):
            print(f"{each.name:18} {each.rate_per_s:14,.0f}/s  {each.p50_ms:12,.1f} ms")
    finally:
        shutil.rmtree(var, ignore_errors=True)


def month_figures(var: Path, claims: int, statement_claims: int, *, say: Callable[[str], None]) -> list[Figure]:
    """A row for each measurement; the latency is the whole command's."""
    figures = []
    with books(var) as here:
        last = label = FIRST_WINDOW
        for count in (claims // 10, claims):
            folding, closing_netting = [], []
            for _ in range(MONTHS):
                say(f"copying {count:,} claims")
                copy_claims(here, label, count)
                seconds = fold(here)
                folding.append(figure(f"fold_{short(count)}", count, seconds, [seconds]))
                say(f"close and net {count:,} claims")
                last = label
                seconds, label = close_net(here, last)
                closing_netting.append(figure(f"close_net_{short(count)}", 1, seconds, [seconds]))
            figures += [median_figure(folding), median_figure(closing_netting)]
        say("re-deriving")
        bare, full = [], []
        for _ in range(ROUNDS):
            seconds = bare_group_by(here, last)
            bare.append(figure("bare_group_by", claims, seconds, [seconds]))
            seconds = timed(lambda: rederive(here, last))
            full.append(figure("rederive", claims, seconds, [seconds]))
        figures += [median_figure(bare), median_figure(full)]
        say(f"statements of {statement_claims:,} claims")
        copy_claims(here, label, statement_claims, with_entries=True)
        fold(here)
        close_net(here, label)
        before = peak_megabytes()
        seconds = timed(lambda: write_report(here, label, var / "report"))
        say(f"memory at most {before:.0f} MB before the statements, {peak_megabytes():.0f} MB after")
        figures.append(figure(f"statements_{PARTICIPANTS}", PARTICIPANTS, seconds, [seconds]))
    return figures


@contextmanager
def books(var: Path) -> Iterator[Books]:
    """A new ledger below `var` with PARTICIPANTS participants and an open window 2017-01."""
    settings = load_settings(var=var, first_window=FIRST_WINDOW)
    ring = key_ring(settings)
    with databases(settings) as opened:
        lay(settings, ring, opened.dsn("owner"))
        with connect(opened.dsn("owner")) as connection:
            connection.execute(
                "INSERT INTO participants (code, display_name, role, create_time) "
                "SELECT 'merchant-' || n, '商户 ' || n, 'ALLIANCE', now() FROM generate_series(1, %s) n",
                (PARTICIPANTS,),
            )
            rows = connection.execute("SELECT participant_id FROM participants WHERE role = 'ALLIANCE' ORDER BY 1")
            numbers = tuple(number for (number,) in rows)
        yield Books(opened.dsn("settlement"), opened.dsn("owner"), notary(ring), numbers)


def copy_claims(here: Books, label: str, count: int, *, with_entries: bool = False) -> None:
    """Append `count` claims of the window to the journal, COPY into each table; entries only where they are read.

    Vacuumed and analysed then, as a month that takes a month to write is.
    """
    draw = random.Random(count)
    with connect(here.owner) as connection, connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        ((window, first),) = cursor.execute(
            "SELECT window_id, (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM journal_number) + 1 "
            "FROM windows WHERE label = %s",
            (label,),
        ).fetchall()
        batches = -(-count // BATCH)
        with cursor.copy("COPY batches (number, time, count, root, signature) FROM STDIN") as copy:
            zero = "\\\\x" + "00" * 32
            for number in range(first, first + batches):
                copy.write(f"{number}\t2017-01-15 03:04:05+00\t{BATCH}\t{zero}\t{zero}\n")
        columns = "lane, entry_id, leg, debit, credit, amount_minor, code, unit, window_id"
        with cursor.copy(f"COPY transfers ({columns}) FROM STDIN") as copy:
            for entry, place, debtor, creditor in claims_of(here, first, count):
                accounts = f"{clearing_account(debtor)}\t{clearing_account(creditor)}"
                amount, code = draw.randrange(100, 50_000), CODES[place % len(CODES)]
                copy.write(f"0\t{entry}\t0\t{accounts}\t{amount}\t{code:d}\t1\t{window}\n")
        if with_entries:
            columns = (
                "lane, entry_id, kind, reason, participant_id, request_id, amount_minor, business_date, actor, "
                "sale_reference, answer, leaf"
            )
            with cursor.copy(f"COPY entries ({columns}) FROM STDIN") as copy:
                for entry, place, _, creditor in claims_of(here, first, count):
                    request = f"{place:08x}-0000-7000-8000-{entry:012x}"
                    copy.write(
                        f"0\t{entry}\t{Kind.PURCHASE:d}\t0\t{creditor}\t{request}\t100\t2017-01-15\t/t/bench\tR-{place}\t\t\n"
                    )
        cursor.execute("SELECT setval('journal_number', %s)", (first + batches - 1,))
        cursor.execute("VACUUM (ANALYZE) batches, entries, transfers")


def claims_of(here: Books, first: int, count: int) -> Iterator[tuple[int, int, int, int]]:
    """(entry, place, debtor, creditor): every creditor has the same COUNTERPARTIES debtors all the time."""
    numbers = here.participant_ids
    for place in range(count):
        creditor = place * 7919 % PARTICIPANTS
        debtor = (creditor + 1 + 41 * (place // PARTICIPANTS % COUNTERPARTIES)) % PARTICIPANTS
        entry = entry_id(first + place // BATCH, place % BATCH, 0)
        yield entry, place, numbers[debtor], numbers[creditor]


def fold(here: Books) -> float:
    """Seconds until the follower has caught up."""
    with here.connect() as connection:
        return timed(lambda: here.follower(connection).catch_up())


def close_net(here: Books, label: str) -> tuple[float, str]:
    """Seconds of both commands' work, after the follower has caught up; and the window that is open now."""
    before = time.perf_counter()
    with here.connect() as connection:
        closed = closing.close(
            connection,
            "monthly",
            label=label,
            following=None,
            clock=lambda: store.now(connection),
            sleep=time.sleep,
            notary=here.notary,
        )
        netting.net(connection, here.follower(connection), "monthly", label, notary=here.notary)
    return time.perf_counter() - before, closed.next_label


def rederive(here: Books, label: str) -> None:
    """The command's work."""
    with here.connect() as connection:
        rederiving.rederive(connection, here.follower(connection), "monthly", label)


def bare_group_by(here: Books, label: str) -> float:
    """Seconds of the least that anybody could ask of the database for the same figures."""
    with here.connect() as connection:
        ((window,),) = connection.execute("SELECT window_id FROM windows WHERE label = %s", (label,)).fetchall()
        connection.execute("SET statement_timeout = 0")
        return timed(
            lambda: connection.execute(
                "SELECT debit, credit, code, sum(amount_minor) FROM transfers WHERE window_id = %s GROUP BY 1, 2, 3",
                (window,),
            ).fetchall()
        )


def write_report(here: Books, label: str, directory: Path) -> None:
    """The whole report, unsealed."""
    with here.connect() as connection:
        report.write(connection, "monthly", label, directory)


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` took."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def peak_megabytes() -> float:
    """The most memory this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_MAXRSS / 1e6


def short(count: int) -> str:
    """1000000 as 1m, 100000 as 100k."""
    return f"{count // 1_000_000}m" if count >= 1_000_000 else f"{count // 1_000}k"


if __name__ == "__main__":
    main()
