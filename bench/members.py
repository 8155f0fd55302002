"""Members by the hundred thousand: sealing and storing them beside the bare cipher and COPY, and finding one by phone.

`python -m bench.members --members 1000000` measures these rows alone, on databases of its own.
"""

import argparse
import logging
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.figures import Figure, figure
from coalition.bootstrap.clock import business_date_in, utc_now
from coalition.bootstrap.databases import databases
from coalition.bootstrap.house import lay
from coalition.bootstrap.pins import RingPins
from coalition.bootstrap.strongroom import notary
from coalition.client import new_request_id
from coalition.config import load_settings
from coalition.domain.acts import Act
from coalition.domain.kinds import Kind
from coalition.domain.members import Reader
from coalition.membership.field_groups import Contact, Identity
from coalition.membership.intake import Arrival
from coalition.membership.profile import Profile
from coalition.membership.reception import Reception
from coalition.storage.acts import Acts
from coalition.storage.connect import connect
from coalition.storage.keydb import KeyDatabase
from coalition.storage.membership import MemberStore
from coalition.storage.pool import open_pool
from keys import WrappedKey, create_ring

LINES: Final = 500
LOOKS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Counter:
    """A reception with real keys and both databases. `owner` is the ledger's dsn as its owner."""

    reception: Reception[WrappedKey]
    operator_id: int
    owner: str


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.members", description=__doc__)
    parser.add_argument("--members", type=int, default=100_000, help="members in the ledger (default 100000)")
    options = parser.parse_args()
    var = Path(tempfile.mkdtemp(prefix="coalition-bench-", dir="/tmp"))
    var.chmod(0o755)
    try:
        with counter(var, options.members) as here:
            for each in member_figures(here, options.members):
                print(f"{each.name:18} {each.rate_per_s:10,.0f}/s  p50 {each.p50_ms:.2f} ms  p99 {each.p99_ms:.2f} ms")
    finally:
        shutil.rmtree(var, ignore_errors=True)


def member_figures(here: Counter, members: int) -> list[Figure]:
    """`bare_aead_copy`, `seal_store` of the first and of the last members, and `phone_lookup` among all of them."""
    store = [seal_store(here, first, LINES) for first in range(0, members, LINES)]
    with connect(here.owner) as connection:
        connection.execute("VACUUM (ANALYZE)")
    last = store[-max(1, min(len(store), 40)) :]
    early = store[: max(1, min(len(store), 40))]
    return [
        bare_aead_copy(here, 40),
        figure("seal_store", LINES * len(early), sum(early), early),
        figure("seal_store_late", LINES * len(last), sum(last), last),
        phone_lookup(here, members),
    ]


def phone_of(number: int) -> str:
    """The phone of a member by its number."""
    return f"+861{3_000_000_000 + number}"


def seal_store(here: Counter, first: int, count: int) -> float:
    """Seconds that one act took: members normalised, looked for, sealed and stored with their keys."""
    arrivals = [Arrival(Profile(f"Member {number}", phone_of(number), 5)) for number in range(first, first + count)]
    act = Act(Kind.MEMBERS_IMPORTED, here.operator_id, UUID(new_request_id()), os.urandom(32), "/op/bench")
    before = time.perf_counter()
    _, lines = here.reception.intake.take(act, "hq", arrivals)
    seconds = time.perf_counter() - before
    if any(line.member_id is None for line in lines):
        raise SystemExit("a member of the bench was refused")
    return seconds


def bare_aead_copy(here: Counter, rounds: int) -> Figure:
    """The same plaintexts under one bare AES-256-GCM key, copied into a table without an index, committed as often."""
    cipher, seconds = AESGCM(AESGCM.generate_key(256)), []
    with connect(here.owner) as connection:
        connection.execute("CREATE TABLE bench_records (member_id uuid, field_group text, sealed bytea)")
        for first in range(0, rounds * LINES, LINES):
            before = time.perf_counter()
            with (
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy("COPY bench_records FROM STDIN") as copy,
            ):
                for number in range(first, first + LINES):
                    member_id = UUID(bytes=os.urandom(16), version=4)
                    for part in (Contact(phone_of(number)), Identity(f"Member {number}", 5)):
                        nonce = os.urandom(12)
                        sealed = nonce + cipher.encrypt(nonce, part.packed(), member_id.bytes)
                        copy.write_row((member_id, part.group, sealed))
            seconds.append(time.perf_counter() - before)
    return figure("bare_aead_copy", rounds * LINES, sum(seconds), seconds)


def phone_lookup(here: Counter, members: int) -> Figure:
    """One look after the other: candidates found and opened, the act of the look committed, the member shown masked."""
    reader, draw, latencies = Reader(here.operator_id, "/op/bench"), random.Random(7), []
    for _ in range(LOOKS):
        phone = phone_of(draw.randrange(members))
        before = time.perf_counter()
        here.reception.reading.by_phone(reader, phone, "DISPUTE")
        latencies.append(time.perf_counter() - before)
    return figure("phone_lookup", LOOKS, sum(latencies), latencies)


@contextmanager
def counter(var: Path, members: int) -> Iterator[Counter]:
    """A reception on databases of its own below `var`, its blind index planned for so many members."""
    settings = load_settings(var=var)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    ring = create_ring(settings.keys_directory, random=os.urandom, create_time=utc_now(), members=members)
    with databases(settings) as opened:
        lay(settings, ring, opened.dsn("owner"))
        pools = [open_pool(dsn, size=2, application="bench") for dsn in (opened.dsn(), opened.keydb_dsn())]
        acts = Acts(settings.lane_count, business_date_in(settings.zone), notary(ring))
        reception = Reception(
            MemberStore(pools[0].connection, acts, settings.lane_count),
            ring,
            KeyDatabase(pools[1].connection, WrappedKey),
            utc_now,
            os.urandom,
            RingPins(ring),
        )
        with connect(opened.dsn("owner")) as connection:
            ((operator_id,),) = connection.execute("SELECT operator_id FROM scheme").fetchall()
        yield Counter(reception, operator_id, opened.dsn("owner"))
        for pool in pools:
            pool.close()


if __name__ == "__main__":
    main()
