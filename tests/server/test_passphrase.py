"""A server whose key ring has a passphrase: it starts with the file that holds it, and says what is missing without."""

from pathlib import Path

import pytest

from coalition.bootstrap.errors import StrongroomRefused
from coalition.bootstrap.strongroom import existing_key_ring, key_ring
from coalition.config import load_settings
from keys import passphrase as stretching


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(stretching, "MEMORY_KIB", 64)
    file = tmp_path / "passphrase"
    file.write_text("correct horse battery staple\n")
    file.chmod(0o600)
    return file


def test_a_ring_made_by_a_server_with_a_passphrase_opens_for_those_who_have_it(secret: Path, tmp_path: Path):
    var = tmp_path / "var"
    ring = key_ring(load_settings(var=var, keys_passphrase_file=secret))
    assert [] == list((var / "keys").glob("*.key"))
    again = existing_key_ring(load_settings(var=var, keys_passphrase_file=secret))
    assert ring.batch_public_key() == again.batch_public_key()
    with pytest.raises(StrongroomRefused, match="COALITION_KEYS_PASSPHRASE_FILE"):
        existing_key_ring(load_settings(var=var))


def test_a_passphrase_that_is_wrong_missing_or_open_to_others_is_refused_by_its_file(secret: Path, tmp_path: Path):
    settings = load_settings(var=tmp_path / "var", keys_passphrase_file=secret)
    key_ring(settings)
    secret.write_text("wrong zebra capacitor paperclip\n")
    with pytest.raises(StrongroomRefused, match="does not open this ring"):
        existing_key_ring(settings)
    secret.chmod(0o644)
    with pytest.raises(StrongroomRefused, match=f"chmod 600 {secret}"):
        existing_key_ring(settings)
    secret.unlink()
    with pytest.raises(StrongroomRefused, match=f"{secret}: does not exist"):
        existing_key_ring(settings)
