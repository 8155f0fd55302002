"""`coalition member ...`: what a member gets of the own data, who looked, and two people for what is unmasked."""

import itertools
import json
import stat
import time
from pathlib import Path

from tests.cli.conftest import Run

GROCER = "store-a/main/till-1"
_phones = itertools.count(1)


def enrolled(coalition: Run) -> tuple[str, str]:
    """A fresh member's id and phone."""
    phone = f"+861391234{next(_phones):04}"
    told = json.dumps({"name": "王小明", "phone": phone})
    ran = coalition("member", "enrol", "--recruiter", "store-a", "--from-file", "-", "--field", "member_id", typed=told)
    return ran.out.strip(), phone


def test_a_member_is_exported_to_a_file_of_its_own_and_sees_who_looked(coalition: Run, tmp_path: Path):
    member_id, phone = enrolled(coalition)
    coalition("member", "show", member_id, "--purpose", "dispute")
    coalition("member", "consent", member_id, "marketing", "--notice", "2026-01")
    to = tmp_path / "mine.json"
    assert 0 == coalition("member", "export", member_id, "--to", str(to)).code

    told = json.loads(to.read_text(encoding="utf-8"))
    assert ("王小明", phone) == (told["identity"]["name"], told["contact"]["phone"])
    assert told["consents"]["MARKETING"]["is_given"]
    assert 0o600 == stat.S_IMODE(to.stat().st_mode)
    assert ["DISCLOSED", "CONSENT_SET", "DISCLOSED"] == [access["kind"] for access in told["accesses"]]
    again = coalition("member", "export", member_id, "--to", str(to))
    assert 2 == again.code
    assert "not there yet" in again.err

    shown = coalition("member", "access", member_id)
    assert "/op/admin" in shown.out
    assert "OWN_ACCESS" in shown.out
    assert phone not in shown.out


def test_a_locked_member_is_not_looked_at_and_an_erased_one_is_nobody(coalition: Run):
    member_id, phone = enrolled(coalition)
    assert "is locked" in coalition("member", "lock", member_id).out
    assert "MEMBER_LOCKED" in coalition("member", "show", member_id).err
    assert "is unlocked" in coalition("member", "unlock", member_id).out
    assert 0 == coalition("member", "show", member_id).code
    assert "approve-erase" in coalition("member", "erase", member_id, "--as", "mg/portal").out
    assert "/mg/portal" in coalition("member", "erasures").out
    assert 0 == coalition("member", "show", member_id).code
    assert 0 != coalition("member", "approve-erase", member_id, typed="n\n").code
    assert "is erased, as /mg/portal asked" in coalition("member", "approve-erase", member_id, "--yes").out
    assert "nothing" not in coalition("member", "erasures", "--json").out
    assert "MEMBER_UNKNOWN" in coalition("member", "find", typed=f"{phone}\n").err


def test_members_unmasked_take_two_people(coalition: Run, tmp_path: Path):
    member_id, phone = enrolled(coalition)
    key, other = str(tmp_path / "my.key"), str(tmp_path / "other.key")
    ask = ("member", "ask", member_id, "--groups", "contact", "--purpose", "dispute", "--field", "disclosure_id")
    disclosure_id = coalition(*ask, "--key", key).out.strip()
    assert "APPROVAL_MISSING" in coalition("member", "see", disclosure_id, "--key", key).err
    assert "PERMISSION_DENIED" in coalition("member", "approve", disclosure_id, "--as", "op/eve").err
    assert 0 == coalition("member", "approve", disclosure_id, "--as", "ap/ben").code
    assert phone in coalition("member", "see", disclosure_id, "--key", key).out
    assert 2 == coalition("member", "see", disclosure_id, "--key", other).code
    coalition(*ask, "--key", other)
    wrong = coalition("member", "see", disclosure_id, "--key", other)
    assert (2, True) == (wrong.code, "sealed to another key" in " ".join(wrong.err.split()))
    assert phone not in wrong.out + wrong.err


def test_a_member_enrolled_twice_becomes_one(coalition: Run, tmp_path: Path):
    """Cards at once, the value while the server works."""
    (old, phone), (new, _) = enrolled(coalition), enrolled(coalition)
    card = tmp_path / "card.txt"
    coalition("card", "issue", "--issuer", "store-a", "--number-to", str(card))
    assert 0 == coalition("card", "link", "--card", f"@{card}", "--member", old).code
    assert 0 == coalition("top-up", "--at", GROCER, "--card", f"@{card}", "100.00").code
    assert 0 != coalition("member", "merge", old, "--into", new, "--purpose", "dispute", typed="n\n").code
    merged = coalition("member", "merge", old, "--into", new, "--purpose", "dispute", "--yes")
    assert "1 cards pay from that wallet" in merged.out
    assert "MERGE_CONFLICT" in coalition("member", "lock", old).err
    assert new in coalition("member", "find", "--json", typed=f"{phone}\n").out
    deadline = time.monotonic() + 30
    while "balance 120.00 CNY" not in (told := coalition("balance", "--at", GROCER, "--card", f"@{card}").out):
        assert time.monotonic() < deadline, told
        time.sleep(0.2)


def test_each_group_of_a_members_data_is_revised_from_a_file_and_nothing_of_it_is_told(coalition: Run):
    member_id, phone = enrolled(coalition)
    account = {"bank": "ICBC", "number": "6222000011112222", "holder": "王小明"}
    for group, told in (
        ("identity", {"name": "李小红", "birth_month": 7}),
        ("contact", {"phone": "+8613912399999"}),
        ("refund-account", account),
        ("attributes", {"size": "M"}),
    ):
        ran = coalition("member", "revise", member_id, group, "--from-file", "-", typed=json.dumps(told))
        assert (0, "is revised") == (ran.code, "is revised" if "is revised" in ran.out else ran.err)
        assert not any(str(value) in ran.out + ran.err for value in told.values() if len(str(value)) > 1)
    assert member_id in coalition("member", "find", "--json", typed="+8613912399999\n").out
    assert "MEMBER_UNKNOWN" in coalition("member", "find", typed=f"{phone}\n").err
    wrong = coalition("member", "revise", member_id, "contact", "--from-file", "-", typed='{"phone": 13912399999}')
    assert 2 == wrong.code
    assert "139" not in wrong.out + wrong.err


def test_a_look_that_was_refused_shows_in_the_members_report(coalition: Run):
    member_id, _ = enrolled(coalition)
    coalition("member", "lock", member_id)
    assert "MEMBER_LOCKED" in coalition("member", "show", member_id, "--purpose", "dispute").err
    (refused,) = [
        each for each in json.loads(coalition("member", "access", member_id, "--json").out) if each.get("reason")
    ]
    assert ("MEMBER_LOCKED", "DISPUTE", "DISCLOSED") == (refused["reason"], refused["purpose"], refused["kind"])
