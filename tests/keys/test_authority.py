"""The authority: certificates that a real TLS stack accepts for what they say, and for nothing else."""

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys import CertificateFiles, SpiffeError, certificate_files, create_authority, issue
from keys.errors import AuthorityError, KeyFileBroken, KeyFileExists, KeyFileMissing, PermissionsTooOpen

DOMAIN = "coalition.example"
SERVER = f"spiffe://{DOMAIN}/server"
TERMINAL = f"spiffe://{DOMAIN}/t/chain/store-7/3"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("house") / "authority"
    create_authority(directory, DOMAIN)
    return directory


@pytest.fixture(scope="module")
def server(authority: Path) -> CertificateFiles:
    return issue(authority, SERVER, days=1, hostnames=("ledger.example", "10.1.2.3", "localhost"))


@pytest.fixture(scope="module")
def terminal(authority: Path) -> CertificateFiles:
    return issue(authority, TERMINAL, days=1)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def shake_hands(server: CertificateFiles, client: CertificateFiles | None, hostname: str, trust: Path) -> list[str]:
    """A mutual TLS 1.3 handshake over a socket pair; the URI names the server saw. Raises ssl.SSLError."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.verify_mode = ssl.CERT_REQUIRED
    server_side.load_cert_chain(server.cert, server.key)
    server_side.load_verify_locations(trust)
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.load_verify_locations(trust)
    for side in (server_side, client_side):
        side.minimum_version = ssl.TLSVersion.TLSv1_3
        side.verify_flags |= ssl.VerifyFlags.VERIFY_X509_STRICT
    if client:
        client_side.load_cert_chain(client.cert, client.key)
    seen: list[str] = []
    refused: list[ssl.SSLError] = []
    one, other = socket.socketpair()

    def serve() -> None:
        try:
            with server_side.wrap_socket(one, server_side=True) as secured:
                names = (secured.getpeercert() or {}).get("subjectAltName", ())
                seen.extend(str(name[1]) for name in names if name[0] == "URI")
                secured.sendall(b"done")
        except ssl.SSLError as refusal:
            refused.append(refusal)
        except OSError:
            pass
        finally:
            one.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_side.wrap_socket(other, server_hostname=hostname) as secured:
            # In TLS 1.3 the client learns only by reading whether its certificate was taken.
            assert secured.recv(4) == b"done"
    finally:
        other.close()
        thread.join()
    if refused:
        raise refused[0]
    return seen


@pytest.mark.parametrize("hostname", ["localhost", "127.0.0.1", "::1", "ledger.example", "10.1.2.3"])
def test_server_and_terminal_shake_hands_and_the_server_sees_the_identity(
    authority: Path, server: CertificateFiles, terminal: CertificateFiles, hostname: str
):
    assert shake_hands(server, terminal, hostname, server.chain) == [TERMINAL]


def test_a_server_name_that_was_not_asked_for_is_not_accepted(server: CertificateFiles, terminal: CertificateFiles):
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake_hands(server, terminal, "elsewhere.example", server.chain)


def test_a_caller_without_a_certificate_is_refused(server: CertificateFiles):
    with pytest.raises(ssl.SSLError, match=r"(?i)certificate.required|peer did not return"):
        shake_hands(server, None, "localhost", server.chain)


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path, server: CertificateFiles):
    create_authority(tmp_path / "impostor", DOMAIN)
    impostor = issue(tmp_path / "impostor", TERMINAL, days=1)
    with pytest.raises(ssl.SSLError, match=r"(?i)unknown.ca|verify failed|signature failure"):
        shake_hands(server, impostor, "localhost", server.chain)


def test_a_terminal_cannot_pose_as_the_server(terminal: CertificateFiles):
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)purpose"):
        shake_hands(terminal, terminal, "localhost", terminal.chain)


def test_the_server_certificate_is_not_a_caller(server: CertificateFiles):
    with pytest.raises(ssl.SSLError, match=r"(?i)unsupported.certificate|purpose"):
        shake_hands(server, server, "localhost", server.chain)


def test_an_expired_certificate_is_refused(authority: Path, server: CertificateFiles, tmp_path: Path):
    create_authority(tmp_path / "old", DOMAIN, clock=lambda: NOON.replace(year=2020))
    expired = issue(tmp_path / "old", TERMINAL, days=1, clock=lambda: NOON.replace(year=2020))
    own_server = issue(tmp_path / "old", SERVER, days=1)
    with pytest.raises(ssl.SSLError, match=r"(?i)expired"):
        shake_hands(own_server, expired, "localhost", own_server.chain)


def test_a_leaf_cannot_issue(authority: Path, terminal: CertificateFiles):
    certificate = load(terminal.cert)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_cert_sign, usage.crl_sign) == (True, False, False)
    root = load(authority / "authority.pem")
    constraints = root.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    root_usage = root.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (root_usage.digital_signature, root_usage.key_cert_sign, root_usage.crl_sign) == (False, True, True)


@pytest.mark.parametrize(("path", "usage"), [
    ("/server", ExtendedKeyUsageOID.SERVER_AUTH),
    ("/op/alice", ExtendedKeyUsageOID.CLIENT_AUTH),
    ("/hq/chain", ExtendedKeyUsageOID.CLIENT_AUTH),
    ("/ts/chain/till-server", ExtendedKeyUsageOID.CLIENT_AUTH),
    ("/t/chain/7/3", ExtendedKeyUsageOID.CLIENT_AUTH),
    ("/aud/firm", ExtendedKeyUsageOID.CLIENT_AUTH),
    ("/mg/1", ExtendedKeyUsageOID.CLIENT_AUTH),
])  # fmt: skip
def test_a_certificate_carries_one_identity_one_usage_and_a_p256_key(
    tmp_path: Path, path: str, usage: x509.ObjectIdentifier
):
    create_authority(tmp_path / "authority", DOMAIN)
    certificate = load(issue(tmp_path / "authority", f"spiffe://{DOMAIN}{path}", days=7).cert)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"spiffe://{DOMAIN}{path}"]
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert isinstance(public_key.curve, ec.SECP256R1)
    assert len(names) == (4 if path == "/server" else 1)


def test_the_server_certificate_names_its_hosts_once(server: CertificateFiles):
    names = load(server.cert).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "ledger.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(a) for a in ("127.0.0.1", "::1", "10.1.2.3")]


def test_a_certificate_lives_as_long_as_was_asked_by_the_given_clock(tmp_path: Path):
    create_authority(tmp_path / "authority", DOMAIN, clock=lambda: NOON)
    certificate = load(issue(tmp_path / "authority", TERMINAL, days=7, clock=lambda: NOON).cert)
    assert certificate.not_valid_before_utc == NOON - timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOON + timedelta(days=7)
    with pytest.raises(AuthorityError, match="authority itself ends"):
        issue(tmp_path / "authority", TERMINAL, days=7, clock=lambda: NOON + timedelta(days=3645))


def test_two_identities_never_share_files(authority: Path):
    one = issue(authority, f"spiffe://{DOMAIN}/t/a-b/c/d", days=1)
    other = issue(authority, f"spiffe://{DOMAIN}/t/a/b-c/d", days=1)
    assert {one.cert, one.key, one.chain}.isdisjoint({other.cert, other.key, other.chain})
    assert certificate_files(authority, ("t", "a-b", "c", "d")) == one


def test_no_path_leads_out_of_the_directory(authority: Path):
    for elements in (("t", "..", "..", "x"), ("op", "a/b"), ("..",), (), ("op", "")):
        with pytest.raises(SpiffeError):
            certificate_files(authority, elements)


def test_issuing_again_replaces_key_and_certificate(authority: Path):
    before = issue(authority, f"spiffe://{DOMAIN}/op/bob", days=1)
    old = (before.cert.read_bytes(), before.key.read_bytes())
    after = issue(authority, f"spiffe://{DOMAIN}/op/bob", days=1)
    assert after == before
    assert after.cert.read_bytes() != old[0]
    assert after.key.read_bytes() != old[1]
    assert sorted(path.name for path in after.cert.parent.iterdir()) == [
        "authority.pem",
        "certificate.pem",
        "private.key",
    ]


def test_everything_the_authority_writes_is_for_its_owner_alone(authority: Path, terminal: CertificateFiles):
    for path in (authority / "authority.key", terminal.key, terminal.cert, terminal.chain):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(terminal.key.parent.stat().st_mode) == 0o700


def test_an_authority_is_never_overwritten(authority: Path):
    before = (authority / "authority.key").read_bytes()
    with pytest.raises(KeyFileExists):
        create_authority(authority, DOMAIN)
    assert (authority / "authority.key").read_bytes() == before


@pytest.mark.parametrize("domain", ["", "Coalition", "a b", "a/b", "a:1", "spiffe://a", "ü.example"])
def test_a_trust_domain_that_cannot_be_one_is_refused(tmp_path: Path, domain: str):
    with pytest.raises(AuthorityError, match="trust_domain"):
        create_authority(tmp_path / "authority", domain)


@pytest.mark.parametrize(("uri", "days", "hostnames", "named"), [
    (TERMINAL, 0, (), "days"),
    (TERMINAL, 398, (), "days"),
    (TERMINAL, 1, ("till.example",), "hostnames"),
    (SERVER, 1, ("two words",), "hostnames"),
    (SERVER, 1, ("",), "hostnames"),
    (SERVER, 1, ("bücher.example",), "hostnames"),
])  # fmt: skip
def test_what_must_not_be_issued_is_refused_by_argument(
    authority: Path, uri: str, days: int, hostnames: tuple[str, ...], named: str
):
    with pytest.raises(AuthorityError, match=named):
        issue(authority, uri, days=days, hostnames=hostnames)


def test_an_identity_of_another_trust_domain_is_not_issued(authority: Path):
    with pytest.raises(SpiffeError):
        issue(authority, "spiffe://elsewhere.example/op/alice", days=1)


def test_trouble_with_the_authoritys_files_names_the_file(tmp_path: Path):
    with pytest.raises(KeyFileMissing, match="python -m keys authority"):
        issue(tmp_path / "nowhere", TERMINAL, days=1)
    for name in ("one", "two"):
        create_authority(tmp_path / name, DOMAIN)
    key = tmp_path / "one" / "authority.key"
    key.chmod(0o644)
    with pytest.raises(PermissionsTooOpen, match=f"chmod 600 {key}"):
        issue(tmp_path / "one", TERMINAL, days=1)
    key.chmod(0o600)
    key.write_bytes((tmp_path / "two" / "authority.key").read_bytes())
    with pytest.raises(KeyFileBroken, match=r"authority\.key: is not the key of"):
        issue(tmp_path / "one", TERMINAL, days=1)
    key.write_bytes(b"nonsense")
    with pytest.raises(KeyFileBroken, match=r"authority\.key"):
        issue(tmp_path / "one", TERMINAL, days=1)
    (tmp_path / "one" / "authority.pem").write_bytes(b"nonsense")
    with pytest.raises(KeyFileBroken, match=r"authority\.pem"):
        issue(tmp_path / "one", TERMINAL, days=1)
