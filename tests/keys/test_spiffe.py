"""Identities: the one URI of a certificate, of our trust domain, with the path of a known role; else it is out."""

import pytest

from keys import SpiffeError, parse_spiffe
from keys.errors import SpiffeCountWrong, SpiffeMalformed, SpiffeTooLong, SpiffeTrustDomainWrong

DOMAIN = "coalition.example"


@pytest.mark.parametrize(("uri", "elements"), [
    (f"spiffe://{DOMAIN}/op/alice", ("op", "alice")),
    (f"spiffe://{DOMAIN}/hq/chain", ("hq", "chain")),
    (f"spiffe://{DOMAIN}/ts/chain/till-server", ("ts", "chain", "till-server")),
    (f"spiffe://{DOMAIN}/t/chain/store-7/till_3", ("t", "chain", "store-7", "till_3")),
    (f"spiffe://{DOMAIN}/aud/firm.llp", ("aud", "firm.llp")),
    (f"spiffe://{DOMAIN}/mg/1", ("mg", "1")),
    (f"spiffe://{DOMAIN}/server", ("server",)),
])  # fmt: skip
def test_each_role_has_its_path(uri: str, elements: tuple[str, ...]):
    assert parse_spiffe(uri, DOMAIN) == elements
    assert parse_spiffe([uri], DOMAIN) == elements


@pytest.mark.parametrize("count", [0, 2, 3])
def test_a_certificate_with_no_or_several_uris_is_refused(count: int):
    with pytest.raises(SpiffeCountWrong, match=f"has {count}"):
        parse_spiffe([f"spiffe://{DOMAIN}/op/alice"] * count, DOMAIN)


@pytest.mark.parametrize("domain", ["elsewhere.example", "coalition.example.evil", "oalition.example", "example"])
def test_another_trust_domain_is_refused(domain: str):
    with pytest.raises(SpiffeTrustDomainWrong):
        parse_spiffe(f"spiffe://{domain}/op/alice", DOMAIN)


def test_an_id_has_at_most_255_bytes():
    start = f"spiffe://{DOMAIN}/op/"
    assert parse_spiffe(start + "a" * (255 - len(start)), DOMAIN)[0] == "op"
    with pytest.raises(SpiffeTooLong, match="256"):
        parse_spiffe(start + "a" * (256 - len(start)), DOMAIN)


@pytest.mark.parametrize("uri", [
    "",
    "coalition.example/op/alice",
    "http://coalition.example/op/alice",
    "SPIFFE://coalition.example/op/alice",
    "spiffe:///op/alice",
    "spiffe://Coalition.example/op/alice",
    "spiffe://coalition.example:443/op/alice",
    "spiffe://user@coalition.example/op/alice",
    "spiffe://coalition.example",
    "spiffe://coalition.example/",
    "spiffe://coalition.example/op",
    "spiffe://coalition.example/op/",
    "spiffe://coalition.example/op//",
    "spiffe://coalition.example//op/alice",
    "spiffe://coalition.example/op/alice/",
    "spiffe://coalition.example/op/alice/extra",
    "spiffe://coalition.example/op/..",
    "spiffe://coalition.example/op/.",
    "spiffe://coalition.example/op/a%2Fb",
    "spiffe://coalition.example/op/al ice",
    "spiffe://coalition.example/op/alice\n",
    "spiffe://coalition.example/op/alice\0",
    "spiffe://coalition.example/op/alice?x=1",
    "spiffe://coalition.example/op/alice#x",
    "spiffe://coalition.example/op/älice",
    "spiffe://coalition.example/op/\u0661",
    "spiffe://coalition.example/op/\ud800",
    "spiffe://coalition.example/OP/alice",
    "spiffe://coalition.example/root/alice",
    "spiffe://coalition.example/server/two",
    "spiffe://coalition.example/t/chain/store",
])  # fmt: skip
def test_what_is_no_id_of_ours_is_refused_without_quoting_it(uri: str):
    with pytest.raises(SpiffeMalformed) as caught:
        parse_spiffe(uri, DOMAIN)
    assert isinstance(caught.value, SpiffeError)
    assert "alice" not in str(caught.value)
