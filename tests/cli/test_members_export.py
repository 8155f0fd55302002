"""`coalition members export`: it takes two people, and only the recipient reads it."""

import csv
import json
import stat
from pathlib import Path

from tests.cli.conftest import Run


def test_members_leave_in_a_file_that_their_recipient_opens(coalition: Run, tmp_path: Path):
    told = json.dumps({"name": "欧阳卡纳里", "phone": "+8613622000001", "birth_month": 3})
    coalition("member", "enrol", "--recruiter", "store-a", "--from-file", "-", typed=told)
    key, sealed, out = tmp_path / "my.key", tmp_path / "all.sealed", tmp_path / "all.csv"
    made = coalition("members", "export-key", str(key))
    public, digest = (line.split()[-1] for line in made.out.split("\n")[:2])
    assert (0o600, 2) == (stat.S_IMODE(key.stat().st_mode), coalition("members", "export-key", str(key)).code)
    assert key.read_text().split()[-1] not in made.out

    asked = coalition(
        "members", "ask-export", "--to-key", public, "--groups", "identity,contact", "--field", "export_id"
    )
    export_id = asked.out.strip()
    assert "APPROVAL_MISSING" in coalition("members", "export", export_id, "--to", str(sealed)).err
    wrong = coalition("members", "approve-export", export_id, "--sha256", "0" * 64, "--as", "ap/ben")
    assert "EXPORT_KEY_DIFFERS" in wrong.err
    approved = coalition("members", "approve-export", export_id, "--sha256", digest, "--as", "ap/ben")
    assert "may leave until" in approved.out
    fetched = coalition("members", "export", export_id, "--to", str(sealed))
    assert 0 == fetched.code, fetched.err
    assert "13622000001" not in sealed.read_text()

    opened = coalition("members", "open-export", str(sealed), "--key", str(key), "--to", str(out))
    assert 0 == opened.code, opened.err
    with out.open(encoding="utf-8", newline="") as file:
        rows = {row["phone"]: row for row in csv.DictReader(file)}
    row = rows["+8613622000001"]
    assert ("欧阳卡纳里", "3", "store-a", "") == (row["name"], row["birth_month"], row["recruiter"], row["bank"])
    assert 0o600 == stat.S_IMODE(out.stat().st_mode)
    cut = tmp_path / "cut.sealed"
    cut.write_text("")
    refused = coalition("members", "open-export", str(cut), "--key", str(key), "--to", str(out))
    assert (2, True) == (refused.code, "the end is missing" in " ".join(refused.err.split()))
