"""The till of the command line: outcomes as exit codes and JSON, a screen that goes on after every failure."""

import json
from pathlib import Path

import grpc
import pytest

from coalition.client import TryRules
from coalition.domain.kinds import Kind
from coalition.v1.member_pb2_grpc import MemberServiceStub
from tests.house import FIRST_DAY, House
from tests.phones import enrolled_phone

CAFE = "cafe/main/till-1"
GROCER = "store-a/main/till-1"


@pytest.fixture
def card(house: House, tmp_path: Path) -> Path:
    """The number of a fresh member's card, in a file."""
    file = tmp_path / "card.txt"
    file.write_text(house.new_card())
    return file


def test_a_script_sells_pays_refunds_and_reads_json(coalition, card):
    """Everything a script needs to know is in one line of JSON and the exit code."""
    number = card.read_text()
    sold = coalition("till", "top-up", "--at", GROCER, "--card", f"@{card}", "--amount", "100", "--json")
    paid = coalition("till", "purchase", "--at", CAFE, "--card", "-", "--amount", "12.30", "--json", typed=number)
    request_id = json.loads(paid.out)["receipt"]["request_id"]
    back = coalition("till", "refund", "--at", CAFE, request_id, "--amount", "2.30", "--field", "receipt.amount_minor")
    held = coalition("till", "balance", "--at", CAFE, "--card", "-", "--json", typed=number)

    assert (0, 0, 0, 0) == (sold.code, paid.code, back.code, held.code), (sold, paid, back, held)
    assert ("ACCEPTED", 1230) == (json.loads(paid.out)["outcome"], json.loads(paid.out)["receipt"]["amount_minor"])
    assert "230" == back.out.strip()
    assert 11_000 == json.loads(held.out)["balance"]["balance_minor"]
    assert number not in sold.out + paid.out + back.out + held.out


def test_a_decline_exits_with_1_and_says_that_it_is_not_paid(coalition, card):
    """For people a panel, for programs the reason."""
    shown = coalition("till", "purchase", "--at", CAFE, "--card", f"@{card}", "--amount", "5")
    told = coalition("till", "purchase", "--at", CAFE, "--card", f"@{card}", "--amount", "5", "--json")

    assert (1, "", 1) == (shown.code, shown.out, told.code)
    assert "declined: not paid" in shown.err
    assert "top up" in shown.err
    assert ("DECLINED", "INSUFFICIENT_FUNDS") == (json.loads(told.out)["outcome"], json.loads(told.out)["reason"])


def test_a_card_number_on_the_command_line_is_refused(coalition):
    """It would stay in the history of the shell; the refusal does not repeat it."""
    refused = coalition("till", "balance", "--at", CAFE, "--card", "9111222233334444")

    assert 2 == refused.code
    assert "9111222233334444" not in refused.err


def test_the_screen_goes_on_after_failures_and_shows_receipts_and_the_line(coalition, card):
    """A till runs all day; one decline must not end it."""
    number = card.read_text()
    typed = f"x\np\n{number}\n5.00\nt\n{number}\nnonsense\nb\n{number}\np\n12\nl\nq"
    shown = coalition("till", "--at", GROCER, typed=typed + "\n")

    assert 0 == shown.code, shown.err
    assert "declined: not paid" in shown.out
    assert "write an amount like 300.00" in shown.out
    assert "a card number has 12 to 22 digits" in shown.out
    assert "INSUFFICIENT_FUNDS" in shown.out
    assert "nothing waits" in shown.out
    assert number not in shown.out + shown.err


def test_what_was_done_is_listed_also_by_a_later_command(coalition, card):
    """After a crash the cashier looks here for what became of a sale."""
    coalition("till", "top-up", "--at", GROCER, "--card", f"@{card}", "--amount", "10", "--reference", "R-77")
    listed = coalition("till", "recent", "--at", GROCER, "--limit", "1")
    line = coalition("till", "line", "--at", GROCER, "--json")

    assert "R-77" in listed.out
    assert "ACCEPTED" in listed.out
    assert (0, 0) == (line.code, json.loads(line.out)["waiting"])


def test_without_a_server_the_line_is_offline(coalition):
    """Nothing waits, so there is nothing to complain of."""
    told = coalition("till", "line", "--at", CAFE, "--wait", "0", "--server", "127.0.0.1:1", "--json")

    assert (0, False) == (told.code, json.loads(told.out)["is_online"])


