"""`coalition card device` and `code`: a file plays a member's phone, and what it shows pays at a till."""

import json
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.house import House, new_id

GROCER, CAFE = "store-a/main/till-1", "cafe/main/till-1"


@pytest.fixture
def member(house: House) -> tuple[str, str]:
    member_id, phone = house.new_member()
    return str(member_id), phone


@pytest.fixture
def device(coalition: Run, member: tuple[str, str], tmp_path: Path) -> Path:
    path = tmp_path / "device.json"
    made = coalition("card", "device", "--member", member[0], "--to", str(path))
    assert 0 == made.code, made.err
    return path


def shown(run: Run, device: Path) -> str:
    return run("card", "code", "--device", str(device), "--digits").out.strip()


def test_a_phone_shows_codes_without_a_network_and_pays_with_them(coalition, device, monkeypatch):
    funded = coalition("top-up", "--at", GROCER, "--code", "-", "1000", typed=shown(coalition, device))
    monkeypatch.setenv("COALITION_LISTEN", "127.0.0.1:1")
    code = shown(coalition, device)
    monkeypatch.undo()

    assert 0 == funded.code, funded.err
    assert (22, True) == (len(code), code.isdigit())


def test_a_member_pays_by_phone(coalition, device):
    coalition("top-up", "--at", GROCER, "--code", shown(coalition, device), "1000")
    code = shown(coalition, device)
    paid = coalition("pay", "--at", CAFE, "--code", code, "300")
    again = coalition("pay", "--at", CAFE, "--code", code, "1")
    balance = coalition("balance", "--at", CAFE, "--code", shown(coalition, device))

    assert "Paid 300.00 CNY" in paid.out
    assert (1, True, False) == (again.code, "PAYMENT_CODE_USED" in again.err, code in again.out + again.err)
    assert "900.00" in balance.out


def test_the_picture_is_a_qr_of_the_digits_and_the_counter_moves_first(coalition, device):
    first = json.loads(coalition("card", "code", "--device", str(device), "--json").out)
    drawn = coalition("card", "code", "--device", str(device)).out

    assert 0 == first["counter"]
    assert 2 == json.loads(device.read_text())["counter"]
    assert "█" in drawn or "▄" in drawn
    assert 22 == sum(character.isdigit() for character in drawn.splitlines()[-1])


def test_a_device_file_is_its_owners_and_tells_no_seed_to_the_screen(coalition, member, tmp_path):
    path = tmp_path / "phone.json"
    made = coalition("card", "device", "--member", member[0], "--to", str(path), "--json")
    held = json.loads(path.read_text())

    assert stat.S_IRUSR | stat.S_IWUSR == stat.S_IMODE(path.stat().st_mode)
    assert (64, 64) == (len(held["seed"]), len(held["private_key"]))
    assert not {held["seed"], held["private_key"]} & {*made.out.split('"'), *made.err.split('"')}
    assert "sealed_seed" not in json.loads(made.out) or not json.loads(made.out)["sealed_seed"]


def test_an_enrolment_whose_answer_was_lost_is_asked_for_again(coalition, house, member, tmp_path):
    path = tmp_path / "phone.json"
    lost = coalition("card", "device", "--member", member[0], "--to", str(path), "--server", "127.0.0.1:1")
    not_yet = coalition("card", "code", "--device", str(path))
    key = json.loads(path.read_text())["private_key"]
    found = coalition("card", "device", "--member", member[0], "--to", str(path))

    assert (3, 0) == (lost.code, found.code)
    assert key == json.loads(path.read_text())["private_key"]
    assert 0 == coalition("balance", "--at", CAFE, "--code", shown(coalition, path)).code
    assert (2, True) == (not_yet.code, "not enrolled yet" in not_yet.err.replace("\n", " "))


def test_a_used_device_file_is_not_overwritten(coalition, member, device):
    again = coalition("card", "device", "--member", member[0], "--to", str(device))

    assert (2, True) == (again.code, "name a new file" in " ".join(again.err.split()))


@pytest.mark.parametrize("content", ["", "[]", '{"form": 1}', '{"form": 2}'])
def test_a_file_that_is_no_device_is_refused_without_its_content(coalition, tmp_path, content):
    path = tmp_path / "odd.json"
    path.write_text(content)
    path.chmod(0o600)

    assert 2 == coalition("card", "code", "--device", str(path)).code


def test_an_id_and_a_phone_name_a_member_and_are_removed(coalition, member, tmp_path):
    named = tmp_path / "id.json"
    named.write_text(json.dumps({"namespace": "chat", "subject": f"o-{new_id()}"}))
    added = coalition("card", "add-id", "--member", member[0], "--id", f"@{named}")
    phone = coalition("card", "add-phone", "--member", member[0], "--field", "card.card_id").out.strip()
    coalition("top-up", "--at", GROCER, "--id", f"@{named}", "1000")
    topped_up = coalition("top-up", "--at", GROCER, "--phone", "-", "100", typed=member[1])
    by_phone = coalition("pay", "--at", CAFE, "--phone", "-", "1", typed=member[1])
    by_id = coalition("pay", "--at", CAFE, "--id", f"@{named}", "300")
    shown_member = coalition("member", "show", member[0])
    removed = coalition("card", "remove", "--member", member[0], "--card-id", phone)

    assert "id of another system **** " in added.out
    assert "Topped up 100.00 CNY" in topped_up.out
    assert (1, True) == (by_phone.code, "PIN_REQUIRED" in by_phone.err)
    assert "Paid 300.00 CNY" in by_id.out
    assert "phone number " in shown_member.out
    assert "REPLACED" in removed.out
    assert "CARD_UNKNOWN" in coalition("balance", "--at", CAFE, "--phone", "-", typed=member[1]).err


def test_a_till_takes_a_phones_code_by_option_and_at_its_screen(coalition, device):
    funded = coalition(
        "till", "top-up", "--at", GROCER, "--code", "-", "--amount", "1000", typed=shown(coalition, device)
    )
    paid = coalition("till", "purchase", "--at", CAFE, "--code", shown(coalition, device), "--amount", "300", "--json")
    code = shown(coalition, device)
    screen = coalition("till", "--at", CAFE, typed=f"p\ncode {code[:2]} {code[2:]}\n100\nq\n")
    both = coalition("till", "purchase", "--at", CAFE, "--code", code, "--card", "-", "--amount", "1")

    assert (0, 0, 2) == (funded.code, paid.code, both.code), (funded, paid, both)
    assert 90_000 == json.loads(paid.out)["receipt"]["balance_minor"]
    assert "paid" in screen.out
    assert "800.00" in screen.out
    assert code not in screen.out + screen.err
