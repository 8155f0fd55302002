"""Keys in a hardware module, on a real SoftHSM2: they do what files do, and cannot be read by anybody.

Skipped where SoftHSM2 is not installed (Debian: apt install softhsm2); .ci/run installs it.
"""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from shutil import which
from urllib.parse import quote
from uuid import UUID

import pytest

from keys import (
    KeyPurpose,
    KeyRing,
    KeyUnavailable,
    SealBroken,
    WrappedKey,
    create_authority,
    create_ring,
    issue,
    seal,
    verify,
)
from keys.errors import CustodyRefused, KeyFileExists, KeyFileMissing, PermissionsTooOpen
from keys.pkcs11_keys import token_of
from keys.pkcs11_uri import parse_pkcs11_uri
from keys.ring_making import rotate_key
from keys.ring_states import confirm_destruction, destroy, schedule_destruction

MODULES = [Path("/usr/lib/softhsm/libsofthsm2.so"), Path("/usr/lib64/pkcs11/libsofthsm2.so")]
MODULE = next((path for path in MODULES if path.exists()), None)
TOKEN = "coalition test"
PIN = "4711-0815"
SALT = bytes(16)


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A token of SoftHSM2 with its PIN in a file; answers the file. The module is configured once a process."""
    if MODULE is None or which("softhsm2-util") is None:
        pytest.skip("SoftHSM2 is not installed; on Debian: apt install softhsm2")
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    configuration = home / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(configuration)
    made = ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--pin", PIN, "--so-pin", "officer-1"]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    pin = home / "pin"
    pin.write_text(PIN + "\n")
    pin.chmod(0o600)
    yield pin
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture
def place(token: Path) -> str:
    return f"pkcs11:token={quote(TOKEN)}?module-path={MODULE}&pin-source=file:{token}"


@pytest.fixture
def hsm(tmp_path: Path, place: str) -> KeyRing:
    """A ring whose keys are all in the module."""
    return create_ring(tmp_path / "hsm", random=os.urandom, place=place)


def test_a_ring_in_the_module_does_all_that_a_ring_of_files_does(hsm: KeyRing, tmp_path: Path, member_id: UUID):
    wrapped = hsm.new_member(member_id)[0]
    sealed = hsm.sealer(member_id, wrapped).seal("identity", member_id, 1, b"Zhang Wei")
    tag, signature, token = hsm.pin_tag("m", SALT, "123456"), hsm.sign_batch(b"root"), hsm.card_token("7")
    box = seal(hsm.pin_public_key()[1], b"123456", b"here")
    again = KeyRing.load(tmp_path / "hsm")
    assert b"Zhang Wei" == again.sealer(member_id, wrapped).open("identity", member_id, 1, sealed)
    assert again.pin_matches("m", SALT, "123456", tag)
    assert not again.pin_matches("m", SALT, "123457", tag)
    assert verify(again.batch_public_key(), signature, b"root")
    assert not verify(again.batch_public_key(), signature, b"boot")
    assert "123456" == again.open_pin(box, b"here")
    assert (token, hsm.blind_index("phone", "7")) == (again.card_token("7"), again.blind_index("phone", "7"))
    assert {"pkcs11"} == {version.uri.split(":")[0] for version in again.versions}


def test_the_module_computes_what_the_published_algorithms_say(hsm: KeyRing, member_id: UUID):
    """A signature is Ed25519, a wrap is RFC 3394: what the module makes, others can check and, with the key, open."""
    assert 64 == len(hsm.sign_batch(b"root"))
    assert hsm.sign_batch(b"root") == hsm.sign_batch(b"root")
    assert 40 == len(hsm.new_member(member_id)[0].wrapped)


def test_no_key_of_the_module_can_be_read_or_used_for_anything_else(hsm: KeyRing, token: Path):
    import pkcs11
    from pkcs11 import Attribute, ObjectClass

    session = pkcs11.lib(str(MODULE)).get_token(token_label=TOKEN).open()
    prefix = f"coalition/{hsm.deployment_id}/"
    found = [key for key in session.get_objects() if str(key[Attribute.LABEL]).startswith(prefix)]
    secret = [key for key in found if key[Attribute.CLASS] is not ObjectClass.PUBLIC_KEY]
    assert len(KeyPurpose) == len(secret)
    for key in secret:
        assert (True, False) == (key[Attribute.SENSITIVE], key[Attribute.EXTRACTABLE])
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]
        assert not key[Attribute.DECRYPT]


def test_only_wrapped_bytes_are_beside_the_ring_file(hsm: KeyRing, tmp_path: Path):
    assert {"ring.json", "pin-sealing-1.wrapped"} == {path.name for path in (tmp_path / "hsm").iterdir()}
    assert PIN not in (tmp_path / "hsm" / "ring.json").read_text()


def test_a_wrap_that_was_changed_or_is_of_another_member_does_not_open(hsm: KeyRing, member_id: UUID):
    wrapped = hsm.new_member(member_id)[0]
    other = hsm.new_member(UUID(int=7))[0]
    flipped = [bytes(byte ^ (at == place) for at, byte in enumerate(wrapped.wrapped)) for place in range(40)]
    damaged = [replace(wrapped, wrapped=bad) for bad in flipped]
    damaged += [replace(wrapped, wrapped=wrapped.wrapped[:size]) for size in (0, 7, 8, 32, 39)]
    damaged += [replace(wrapped, wrapped=wrapped.wrapped * 2), replace(wrapped, wrapped=other.wrapped)]
    for bad in damaged:
        with pytest.raises(SealBroken) as caught:
            hsm.sealer(member_id, bad)
        assert None is caught.value.__context__


def test_one_ring_in_the_module_serves_many_threads(hsm: KeyRing, member_id: UUID):
    """A session of a module does one thing at a time; callers need not know."""
    expected = (hsm.card_token("7"), hsm.sign_batch(b"root"))
    wrong: list[object] = []

    def work() -> None:
        try:
            for _ in range(20):
                if (hsm.card_token("7"), hsm.sign_batch(b"root")) != expected:
                    wrong.append("another answer")
                hsm.sealer(member_id, hsm.new_member(member_id)[0])
        except Exception as trouble:  # noqa: BLE001 - whatever it is, the test must fail
            wrong.append(trouble)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [] == wrong


def test_a_ring_of_files_moves_into_the_module_key_by_key(
    ring: KeyRing, ring_directory: Path, place: str, member_id: UUID, wrapped: WrappedKey
):
    for purpose in (KeyPurpose.KEY_ENCRYPTION, KeyPurpose.BATCH_SIGNING, KeyPurpose.PIN):
        rotate_key(ring_directory, purpose, random=os.urandom, place=place)
    mixed = KeyRing.load(ring_directory)
    assert {"file", "pkcs11"} == {version.uri.split(":")[0] for version in mixed.versions}
    mixed.sealer(member_id, wrapped)
    assert (2, ring.card_token("7")) == (mixed.new_member(member_id)[0].kek_version, mixed.card_token("7"))


def test_a_key_destroyed_by_two_is_gone_from_the_module(hsm: KeyRing, tmp_path: Path, place: str, member_id: UUID):
    directory, wrapped = tmp_path / "hsm", hsm.new_member(member_id)[0]
    first = next(version for version in hsm.versions if version.purpose is KeyPurpose.KEY_ENCRYPTION)
    rotate_key(directory, KeyPurpose.KEY_ENCRYPTION, random=os.urandom, place=place)
    authority = tmp_path / "authority"
    create_authority(authority, "coalition.example")
    schedule_destruction(directory, KeyPurpose.KEY_ENCRYPTION, 1, days=0)
    for name in ("alice", "bob"):
        files = issue(authority, f"spiffe://coalition.example/op/{name}", days=1)
        confirm_destruction(
            directory,
            KeyPurpose.KEY_ENCRYPTION,
            1,
            authority=authority,
            certificate=files.cert,
            private_key=files.key,
        )
    destroy(directory, KeyPurpose.KEY_ENCRYPTION, 1, authority=authority)
    with pytest.raises(KeyUnavailable, match="version 1 is DESTROYED"):
        KeyRing.load(directory).sealer(member_id, wrapped)
    import pkcs11

    session = pkcs11.lib(str(MODULE)).get_token(token_label=TOKEN).open()
    assert [] == list(session.get_objects({pkcs11.Attribute.LABEL: parse_pkcs11_uri(first.uri).object}))


def test_making_that_fails_leaves_no_key_in_the_module(tmp_path: Path, place: str):
    import pkcs11

    session = pkcs11.lib(str(MODULE)).get_token(token_label=TOKEN).open()
    before = len(list(session.get_objects()))
    answers = iter([bytes(16)])  # the deployment's id, and nothing for the box key
    with pytest.raises(ValueError, match="answered 0 bytes"):
        create_ring(tmp_path / "hsm", random=lambda _: next(answers, b""), place=place)
    assert (before, []) == (len(list(session.get_objects())), list((tmp_path / "hsm").iterdir()))


def test_a_ring_file_copied_elsewhere_finds_its_keys_but_not_its_box_key(hsm: KeyRing, tmp_path: Path):
    copy = tmp_path / "copy"
    copy.mkdir(mode=0o700)
    (copy / "ring.json").write_bytes((tmp_path / "hsm" / "ring.json").read_bytes())
    (copy / "ring.json").chmod(0o600)
    with pytest.raises(KeyFileMissing, match=r"pin-sealing-1\.wrapped"):
        KeyRing.load(copy)
    (copy / "pin-sealing-1.wrapped").write_bytes(bytes(40))
    (copy / "pin-sealing-1.wrapped").chmod(0o600)
    with pytest.raises(CustodyRefused, match="does not open the file"):
        KeyRing.load(copy)


@pytest.mark.parametrize(("change", "sentence"), [
    (lambda uri: uri.replace("token=", "token=x"), "NoSuchToken"),
    (lambda uri: uri.replace("libsofthsm2", "libnothing"), "see to the module"),
    (lambda uri: uri.replace("pin-source=", "pin-value=4711-0815&pin-source="), "a PIN has no place in a URI"),
    (lambda uri: uri.replace("pin-source=file:", "pin-source=file:."), "whole path"),
    (lambda uri: uri.split("?")[0], "module-path is missing"),
    (lambda uri: uri + "&love=1", "'love' is unknown"),
    (lambda uri: uri + "&wrapped", "'wrapped' is unknown, empty"),
    (lambda uri: uri + "&module-path=/x", "given twice"),
])  # fmt: skip
def test_a_place_that_is_wrong_is_refused_by_what_is_wrong_with_it(
    tmp_path: Path, place: str, change: Callable[[str], str], sentence: str
):
    with pytest.raises(CustodyRefused, match=sentence) as caught:
        create_ring(tmp_path / "hsm", random=os.urandom, place=change(place))
    assert PIN not in str(caught.value)
    assert [] == list((tmp_path / "hsm").iterdir())


def test_a_pin_file_that_is_missing_or_open_to_others_is_refused(tmp_path: Path, token: Path, place: str):
    elsewhere = tmp_path / "pin"
    with pytest.raises(KeyFileMissing, match="user PIN"):
        create_ring(tmp_path / "hsm", random=os.urandom, place=place.replace(str(token), str(elsewhere)))
    elsewhere.write_text(PIN)
    elsewhere.chmod(0o644)
    with pytest.raises(PermissionsTooOpen):
        create_ring(tmp_path / "hsm", random=os.urandom, place=place.replace(str(token), str(elsewhere)))


def test_a_wrong_pin_is_told_from_a_wrong_token(tmp_path: Path, token: Path, place: str):
    """In a process of its own: in this one the token is logged in to already."""
    wrong = tmp_path / "pin"
    wrong.write_text("0000")
    wrong.chmod(0o600)
    custody = place.replace(str(token), str(wrong))
    refused = subprocess.run(
        [sys.executable, "-m", "keys", "init", str(tmp_path / "hsm"), "--custody", custody],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (1, True) == (refused.returncode, "PinIncorrect" in refused.stderr), refused.stderr
    assert "0000" not in refused.stderr


def test_files_left_by_another_ring_are_never_overwritten(tmp_path: Path, place: str):
    (tmp_path / "hsm").mkdir(mode=0o700)
    (tmp_path / "hsm" / "pin-sealing-1.wrapped").write_bytes(b"precious")
    with pytest.raises(KeyFileExists):
        create_ring(tmp_path / "hsm", random=os.urandom, place=place)


def test_a_session_that_the_module_has_dropped_is_made_again(hsm: KeyRing, place: str, member_id: UUID):
    """A module that was restarted, or a token that was pulled out and is back: no server is started anew for it."""
    wrapped, cipher = hsm.new_member(member_id)
    before = hsm.card_token("7"), hsm.sign_batch(b"root")
    sealed = cipher.seal("identity", member_id, 1, b"text")
    for _ in range(2):
        drop_session(place)
        assert b"text" == hsm.sealer(member_id, wrapped).open("identity", member_id, 1, sealed)
        drop_session(place)
        assert before == (hsm.card_token("7"), hsm.sign_batch(b"root"))
        assert 40 == len(hsm.new_member(member_id)[0].wrapped)


def test_a_key_that_is_wrong_is_still_wrong_with_a_new_session(hsm: KeyRing, place: str, member_id: UUID):
    wrapped = hsm.new_member(member_id)[0]
    drop_session(place)
    with pytest.raises(SealBroken):
        hsm.sealer(member_id, replace(wrapped, wrapped=wrapped.wrapped[:-1] + bytes([wrapped.wrapped[-1] ^ 1])))


def drop_session(place: str) -> None:
    with token_of(place).at_work(place) as session:
        session.close()