def test_a_till_works_through_a_cut_within_its_offline_limits(coalition, card, monkeypatch):
    """What it approved is told by its next command, first thing."""
    quick = TryRules(deadline_s=0.5, total_s=0.5)
    monkeypatch.setattr("coalition.client.aio_terminal.TryRules", lambda: quick)
    sale = ("till", "purchase", "--at", CAFE, "--card", f"@{card}", "--json")
    with monkeypatch.context() as cut:
        cut.setenv("COALITION_LISTEN", "127.0.0.1:1")
        refused = coalition(*sale, "--amount", "3")
        above = coalition(*sale, "--amount", "31", "--offline", "30:50:100")
        approved = coalition(*sale, "--amount", "30", "--reference", "CUT-1", "--offline", "30:50:100")
        line = coalition("till", "line", "--at", CAFE, "--wait", "0", "--json")

    assert (3, 3, 0, 3) == (refused.code, above.code, approved.code, line.code), (refused, above, approved, line)
    assert "the limit of one sale offline is exceeded" == json.loads(above.out)["reason"]
    assert ("APPROVED_OFFLINE", 1) == (json.loads(approved.out)["outcome"], json.loads(line.out)["to_upload"])
    assert card.read_text() not in approved.out + above.out


def test_what_was_approved_is_uploaded_by_the_tills_next_command(coalition, card, monkeypatch):
    quick = TryRules(deadline_s=0.5, total_s=0.5)
    with monkeypatch.context() as cut:
        cut.setattr("coalition.client.aio_terminal.TryRules", lambda: quick)
        cut.setenv("COALITION_LISTEN", "127.0.0.1:1")
        coalition(*("till", "purchase", "--at", CAFE, "--card", f"@{card}"), "--amount", "7", "--offline", "30:50:100")

    line = coalition("till", "line", "--at", CAFE, "--wait", "20", "--json")
    told = json.loads(coalition("till", "recent", "--at", CAFE, "--limit", "1", "--json").out)["operations"][0]

    assert (0, 0) == (line.code, json.loads(line.out)["to_upload"]), line
    assert ("UPLOAD", "ACCEPTED", 700) == (told["kind"], told["state"], told["amount_minor"])
    entries = coalition("entries", "--at", CAFE, "--card", f"@{card}", "--json")
    assert 700 == json.loads(entries.out)[0]["shortfall_minor"], entries


def test_options_before_the_command_are_refused_with_the_cure(coalition):
    """They would be dropped in silence."""
    refused = coalition("till", "--at", CAFE, "balance", "--card", "-")

    assert 2 == refused.code
    assert "after the command" in " ".join(refused.err.split())


def test_the_server_keeps_every_promise_that_a_terminal_builds_on(coalition, card, house, address, tmp_path):
    """The script that merchants with terminals of their own run before they open; the card ends as it was."""
    rules = {"no_pin_limit_minor": 12_000}
    house.office.create_agreement(house.act(Kind.AGREEMENT_CREATED, code="law"), "law", "CARD_RULES", rules, FIRST_DAY)
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "100")
    folder = house.settings.certificates_directory / "t" / CAFE
    house.certificate(f"t/{CAFE}")
    member = house.reception.get_card(card.read_text()).member_id
    assert member is not None
    code, pin = tmp_path / "code.txt", tmp_path / "pin.txt"
    with grpc.secure_channel(address, house.certificate("op/admin").credentials()) as channel:
        code.write_text(enrolled_phone(MemberServiceStub(channel), member, issuer="cafe").code())
    pin.write_text("280619")
    set_ = coalition("member", "pin", str(member), "--pin", f"@{pin}")
    assert 0 == set_.code, set_.err
    checked = coalition(
        *("conformance", "--address", address, "--certificate", str(folder), "--card", f"@{card}", "--json"),
        *("--code", f"@{code}", "--pin", f"@{pin}"),
    )
    held = coalition("balance", "--at", CAFE, "--card", f"@{card}", "--field", "balance.balance_minor")

    assert [] == [(each["name"], each["failure"]) for each in json.loads(checked.out) if not each["passed"]]
    assert {"code used twice", "pin after it was asked for", "close that nobody signed"} <= {
        each["name"] for each in json.loads(checked.out)
    }
    assert (0, "12000") == (checked.code, held.out.strip())
