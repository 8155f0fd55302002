"""Keys under AWS KMS, on moto: the directory alone opens nothing, and a file opens as what it was made for."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from keys import KeyPurpose, KeyRing, create_ring, seal, verify
from keys.errors import CustodyRefused, KeyFileExists, KeyFileMissing
from keys.ring_making import rotate_key

moto = pytest.importorskip("moto", reason="moto, a stand-in for AWS, is not installed: make dev")
boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install 'coalition[kms]'")

REGION = "eu-central-1"
SALT = bytes(16)


@pytest.fixture(scope="module")
def kms() -> Iterator[Any]:
    """An AWS of this process, with KMS in it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.setenv(name, "testing")
        with moto.mock_aws():
            yield boto3.client("kms", region_name=REGION)


@pytest.fixture(scope="module")
def place(kms: Any) -> str:
    return f"awskms:{kms.create_key()['KeyMetadata']['Arn']}"


@pytest.fixture
def cloud(tmp_path: Path, place: str) -> KeyRing:
    return create_ring(tmp_path / "cloud", random=os.urandom, place=place)


def test_a_ring_under_kms_does_all_that_a_ring_of_files_does(cloud: KeyRing, tmp_path: Path, member_id: UUID):
    wrapped = cloud.new_member(member_id)[0]
    sealed = cloud.sealer(member_id, wrapped).seal("identity", member_id, 1, b"Zhang Wei")
    tag = cloud.pin_tag("m", SALT, "123456")
    again = KeyRing.load(tmp_path / "cloud")
    assert b"Zhang Wei" == again.sealer(member_id, wrapped).open("identity", member_id, 1, sealed)
    assert again.pin_matches("m", SALT, "123456", tag)
    assert verify(again.batch_public_key(), cloud.sign_batch(b"root"), b"root")
    assert "123456" == again.open_pin(seal(again.pin_public_key()[1], b"123456", b"here"), b"here")
    assert {"awskms"} == {version.uri.split(":")[0] for version in again.versions}


def test_no_key_is_in_the_directory(tmp_path: Path, place: str):
    drawn: list[bytes] = []

    def remembering(size: int) -> bytes:
        drawn.append(os.urandom(size))
        return drawn[-1]

    create_ring(tmp_path / "cloud", random=remembering, place=place)
    text = b"".join(path.read_bytes() for path in (tmp_path / "cloud").iterdir())
    assert len(KeyPurpose) == sum(len(secret) == 32 and secret not in text for secret in drawn)


def test_a_file_opens_as_the_key_it_was_made_for_alone(cloud: KeyRing, tmp_path: Path):
    """The encryption context binds it to deployment, purpose and version."""
    pin, tokens = tmp_path / "cloud" / "pin-1.wrapped", tmp_path / "cloud" / "card-token-1.wrapped"
    pin.write_bytes(tokens.read_bytes())
    with pytest.raises(CustodyRefused, match="InvalidCiphertextException"):
        KeyRing.load(tmp_path / "cloud")
    pin.write_bytes(b"no ciphertext")
    with pytest.raises(CustodyRefused, match=r"pin-1\.wrapped"):
        KeyRing.load(tmp_path / "cloud")
    pin.unlink()
    with pytest.raises(KeyFileMissing, match=r"pin-1\.wrapped"):
        KeyRing.load(tmp_path / "cloud")


def test_the_context_that_kms_logs_names_the_key(kms: Any, cloud: KeyRing, tmp_path: Path):
    blob = (tmp_path / "cloud" / "pin-1.wrapped").read_bytes()
    context = {
        "coalition-deployment": str(cloud.deployment_id),
        "coalition-purpose": "pin",
        "coalition-version": "1",
    }
    assert 32 == len(kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"])
    for wrong in ({}, {**context, "coalition-version": "2"}, {**context, "coalition-deployment": "x"}):
        with pytest.raises(kms.exceptions.InvalidCiphertextException):
            kms.decrypt(CiphertextBlob=blob, EncryptionContext=wrong)


def test_a_file_is_taken_from_no_other_key_of_the_account(kms: Any, cloud: KeyRing, tmp_path: Path):
    other = kms.create_key()["KeyMetadata"]["Arn"]
    path = tmp_path / "cloud" / "ring.json"
    first = next(version for version in cloud.versions if version.purpose is KeyPurpose.PIN).uri
    own = first.removeprefix("awskms:").partition("?")[0]
    path.write_text(path.read_text().replace(own, other))
    with pytest.raises(CustodyRefused, match="KMS answers"):
        KeyRing.load(tmp_path / "cloud")


def test_a_ring_of_files_moves_under_kms_key_by_key(ring: KeyRing, ring_directory: Path, place: str, member_id: UUID):
    wrapped = ring.new_member(member_id)[0]
    rotate_key(ring_directory, KeyPurpose.KEY_ENCRYPTION, random=os.urandom, place=place)
    mixed = KeyRing.load(ring_directory)
    mixed.sealer(member_id, wrapped)
    assert 2 == mixed.new_member(member_id)[0].kek_version


@pytest.mark.parametrize("place", [
    "awskms:", "awskms:alias/coalition", "awskms:1234", "awskms:arn:aws:kms:eu-central-1:1",
])  # fmt: skip
def test_a_place_that_is_no_arn_is_refused_before_anything_is_asked(tmp_path: Path, place: str):
    with pytest.raises(CustodyRefused, match="ARN of a symmetric key"):
        create_ring(tmp_path / "cloud", random=os.urandom, place=place)
    assert [] == list((tmp_path / "cloud").iterdir())


def test_a_key_that_kms_does_not_have_leaves_nothing_behind(kms: Any, tmp_path: Path):
    nowhere = f"awskms:arn:aws:kms:{REGION}:123456789012:key/00000000-0000-4000-8000-000000000000"
    with pytest.raises(CustodyRefused, match="KMS answers NotFoundException"):
        create_ring(tmp_path / "cloud", random=os.urandom, place=nowhere)
    assert [] == list((tmp_path / "cloud").iterdir())


def test_files_left_by_another_ring_are_never_overwritten(tmp_path: Path, place: str):
    (tmp_path / "cloud").mkdir(mode=0o700)
    (tmp_path / "cloud" / "pin-1.wrapped").write_bytes(b"precious")
    with pytest.raises(KeyFileExists):
        create_ring(tmp_path / "cloud", random=os.urandom, place=place)
