"""Renewing and revoking: what the authority signs, what it records, and what it refuses."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from keys import create_authority, issue, renew, revocations, revoke
from keys.errors import AuthorityError, KeyFileBroken, KeyFileMissing
from keys.issued import RECORD_NAME, read_record
from keys.revocation import LIST_NAME

DOMAIN = "coalition.example"
TILL = f"spiffe://{DOMAIN}/t/cafe/main/till-1"
OTHER = f"spiffe://{DOMAIN}/t/cafe/main/till-2"
SERVER = f"spiffe://{DOMAIN}/server"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    directory = tmp_path / "authority"
    create_authority(directory, DOMAIN, clock=lambda: NOON)
    return directory


def serial_of(path: Path) -> int:
    return load(path).serial_number


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def at(moment: datetime):
    return lambda: moment


def test_a_renewed_certificate_has_the_same_identity_and_life_and_another_key(authority: Path):
    old = issue(authority, TILL, days=7, clock=at(NOON)).cert.read_bytes()
    new = load(renew(authority, TILL, clock=at(NOON + timedelta(days=5))).cert)
    before = x509.load_pem_x509_certificate(old)

    assert before.extensions.get_extension_for_class(x509.SubjectAlternativeName) == (
        new.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    )
    assert before.public_key() != new.public_key()
    assert NOON + timedelta(days=12) == new.not_valid_after_utc
    assert revocations(authority) is None


def test_a_renewed_server_keeps_its_host_names(authority: Path):
    issue(authority, SERVER, days=30, clock=at(NOON), hostnames=("ledger.example", "10.1.2.3"))

    names = load(renew(authority, SERVER, clock=at(NOON)).cert).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert "ledger.example" in names.value.get_values_for_type(x509.DNSName)
    assert "10.1.2.3" in map(str, names.value.get_values_for_type(x509.IPAddress))


def test_an_identity_without_a_certificate_is_not_renewed(authority: Path):
    with pytest.raises(KeyFileMissing, match="python -m keys certificate"):
        renew(authority, TILL, clock=at(NOON))


def test_an_identity_is_revoked_with_every_certificate_that_is_still_good(authority: Path):
    """The stolen one may be the one that was replaced last week."""
    first = serial_of(issue(authority, TILL, days=7, clock=at(NOON)).cert)
    second = serial_of(renew(authority, TILL, clock=at(NOON)).cert)
    issue(authority, OTHER, days=7, clock=at(NOON))

    assert {first, second} == {each.serial for each in revoke(authority, TILL, clock=at(NOON))}
    listed = revocations(authority)
    assert listed is not None
    assert ({first, second}, {TILL}) == (set(listed.serials), {entry.identity for entry in listed.entries})


def test_one_certificate_is_revoked_by_its_serial_number_and_the_renewed_one_stays_good(authority: Path):
    first = serial_of(issue(authority, TILL, days=7, clock=at(NOON)).cert)
    renew(authority, TILL, clock=at(NOON))

    revoke(authority, TILL, serial=first, clock=at(NOON))

    listed = revocations(authority)
    assert listed is not None
    assert {first} == listed.serials


def test_a_certificate_older_than_the_record_is_revoked_all_the_same(authority: Path):
    serial = serial_of(issue(authority, TILL, days=7, clock=at(NOON)).cert)
    (authority / RECORD_NAME).unlink()

    assert [serial] == [each.serial for each in revoke(authority, TILL, clock=at(NOON))]
    assert [0xABC] == [each.serial for each in revoke(authority, TILL, serial=0xABC, clock=at(NOON))]


def test_the_numbers_of_lists_grow_and_nobody_leaves_before_its_end(authority: Path):
    first = serial_of(issue(authority, TILL, days=7, clock=at(NOON)).cert)
    second = serial_of(issue(authority, OTHER, days=7, clock=at(NOON)).cert)
    revoke(authority, TILL, clock=at(NOON))
    revoke(authority, OTHER, clock=at(NOON))
    both = revocations(authority)
    third = serial_of(issue(authority, TILL, days=7, clock=at(NOON + timedelta(days=9))).cert)
    revoke(authority, TILL, clock=at(NOON + timedelta(days=9)))
    last = revocations(authority)

    assert both is not None
    assert last is not None
    assert (2, frozenset({first, second})) == (both.number, both.serials)
    assert (3, frozenset({third})) == (last.number, last.serials)


@pytest.mark.parametrize("again", ["never issued", "revoked before", "over"])
def test_revoking_what_is_not_good_any_more_is_refused(authority: Path, again: str):
    moment = NOON
    if again != "never issued":
        issue(authority, TILL, days=7, clock=at(NOON))
    if again == "revoked before":
        revoke(authority, TILL, clock=at(NOON))
    if again == "over":
        moment = NOON + timedelta(days=8)

    with pytest.raises(AuthorityError, match="nothing to revoke"):
        revoke(authority, TILL, clock=at(moment))


def test_a_revoked_identity_is_not_renewed_but_may_be_issued_a_new_certificate(authority: Path):
    issue(authority, TILL, days=7, clock=at(NOON))
    revoke(authority, TILL, clock=at(NOON))

    with pytest.raises(AuthorityError, match="python -m keys certificate"):
        renew(authority, TILL, clock=at(NOON))
    new = serial_of(issue(authority, TILL, days=7, clock=at(NOON)).cert)
    listed = revocations(authority)
    assert listed is not None
    assert new not in listed.serials


@pytest.mark.parametrize("damage", ["another authority's", "a flipped bit", "garbage", "an empty file"])
def test_a_list_that_the_authority_did_not_sign_is_refused(authority: Path, tmp_path: Path, damage: str):
    issue(authority, TILL, days=7, clock=at(NOON))
    revoke(authority, TILL, clock=at(NOON))
    path = authority / LIST_NAME
    if damage == "another authority's":
        other = tmp_path / "other"
        create_authority(other, DOMAIN, clock=at(NOON))
        issue(other, TILL, days=7, clock=at(NOON))
        revoke(other, TILL, clock=at(NOON))
        path.write_bytes((other / LIST_NAME).read_bytes())
    elif damage == "a flipped bit":
        der = x509.load_pem_x509_crl(path.read_bytes()).public_bytes(Encoding.DER)
        place = der.index(b"till-1")
        forged = x509.load_der_x509_crl(der[:place] + b"till-9" + der[place + 6 :])
        path.write_bytes(forged.public_bytes(Encoding.PEM))
    else:
        path.write_bytes(b"" if damage == "an empty file" else b"revoked: nobody\n")

    with pytest.raises(KeyFileBroken, match=LIST_NAME):
        revocations(authority)
    with pytest.raises(KeyFileBroken, match=LIST_NAME):
        revoke(authority, TILL, clock=at(NOON))


def test_two_who_revoke_at_once_are_both_heard(authority: Path):
    identities = [f"spiffe://{DOMAIN}/t/cafe/main/till-{number}" for number in range(8)]
    for identity in identities:
        issue(authority, identity, days=7, clock=at(NOON))
    threads = [
        threading.Thread(target=revoke, args=(authority, each), kwargs={"clock": at(NOON)}) for each in identities
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    listed = revocations(authority)
    assert listed is not None
    assert (8, set(identities)) == (listed.number, {entry.identity for entry in listed.entries})


def test_the_record_holds_every_certificate_and_a_torn_line_is_named(authority: Path):
    serials = [serial_of(issue(authority, TILL, days=7, clock=at(NOON)).cert) for _ in range(3)]

    assert serials == [each.serial for each in read_record(authority)]
    path = authority / RECORD_NAME
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(KeyFileBroken, match="line 3"):
        read_record(authority)
