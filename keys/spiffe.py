"""SPIFFE ids: `spiffe://<trust domain>/<role>/...`. Reads identities; grants nothing (the permission table does)."""

import re
from collections.abc import Sequence

from keys.errors import SpiffeCountWrong, SpiffeMalformed, SpiffeTooLong, SpiffeTrustDomainWrong

SCHEME = "spiffe://"
ID_BYTES_MAX = 255
ROLES = {
    "op": ("op", "<name>"),
    "ap": ("ap", "<name>"),
    "hq": ("hq", "<participant>"),
    "ts": ("ts", "<participant or chain>", "<name>"),
    "t": ("t", "<participant>", "<store>", "<terminal>"),
    "aud": ("aud", "<firm>"),
    "mg": ("mg", "<id>"),
    "server": ("server",),
}
"""Role (first path element) -> whole path: operator, approver (of what another asked for), participant HQ, till server,
terminal, auditor, member gateway, server."""

# The SPIFFE-ID standard, sections 2.1 and 2.2: no port, user, query, fragment or percent encoding.
_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]+", re.ASCII)
_ELEMENT = re.compile(r"[a-zA-Z0-9._-]+", re.ASCII)


def parse_spiffe(uri: str | Sequence[str], trust_domain: str) -> tuple[str, ...]:
    """The path elements, role first: `spiffe://d/t/chain/7/3` gives `("t", "chain", "7", "3")`.

    `uri` is the URI name of a certificate, or all of its URI names: exactly one is allowed. Raises SpiffeCountWrong,
    SpiffeTooLong, SpiffeMalformed, SpiffeTrustDomainWrong. The id is not quoted in errors, as a stranger chose it.
    """
    if not isinstance(uri, str):
        if len(uri) != 1:
            raise SpiffeCountWrong(len(uri))
        uri = uri[0]
    size_bytes = len(uri.encode("utf-8", "surrogatepass"))
    if size_bytes > ID_BYTES_MAX:
        raise SpiffeTooLong(size_bytes, ID_BYTES_MAX)
    if not uri.startswith(SCHEME):
        raise SpiffeMalformed("a SPIFFE id begins with spiffe://")
    domain, *elements = uri.removeprefix(SCHEME).split("/")
    if not is_trust_domain(domain):
        raise SpiffeMalformed("the trust domain of a SPIFFE id has only a-z, 0-9, '.', '-' and '_'")
    if domain != trust_domain:
        raise SpiffeTrustDomainWrong(trust_domain)
    check_elements(elements)
    return tuple(elements)


def is_trust_domain(text: str) -> bool:
    """Whether the text can be a trust domain."""
    return _TRUST_DOMAIN.fullmatch(text) is not None


def check_elements(elements: Sequence[str]) -> None:
    """Raise SpiffeMalformed unless the path elements are those of a known role; then they are safe file names too."""
    if not all(_ELEMENT.fullmatch(element) and element not in {".", ".."} for element in elements):
        raise SpiffeMalformed("each path element of a SPIFFE id has only a-z, A-Z, 0-9, '.', '-' and '_', at least one")
    shape = ROLES.get(elements[0]) if elements else None
    if shape is None:
        known = ", ".join("/" + "/".join(path) for path in ROLES.values())
        raise SpiffeMalformed(f"the path of a SPIFFE id is one of {known}")
    if len(elements) != len(shape):
        raise SpiffeMalformed(f"the path of this role is /{'/'.join(shape)}")
