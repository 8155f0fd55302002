"""The erase drill: an erased member is looked for in every copy that was taken before it was erased.

Promise 18: live tables, a dump and a base backup of the ledger yield nothing at once, with the whole key ring in hand.
A copy of the key database still yields its keys, why it has backups of its own; until the key epoch is destroyed, by
two people, at once where it must be. Then it yields nothing, neither a key nor whose a phone is, to who holds every
copy and the ring. A neighbour who was not erased opens in each state, so the drill sees what there is to see.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from coalition.bootstrap.clock import business_date_in, utc_now
from coalition.bootstrap.databases import KEYDB_SETTINGS, Databases, databases
from coalition.bootstrap.house import lay
from coalition.bootstrap.pins import RingPins
from coalition.bootstrap.strongroom import key_ring, notary
from coalition.config import Settings, load_settings
from coalition.domain.acts import Act, body_hash
from coalition.domain.kinds import Kind
from coalition.domain.members import PROFILE_GROUPS
from coalition.membership.field_groups import RefundAccount
from coalition.membership.profile import Profile
from coalition.membership.reception import Reception
from coalition.membership.records import Records
from coalition.storage.acts import Acts
from coalition.storage.binaries import find_binaries
from coalition.storage.connect import connect
from coalition.storage.embedded import SUPERUSER, EmbeddedPostgres
from coalition.storage.keydb import KeyDatabase
from coalition.storage.membership import MemberStore
from coalition.storage.pool import open_pool
from coalition.storage.rewrapping import MemberKeyRows
from keys import KeyPurpose, KeyRing, KeyUnavailable, WrappedKey, create_authority, issue
from keys.ring_states import confirm_destruction, destroy
from tests.faults.test_canaries import forms
from tests.places import passable_directory

NAME, PHONE, ACCOUNT = "端木Zephyrina Quill", "+8618899001177", "CN99QUILL7788990011"
pytestmark = [pytest.mark.xdist_group("serial"), pytest.mark.timeout(240)]


@dataclass
class House:
    """A house on two instances of its own, whose copies are taken as an operator takes them."""

    settings: Settings
    ring: KeyRing
    databases: Databases

    def reads(self, ledger: str, keydb: str, member_id: UUID, ring: KeyRing | None = None) -> dict[str, object]:
        """What somebody with this ledger, these keys and a whole key ring (ours unless told) reads of a member."""
        ring = ring or self.ring
        with (
            open_pool(ledger, size=1, application="drill") as pool,
            open_pool(keydb, size=1, application="drill") as keydb_pool,
        ):
            acts = Acts(self.settings.lane_count, business_date_in(self.settings.zone), notary(self.ring))
            store = MemberStore(pool.connection, acts, self.settings.lane_count)
            records = Records(store, ring, KeyDatabase(keydb_pool.connection, WrappedKey), os.urandom)
            return dict(records.read(member_id, PROFILE_GROUPS))

    @contextmanager
    def reception(self) -> Iterator[Reception[WrappedKey]]:
        with (
            open_pool(self.databases.dsn(), size=2, application="drill") as pool,
            open_pool(self.databases.keydb_dsn(), size=2, application="drill") as keydb_pool,
        ):
            acts = Acts(self.settings.lane_count, business_date_in(self.settings.zone), notary(self.ring))
            store = MemberStore(pool.connection, acts, self.settings.lane_count)
            keys = KeyDatabase(keydb_pool.connection, WrappedKey)
            yield Reception(
                store, self.ring, keys, utc_now, os.urandom, RingPins(self.ring), retention=timedelta(days=0)
            )


@pytest.fixture
def house() -> Iterator[House]:
    with passable_directory() as directory:
        settings = load_settings(var=directory / "var")
        ring = key_ring(settings)
        with databases(settings) as opened:
            lay(settings, ring, opened.dsn("owner"))
            yield House(settings, ring, opened)


def act(kind: Kind) -> Act:
    return Act(kind, 1, uuid4(), body_hash(kind, {"drill": str(uuid4())}), "/op/drill")


def program(name: str, *arguments: str) -> bytes:
    """Run one of PostgreSQL's own programs, as a backup would."""
    path = find_binaries(None, uid=None, state_root=Path("/tmp")).directory / name
    return subprocess.run([str(path), *arguments], check=True, capture_output=True, timeout=60).stdout


def superuser(dsn: str) -> str:
    return dsn.replace("user=coalition ", f"user={SUPERUSER} ")


