"""Policies and trust files: who must have cosigned, and lines that would not mean what somebody hoped."""

import pytest

from coalition.audit.errors import EvidenceMalformed
from coalition.audit.note import KeyKind
from coalition.audit.policy import Policy
from coalition.audit.trust import Trust
from tests.audit.conftest import signer

LOG = signer("coalition.example/log").key
BATCHES = signer("coalition.example/batches").key
X1, X2, X3, Y1 = (signer(name, KeyKind.COSIGNATURE).key for name in ("x1", "x2", "x3", "y1"))
# The example of the specification of tlog-policy, with one Y.
EXAMPLE = f"""# whom we trust
log {LOG}

witness X1 {X1}
 witness\tX2 {X2} https://x2.example/
witness X3 {X3}
group X-witnesses 2 X1 X2 X3
witness Y1 {Y1}
group Y-witnesses any Y1
group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def test_the_example_of_the_specification_asks_for_two_of_one_group_and_one_of_the_other() -> None:
    policy = Policy.parse(EXAMPLE)

    assert policy.is_met([X1, X3, Y1])
    assert policy.is_met([X1, X2, X3, Y1])
    assert not policy.is_met([X1, X2, X3])
    assert not policy.is_met([X1, Y1])
    assert not policy.is_met([])
    assert "https://x2.example/" == policy.witnesses["X2"].url
    assert [X1, X2, X3, Y1] == policy.witness_keys


def test_a_trust_file_names_the_authorities_of_terminals_and_is_written_as_it_was_read() -> None:
    text = f"log {LOG}\nbatches {BATCHES} 1\nterminals AAEC\nterminals AQID\nquorum none\n"
    trust = Trust.parse(text)

    assert [b"\x00\x01\x02", b"\x01\x02\x03"] == trust.authorities
    assert "coalition.example" == trust.trust_domain
    assert text == str(trust)
    for wrong in ("terminals AAEC\n", "terminals AAE\n", f"terminals {'A' * 2000}\n", "terminals\n"):
        with pytest.raises(EvidenceMalformed, match="line 6"):
            Trust.parse(text + wrong)


def test_quorum_none_asks_for_nobody() -> None:
    assert Policy.parse("quorum none\n").is_met([])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no quorum line"),
        ("quorum none\nquorum none", "line 2: there is more than one quorum"),
        ("quorum X1", "line 1: X1 is no witness or group above"),
        (f"witness X1 {X1}\nwitness X1 {X2}", "line 2: X1: this name is taken"),
        (f"witness X1 {X1}\nwitness X2 {X1}", "line 2: X2: another witness has the same key"),
        (f"witness none {X1}", "none: this name is taken"),
        (f"witness X1 {LOG}", "signs cosignatures"),
        (f"log {X1}", "a log's key signs notes"),
        (f"log {LOG}\nlog {LOG}", "stands here twice"),
        (f"witness X1 {X1}\ngroup G 2 X1", "threshold is all, any, or 1 to 1"),
        (f"witness X1 {X1}\ngroup G 0 X1", "threshold"),
        (f"witness X1 {X1}\ngroup G x X1", "threshold"),
        (f"witness X1 {X1}\ngroup G any X1 X1", "a member once"),
        (f"witness X1 {X1}\ngroup G any X1\ngroup H any X1", "a member once"),
        ("group G any X1", "X1 is no witness or group above"),
        (f"witness X1 {X1}\ngroup G any", "a line is"),
        ("witness X1", "a line is"),
        ("quorum none\x01", "control characters"),
        ("log x+y", "line 1: a verifier key is written"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(EvidenceMalformed, match=said):
        Policy.parse(text)


def test_a_trust_file_is_written_and_read_back() -> None:
    text = f"log {LOG}\nbatches {BATCHES} 1 99\nbatches {LOG} 100\nwitness X1 {X1} https://x1.example\nquorum X1\n"
    trust = Trust.parse(text)

    assert text == str(trust)
    assert LOG == trust.log
    assert [BATCHES.public_key] == trust.keys_of(99)
    assert [LOG.public_key] == trust.keys_of(100)
    assert [] == Trust.parse(text.replace("1 99", "5 99")).keys_of(4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"batches {BATCHES}\nquorum none\n", "pins one log"),
        (f"log {LOG}\nquorum none\n", "pins the keys that seal batches"),
        (f"log {LOG}\nbatches {BATCHES}\n", "has a quorum line"),
        (f"log {LOG}\nbatches {BATCHES} 9 8\nquorum none", "its last batch is before its first"),
        (f"log {LOG}\nbatches {BATCHES} x\nquorum none", "x is no batch number"),
        (f"log {LOG}\nbatches {X1}\nquorum none", "a key of batches signs notes"),
    ],
)
def test_a_trust_file_that_pins_too_little_is_refused(text: str, said: str) -> None:
    with pytest.raises(EvidenceMalformed, match=said):
        Trust.parse(text)