@contextmanager
def restored(backup: Path, name: str, directory: Path) -> Iterator[EmbeddedPostgres]:
    """A base backup, brought up as an instance of its own."""
    settings = KEYDB_SETTINGS if name == "keydb" else {"shared_buffers": "64MB"}
    instance = EmbeddedPostgres(directory, name, settings=settings)
    with instance:
        data = instance.data_directory
    owner = data.stat()
    shutil.rmtree(data)
    shutil.copytree(backup, data)
    for path in (data, *data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    data.chmod(0o700)
    with instance:
        yield instance


def rotate_now(house: House) -> str:
    """The command, beside the databases that this process owns."""
    ran = subprocess.run(
        [sys.executable, "-m", "coalition", "keys", "rotate", "--now", "--var", str(house.settings.var)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert 0 == ran.returncode, ran.stderr
    return ran.stdout


def end_of_epoch(house: House, keydb: str, authority: Path) -> KeyRing:
    """What an operator does who cannot wait 35 days: rotate, wrap what is left anew, destroy, two of them. The ring.

    `coalition keys rotate --now`, twice to see that nothing is done twice; `python -m keys confirm-destroy` by each of
    two officers, `destroy`.
    """
    directory = house.settings.keys_directory
    kek = KeyPurpose.KEY_ENCRYPTION
    for made in (True, False):
        told = rotate_now(house)
        assert (made, not made) == ("version 2 made" in told, "0 member keys wrapped anew" in told.split("\n")[0]), told
        assert told.count("confirm-destroy key-encryption 1") == 1
    with connect(superuser(keydb)) as connection:
        assert {2: 1} == MemberKeyRows(connection, WrappedKey).counts()
    create_authority(authority, "coalition.example")
    for name in ("ann", "bob"):
        person = issue(authority, f"spiffe://coalition.example/op/{name}", days=1)
        confirm_destruction(directory, kek, 1, authority=authority, certificate=person.cert, private_key=person.key)
    destroy(directory, kek, 1, authority=authority)
    assert not (directory / "key-encryption-1.key").exists()
    return KeyRing.load(directory)


def phones_found(keydb: str, ring: KeyRing) -> bool:
    """Whether these keys tell whose the neighbour's or the erased member's phone is, to who holds the ring."""
    with open_pool(keydb, size=1, application="drill") as pool:
        keys = KeyDatabase(pool.connection, WrappedKey)
        checks = [ring.index_checks("phone", phone) for phone in (PHONE, "+8618899001178")]
        wanted = {version: [each[version] for each in checks] for version in checks[0]}
        return bool(keys.checked(wanted))


def test_an_erased_member_is_in_no_copy_of_the_ledger(house: House, tmp_path: Path):
    with house.reception() as reception:
        enrolled = [
            reception.enrol(act(Kind.MEMBER_ENROLLED), Profile(NAME, phone, 5), "hq").member_id
            for phone in (PHONE, "+8618899001178")
        ]
        for member_id in enrolled:
            account = RefundAccount("Bank of Quill", ACCOUNT, NAME)
            reception.files.revise(act(Kind.MEMBER_REVISED), member_id, account)
        erased, neighbour = enrolled
        ledger, keydb = house.databases.dsn("owner"), house.databases.keydb_dsn("owner")
        everything = {"identity", "contact", "refund_account"}
        assert everything == house.reads(ledger, keydb, erased).keys()

        # Copies of both, with what a till would have written meanwhile.
        for name, dsn in (("ledger", ledger), ("keydb", keydb)):
            program("pg_basebackup", "-d", superuser(dsn), "-D", str(tmp_path / name), "-X", "stream", "-c", "fast")
        dump = program("pg_dump", "--dbname", superuser(ledger), "--no-sync")
        reception.erasures.request(act(Kind.ERASURE_REQUESTED), erased)
        reception.erasures.approve(replace(act(Kind.MEMBER_ERASED), actor="/ap/ben"), erased)

    assert {} == house.reads(ledger, keydb, erased), "live"
    assert everything == house.reads(ledger, keydb, neighbour).keys()
    after = program("pg_dump", "--dbname", superuser(ledger), "--no-sync")
    assert str(erased).encode() in after, "the journal tells that the member was erased"
    with passable_directory() as directory, restored(tmp_path / "ledger", "ledger", directory) as old_ledger:
        old = old_ledger.dsn(SUPERUSER)
        assert everything == house.reads(old, keydb, neighbour).keys(), "the copy holds what it held"
        assert {} == house.reads(old, keydb, erased), "no key, in no copy of the ledger"
        with restored(tmp_path / "keydb", "keydb", directory) as old_keydb:
            # The state before the epoch is destroyed: why keydb's own backups are kept for days only.
            keys_before = old_keydb.dsn(SUPERUSER)
            assert everything == house.reads(old, keys_before, erased).keys()
            after_epoch = end_of_epoch(house, keydb, tmp_path / "authority")
            assert everything == house.reads(ledger, keydb, neighbour, after_epoch).keys(), (
                "who is left opens as before"
            )
            for member_id in enrolled:
                with pytest.raises(KeyUnavailable, match="version 1 is DESTROYED"):
                    house.reads(old, keys_before, member_id, after_epoch)
            assert not phones_found(keys_before, after_epoch), "nor does a copy tell whose a phone is"
            assert phones_found(keydb, after_epoch)

    written = {
        "dump before": dump,
        "dump after": after,
        **{
            str(file.relative_to(tmp_path)): file.read_bytes()
            for name in ("ledger", "keydb")
            for folder in ("base", "pg_wal")
            for file in (tmp_path / name / folder).rglob("*")
            if file.is_file()
        },
    }
    lower = {place: data.rstrip(b"\0").lower() for place, data in written.items()}
    needles = {form for canary in (NAME, PHONE, ACCOUNT) for form in forms(canary)}
    assert [] == [place for place, data in lower.items() for needle in needles if needle in data]
    assert any(b"quill" not in data and str(erased).encode() in data for data in lower.values())
