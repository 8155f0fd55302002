"""What a person at the command line meets: answers that read well, refusals that help, exit codes to rely on."""

import json
import stat
from pathlib import Path

import pytest

from coalition.cli.money import format_amount
from coalition.cli.refusals import NEXT_STEPS, PATTERNS
from coalition.cli.windows import named
from coalition.domain.reasons import Reason
from tests.house import House, new_id

GROCER = "store-a/main/till-1"
CAFE = "cafe/main/till-1"


@pytest.fixture
def card(house: House, tmp_path: Path) -> Path:
    """The number of a fresh member's card, in a file."""
    file = tmp_path / "card.txt"
    file.write_text(house.new_card())
    return file


def test_value_bought_at_one_merchant_is_spent_at_another(coalition, card):
    """The reason for all of it."""
    sold = coalition("top-up", "--at", GROCER, "--card", f"@{card}", "1000.00")
    paid = coalition("pay", "--at", CAFE, "--card", "-", "300", typed=card.read_text())
    left = coalition("balance", "--at", CAFE, "--card", f"@{card}", "--json")

    assert (0, 0, 0) == (sold.code, paid.code, left.code)
    assert "Topped up 1,000.00 CNY: principal 1,000.00, bonus 200.00" in sold.out
    assert "Paid 300.00 CNY: principal 250.00, bonus 50.00" in paid.out
    assert 90000 == json.loads(left.out)["balance"]["balance_minor"]


def test_a_refusal_exits_with_1_and_says_reason_sentence_and_next_step(coalition, card):
    """A cashier has to know what to do, a script that it did not happen."""
    refused = coalition("pay", "--at", CAFE, "--card", f"@{card}", "10.00")

    assert (1, "") == (refused.code, refused.out)
    assert "refused: INSUFFICIENT_FUNDS" in refused.err
    assert "top up or pay the rest otherwise" in refused.err
    assert "balance 0.00" in refused.err
    assert "next: coalition top-up" in refused.err


@pytest.mark.parametrize("command", ["pay", "balance", "entries", "card show", "card freeze", "card link --member x"])
def test_no_failure_repeats_a_card_number(coalition, command):
    """Logs and screenshots of a failure travel far."""
    number = "9111222233334444"
    words = command.split()
    till = [] if words[0] == "card" else ["--at", CAFE]
    amount = ["10.00"] if command == "pay" else []

    failed = coalition(*words, *till, "--card", number, *amount)

    assert failed.code in {1, 2}
    assert failed.err
    assert number not in failed.out + failed.err


def test_the_same_request_id_posts_once_and_says_so(coalition, card):
    """The answer was lost on its way; the cashier repeats the command."""
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "100.00")
    again = ("pay", "--at", CAFE, "--card", f"@{card}", "40.00", "--request-id", new_id())

    first, second = coalition(*again), coalition(*again)

    assert "posted before" not in first.out
    assert "posted before; nothing was posted again" in second.out
    assert (
        "8000"
        == coalition("balance", "--at", CAFE, "--card", f"@{card}", "--field", "balance.balance_minor").out.strip()
    )


def test_a_purchase_is_refunded_by_its_entry_and_by_its_request_id(coalition, card):
    """The one is on the receipt, the other in the till."""
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "100.00")
    paid = json.loads(coalition("pay", "--at", CAFE, "--card", f"@{card}", "40.00", "--json").out)["receipt"]

    for original in (str(paid["entry_id"]), paid["request_id"]):
        assert "Refunded 10.00 CNY" in coalition("refund", "--at", CAFE, original, "10.00").out

    refused = coalition("refund", "--at", CAFE, str(paid["entry_id"]), "30.00")
    assert "refused: REFUND_EXCEEDS_ORIGINAL" in refused.err


def test_entries_are_listed_newest_first_up_to_the_limit(coalition, card):
    """Over more than one page, too."""
    for amount in ("100.00", "200.00", "300.00"):
        coalition("top-up", "--at", GROCER, "--card", f"@{card}", amount)

    listed = json.loads(coalition("entries", "--at", GROCER, "--card", f"@{card}", "--limit", "2", "--json").out)

    assert [30000, 20000] == [entry["amount_minor"] for entry in listed]


def test_headquarters_adds_what_it_lists(coalition):
    """Participants, stores and terminals are made by the same hand."""
    added = [
        coalition("participant", "add", "bakery", "--role", "store", "--chain", "alpha", "--name", "[red]面包房"),
        coalition("store", "add", "bakery", "main"),
        coalition("terminal", "add", "bakery", "main", "till-1"),
    ]

    assert [0, 0, 0] == [each.code for each in added]
    # A name is never taken for markup.
    assert "[red]面包房" in coalition("participant", "list").out
    assert "bakery" in coalition("store", "list", "--participant", "bakery").out
    assert "till-1" in coalition("terminal", "list", "--participant", "bakery").out
    assert "refused: PARTICIPANT_EXISTS" in coalition("participant", "add", "bakery").err


def test_a_suspended_terminal_is_refused_until_it_is_resumed(coalition, card):
    """A stolen till must not sell."""
    till = "store-b/main/till-2"

    assert "SUSPENDED" in coalition("terminal", "suspend", till).out
    assert "refused: TERMINAL_SUSPENDED" in coalition("balance", "--at", till, "--card", f"@{card}").err
    assert "ACTIVE" in coalition("terminal", "resume", till).out
    assert 0 == coalition("balance", "--at", till, "--card", f"@{card}").code


def test_a_suspended_store_closes_all_its_tills_and_opens_those_that_were_open(coalition, card):
    """Who was broken into names the shop, not its devices one by one."""
    till, stolen = "store-b/main/till-1", "store-b/main/till-2"
    coalition("terminal", "suspend", stolen)

    assert "Store store-b/main is SUSPENDED" in coalition("store", "suspend", "store-b", "main").out
    assert "refused: TERMINAL_SUSPENDED" in coalition("balance", "--at", till, "--card", f"@{card}").err
    assert "ACTIVE" in coalition("store", "resume", "store-b", "main").out
    assert 0 == coalition("balance", "--at", till, "--card", f"@{card}").code
    assert "refused: TERMINAL_SUSPENDED" in coalition("balance", "--at", stolen, "--card", f"@{card}").err
    assert "ACTIVE" in coalition("terminal", "resume", stolen).out


def test_an_agreement_shown_as_json_is_what_file_reads(coalition, tmp_path):
    """Headquarters keeps its agreements in files under review."""
    made = coalition(
        "agreement", "add", "terms", "summer", "--issuer", "store-b", "--bonus", "500:10%", "--bonus", "1000:1/3",
        "--minimum", "50.00", "--custody", "operator", "--top-up-loss", "issuer", "--from", "2030-01-01",
    )  # fmt: skip
    shown = coalition("agreement", "show", "summer", "--json")
    file = tmp_path / "terms.json"
    file.write_text(shown.out)
    copied = coalition("agreement", "add", "terms", "autumn", "--file", str(file), "--from", "2030-01-01")

    assert (0, 0) == (made.code, copied.code), copied.err
    assert "tiers: from 1,000.00 CNY a bonus of 1/3" in made.out
    assert "ISSUER" == json.loads(shown.out)["top_up_loss"]
    assert json.loads(shown.out) == json.loads(coalition("agreement", "show", "autumn", "--json").out)


def test_card_rules_are_set_in_amounts_and_shown_in_amounts(coalition):
    """The bounds of the law are written in yuan; a slip by a factor of a hundred must be seen."""
    made = coalition(
        "agreement", "add", "card-rules", "law", "--bearer-balance-limit", "1000", "--named-balance-limit", "5,000.00",
        "--no-credit-funding", "--wallet-day-count", "30", "--return-days", "7", "--from", "2030-01-01",
        "--until", "2030-02-01",
    )  # fmt: skip
    shown = coalition("agreement", "show", "law")

    assert 0 == made.code, made.err
    assert "CARD_RULES law, version 1, in force from 2030-01-01" in shown.out
    assert {
        "named_balance_limit: 5,000.00 CNY", "bearer_balance_limit: 1,000.00 CNY", "credit_funding_allowed: no",
        "issuer_held_across_groups_allowed: yes",
        "wallet_day_count: 30", "return_days: 7",
    } == {line.strip() for line in shown.out.splitlines()[1:]}  # fmt: skip
    assert "the scheme and everybody" in coalition("agreement", "list").out


def test_fees_of_windows_and_caps_are_agreed_on_and_shown(coalition, tmp_path):
    """What is typed, shown and read from a file is one content."""
    # fmt: off
    fees = coalition(
        "agreement", "add", "fees", "cafe-month", "--payer", "cafe", "--band", "0:0.6%", "--band", "100000:0.4%",
        "--minimum", "50", "--flat", "9.90",
    )
    members = coalition(
        "agreement", "add", "fees", "b-recruits", "--payer", "cafe", "--payee", "store-b", "--base", "new-members",
        "--measured", "payee", "--band", "0:5.00", "--band", "100:3.00",
    )
    cap = coalition("agreement", "add", "caps", "cafe-cap", "--participant", "cafe", "--net-debit", "50000")
    # fmt: on
    assert (0, 0, 0) == (fees.code, members.code, cap.code), fees.err + members.err + cap.err
    shown = coalition("agreement", "show", "cafe-month")
    for line in ("payer: cafe", "base: PURCHASES", "banding: MARGINAL", "flat: 9.90 CNY", "minimum: 50.00 CNY"):
        assert line in shown.out
    assert "from a volume of 10000000: 0.4%" in shown.out
    assert "measured: PAYEE" in coalition("agreement", "show", "b-recruits").out
    assert "net_debit: 50,000.00 CNY" in coalition("agreement", "show", "cafe-cap").out
    file = tmp_path / "fees.json"
    file.write_text(coalition("agreement", "show", "b-recruits", "--json").out)
    copied = coalition("agreement", "add", "fees", "rival", "--file", str(file), "--from", "2030-01-01")
    assert "overlaps b-recruits" in copied.err
    assert 2 == coalition("agreement", "add", "fees", "bad", "--payer", "cafe", "--band", "0.6%").code


def test_an_agreement_is_revised_only_by_who_has_read_it(coalition):
    """Two people at headquarters must not overwrite each other."""
    arguments = ("agreement", "add", "acceptance", "a-at-garage", "--issuer", "store-a", "--acquirer", "garage")
    revision = (*arguments, "--interchange", "0.3%", "--revises", "1")

    assert 0 == coalition(*arguments).code
    assert "version 2" in coalition(*revision).out
    assert "refused: AGREEMENT_VERSION_CONFLICT" in coalition(*revision).err


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ('{"issuer": "store-a", "bonus": "1/5"}', "bonus: no such field"),
        ('{"issuer": "store-a", "sponsor_share": "a fifth"}', "sponsor_share: write a rate"),
        ('{"issuer": "store-a", "tiers": [{"from_minor": "1"}]}', "tiers[0].from_minor: must be a number"),
        ('{"issuer": "store-a", "custody": "MINE"}', "custody: must be one of"),
        ('{"issuer": 7}', "issuer: must be a text"),
        ("[]", "one JSON object"),
        ("{", "no JSON"),
    ],
)
def test_a_broken_agreement_file_is_refused_by_its_field(coalition, content, named):
    """Before anything is sent."""
    refused = coalition("agreement", "add", "terms", "broken", "--file", "-", typed=content)

    assert 2 == refused.code
    assert named in " ".join(refused.err.replace("│", " ").split())


def test_a_member_is_enrolled_by_answers_and_never_told_back_in_clear(coalition):
    """What a person tells is not for the screen of the next customer."""
    phone = "+8613900139000"
    enrolled = coalition("member", "enrol", "--recruiter", "store-a", typed=f"李小龙\n{phone}\n4\n")
    found = coalition("member", "find", typed=f"{phone}\n")
    twice = coalition(
        "member", "enrol", "--recruiter", "store-a", "--from-file", "-",
        typed=json.dumps({"name": "李小龙", "phone": phone}),
    )  # fmt: skip

    assert (0, 0, 1) == (enrolled.code, found.code, twice.code), enrolled.err + found.err
    assert "refused: MEMBER_EXISTS" in twice.err
    for said in (enrolled, found, twice):
        assert phone not in said.out + said.err
        assert "李小龙" not in said.out + said.err
    assert "name 李*, phone 139****9000" in found.out


def test_what_a_person_told_is_not_repeated_when_it_is_malformed(coalition):
    """Not even in the error."""
    refused = coalition("member", "enrol", "--from-file", "-", typed='{"name": "Wang", "phone": 13800138000}')

    assert 2 == refused.code
    assert "138" not in refused.out + refused.err


def test_a_new_card_number_goes_to_a_file_of_its_owner_only(coalition, tmp_path):
    """And to an existing file never: it may hold another card."""
    file = tmp_path / "new.txt"
    issued = coalition("card", "issue", "--issuer", "store-a", "--number-to", str(file))
    number = file.read_text().strip()

    assert 0 == issued.code
    assert number not in issued.out
    assert stat.S_IRUSR | stat.S_IWUSR == stat.S_IMODE(file.stat().st_mode)
    assert 2 == coalition("card", "issue", "--issuer", "store-a", "--number-to", str(file)).code
    assert f"**** {number[-4:]}: ISSUED" in coalition("card", "show", "--card", f"@{file}").out


def test_a_card_is_frozen_and_replaced_and_the_value_stays(coalition, card, tmp_path):
    """A lost card costs the member nothing."""
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "100.00")
    new = tmp_path / "replacement.txt"

    assert "FROZEN" in coalition("card", "freeze", "--card", f"@{card}").out
    assert "refused: CARD_FROZEN" in coalition("pay", "--at", GROCER, "--card", f"@{card}", "1.00").err
    assert 0 == coalition("card", "replace", "--card", f"@{card}", "--number-to", str(new)).code
    assert "refused: CARD_REPLACED" in coalition("pay", "--at", GROCER, "--card", f"@{card}", "1.00").err
    assert "balance 120.00 CNY" in coalition("balance", "--at", GROCER, "--card", f"@{new}").out


def test_a_lent_card_has_its_limits_and_shows_them(coalition, card):
    """Who lends a card decides what it may cost, and can look it up."""
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "100.00")
    limited = coalition("card", "limit", "--card", f"@{card}", "--per-operation", "20", "--per-day", "30.00")
    refused = coalition("pay", "--at", GROCER, "--card", f"@{card}", "20.01")

    assert "ACTIVE" in limited.out
    assert "20.00 per operation, 30.00 per day" in coalition("card", "show", "--card", f"@{card}").out
    assert "refused: CARD_LIMIT_EXCEEDED" in refused.err
    assert "left 20.00" in refused.err
    assert "next: coalition card limit" in refused.err
    assert " per " not in coalition("card", "limit", "--card", f"@{card}").out
    assert 0 == coalition("pay", "--at", GROCER, "--card", f"@{card}", "40.00").code


def test_a_member_is_verified_and_a_top_up_returned(coalition, card):
    """At the counter: the document was seen, and the money was wanted back."""
    member = coalition("card", "show", "--card", f"@{card}", "--field", "card.member_id").out.strip()
    verified = coalition("member", "verify", member)
    sold = coalition(
        "top-up",
        "--at",
        GROCER,
        "--card",
        f"@{card}",
        "100.00",
        "--funding",
        "debit-card",
        "--field",
        "receipt.entry_id",
    )
    back = coalition("return-top-up", "--at", GROCER, sold.out.strip())

    assert (0, 0, 0) == (verified.code, sold.code, back.code), verified.err + sold.err + back.err
    assert "real name verified" in coalition("member", "show", member).out
    assert "To be paid out 100.00 CNY: principal 100.00, bonus 20.00" in back.out
    assert 2 == coalition("top-up", "--at", GROCER, "--card", f"@{card}", "1.00", "--funding", "barter").code
    assert 2 == coalition("return-top-up", "--at", GROCER, "yesterday").code


def test_a_pass_is_agreed_on_sold_visited_and_paid_out(coalition, card):
    """By the words of the counter: so many baths for so much."""
    agreed = coalition("agreement", "add", "passes", "bath", "--issuer", "store-a", "--price", "100", "--visits", "3")
    sale = ("pass", "sell", "--at", GROCER, "--card", f"@{card}", "100.00", "--field", "receipt.entry_id")
    sold = coalition(*sale).out.strip()
    visited = coalition("pass", "visit", "--at", GROCER, "--card", f"@{card}", "2")
    entry = coalition("pass", "visit", "--at", GROCER, "--card", f"@{card}", "--field", "receipt.entry_id").out.strip()
    back = coalition("pass", "return-visit", "--at", GROCER, entry)
    paid = coalition("pass", "pay-out", "--at", GROCER, sold)

    assert (0, 0, 0, 0) == (agreed.code, visited.code, back.code, paid.code), agreed.err + visited.err + paid.err
    assert "store-a sells 3 visits" in coalition("agreement", "list").out
    assert "Visited for 66.66 CNY" in visited.out
    assert f"pass {sold} has 1 visits left" in visited.out
    assert "Given back 33.34 CNY" in back.out
    assert "To be paid out 33.34 CNY" in paid.out
    assert f"pass {sold} has 0 visits left" in paid.out
    assert "refused: PASS_UNKNOWN" in coalition("pass", "visit", "--at", GROCER, "--card", f"@{card}").err
    assert "refused: PASS_PRICE_DIFFERS" in coalition(*sale[:6], "99.00").err
    assert 2 == coalition(*sale[:6], "100.00", "--funding", "barter").code


def test_points_are_agreed_on_earned_and_spent(coalition, card):
    """A point a yuan from 100.00 on, worth a fen: the receipt says what came and what there is."""
    told = ("agreement", "add", "points", "stars", "--debtor", "store-a", "--step", "100:1/100", "--value", "1")
    agreed = coalition(*told, "--months", "12")
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "500.00")
    paid = coalition("pay", "--at", GROCER, "--card", f"@{card}", "250.00")
    spend = ("points", "spend", "--at", GROCER, "--card", f"@{card}")
    spent = coalition(*spend, "200", "--field", "receipt.entry_id")
    back = coalition("points", "return", "--at", GROCER, spent.out.strip(), "--points", "50")

    assert (0, 0, 0, 0) == (agreed.code, paid.code, spent.code, back.code), agreed.err + paid.err + spent.err + back.err
    assert "store-a owes points" in coalition("agreement", "list").out
    assert "from 100.00 CNY 1% points a minor unit" in coalition("agreement", "show", "stars").out
    assert "points +250, these until 20" in paid.out
    assert ", 250 of stars now" in paid.out
    assert "months: 12" in coalition("agreement", "show", "stars").out
    assert "50 points of stars, worth 0.50 CNY" in back.out
    assert "100 points of stars" in coalition("balance", "--at", GROCER, "--card", f"@{card}").out
    assert "refused: POINTS_TOO_FEW" in coalition(*spend, "101").err
    assert 2 == coalition(*told[:5], "store-a", "--step", "100").code


def test_points_are_turned_into_value(coalition, card):
    """Half a fen a point, of the debtor itself, from 100 points on; a voucher has a last day."""
    told = ("agreement", "add", "points", "moons", "--debtor", "store-b", "--earned-at", "store-b", "--value", "1")
    more = ("--conversion-rate", "1/2", "--conversion-issuer", "store-a", "--conversion-minimum", "100")
    agreed = coalition(*told, "--step", "1:1", *more)
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "500.00")
    till = ("--at", "store-b/main/till-1", "--card", f"@{card}", "--programme", "moons")

    assert (0, 1) == (agreed.code, coalition("points", "convert", *till, "200").code), agreed.err
    shown = coalition("agreement", "show", "moons").out
    assert "value of store-a, 50% minor units a point, from 100 points in steps of 1" in shown
    assert "refused: POINTS_NOT_CONVERTIBLE" in coalition("points", "convert", *till, "99").err
    assert "refused: POINTS_TOO_FEW" in coalition("points", "convert", *till, "100").err


def test_points_that_are_owed_are_repaid(coalition, card):
    """Both programmes say the same rate, or none."""
    told = ("--debtor", "store-b", "--value", "1", "--step", "1:1")
    suns = ("agreement", "add", "points", "suns", *told, "--earned-at", "cafe", "--repays", "dusts:3/2")
    dusts = ("agreement", "add", "points", "dusts", *told, "--earned-at", "garage", "--repaid-with", "suns:3/2")
    agreed = [coalition(*suns), coalition(*dusts)]
    repay = ("points", "repay", "dusts", "--at", "cafe/main/till-1", "--card", f"@{card}", "--with", "suns")

    assert [0, 0] == [each.code for each in agreed], [each.err for each in agreed]
    assert "repays: dusts, 150% for one" in coalition("agreement", "show", "suns").out
    assert "refused: POINTS_NOT_REPAYABLE" in coalition(*repay).err
    assert 2 == coalition(*suns[:-1], "dusts").code


def test_bounced_money_is_taken_back_and_a_wallet_is_paid_out_and_closed(coalition, card):
    """By headquarters of who sold it; by any till that has the cash."""
    sell = ("top-up", "--at", GROCER, "--card", f"@{card}", "100.00", "--field", "receipt.entry_id")
    before = coalition(
        "balance", "--at", GROCER, "--card", f"@{card}", "--field", "balance.principal_minor"
    ).out.strip()
    bounced = coalition("reverse-top-up", "--as", "hq/store-a", coalition(*sell).out.strip())
    again = coalition("reverse-top-up", "--at", GROCER, coalition(*sell).out.strip())
    paid = coalition("cash-out", "--at", GROCER, "--card", f"@{card}", "--close")

    assert (0, 0, 0) == (bounced.code, again.code, paid.code), bounced.err + again.err + paid.err
    assert "Taken back 100.00 CNY" in bounced.out
    assert f"To be paid out {int(before) // 100:,}.{int(before) % 100:02} CNY" in paid.out
    assert "the wallet is closed" in paid.out
    assert "refused: WALLET_CLOSED" in coalition(*sell).err
    assert "refused: ORIGINAL_UNKNOWN" in coalition("refund", "--at", GROCER, "7", "1.00", "--goods", "kept").err
    assert 2 == coalition("refund", "--at", GROCER, "7", "1.00", "--goods", "lost").code


def test_a_lost_card_is_named_by_its_member(coalition, card, tmp_path):
    """Its number went with it."""
    member = coalition("card", "show", "--card", f"@{card}", "--field", "card.member_id").out.strip()
    shown = coalition("member", "show", member)
    card_id = json.loads(coalition("member", "show", member, "--json").out)["member"]["cards"][0]["card_id"]
    named = ("--member", member, "--card-id", str(card_id))

    assert f"card {card_id}: **** {card.read_text().strip()[-4:]}, ACTIVE" in shown.out
    assert "FROZEN" in coalition("card", "freeze", *named).out
    assert "ACTIVE" in coalition("card", "unfreeze", *named).out
    assert 0 == coalition("card", "replace", *named, "--number-to", str(tmp_path / "new.txt")).code
    assert "refused: CARD_REPLACED" in coalition("card", "freeze", *named).err
    for half in (named[:2], named[2:], (*named, "--card", f"@{card}")):
        assert 2 == coalition("card", "freeze", *half).code


def test_another_identity_has_other_rights(coalition, card):
    """--as is who you are, not who you would like to be."""
    assert "refused: PERMISSION_DENIED" in coalition("participant", "add", "mine", "--as", "hq/cafe").err
    mine = coalition("participant", "list", "--as", "hq/cafe", "--field", "code").out.split()
    assert ["cafe"] == mine
    assert (
        "refused: TERMINAL_OF_OTHER_STORE"
        in coalition("balance", "--as", f"t/{CAFE}", "--at", GROCER, "--card", f"@{card}").err
    )
    assert 0 == coalition("balance", "--as", "ts/alpha/server-1", "--at", GROCER, "--card", f"@{card}").code


@pytest.mark.parametrize(
    "arguments",
    [
        ("pay", "--at", CAFE, "--card", "9111222233334444", "3.001"),
        ("pay", "--at", "cafe/main", "--card", "9111222233334444", "3.00"),
        ("pay", "--card", "9111222233334444", "3.00"),
        ("pay", "--at", CAFE, "--card", "123", "3.00"),
        ("pay", "--at", CAFE, "--card", "@nothing-here", "3.00"),
        ("pay", "--at", CAFE, "--card", "9111222233334444", "3.00 USD"),
        ("pay", "--at", CAFE, "--code", "123", "3.00"),
        ("pay", "--at", CAFE, "--code", "1" * 22, "--card", "9111222233334444", "3.00"),
        ("balance", "--at", CAFE, "--phone", "+8613800138000"),
        ("balance", "--at", CAFE, "--id", "chat"),
        ("card", "code", "--device", "nothing-here.json"),
        ("refund", "--at", CAFE, "yesterday", "3.00"),
        ("participant", "add", "x", "--role", "king"),
        ("participant", "list", "--field", "colour"),
        ("participant", "list", "--as", "king/arthur"),
        ("participant", "list", "--as", "hq"),
        ("participant", "list", "--server", "localhost"),
        ("certificate", "t/cafe/main"),
        ("member", "show", "x", "--purpose", "curiosity"),
        ("nonsense",),
    ],
)
def test_a_wrong_command_line_exits_with_2(coalition, arguments):
    """Nothing was asked of the service."""
    wrong = coalition(*arguments)

    assert 2 == wrong.code
    assert wrong.err


def test_a_wrong_setting_exits_with_2_and_is_named(coalition, monkeypatch):
    """The cure is where the setting is."""
    monkeypatch.setenv("COALITION_ZONE", "Atlantis")

    wrong = coalition("participant", "list")

    assert 2 == wrong.code
    assert "COALITION_ZONE" in wrong.err


def test_a_server_that_is_not_there_exits_with_3_and_says_how_to_start_one(coalition):
    """Not the same as a refusal: a script may try again."""
    nobody = coalition("participant", "list", "--server", "127.0.0.1:1")

    assert 3 == nobody.code
    assert "no answer from 127.0.0.1:1" in nobody.err
    assert "make serve" in nobody.err


def test_without_the_authority_a_missing_certificate_is_not_made_up(run, tmp_path, monkeypatch):
    """An authority that nobody trusts would only change the error."""
    monkeypatch.setenv("COALITION_VAR", str(tmp_path))

    missing = run("participant", "list")

    assert 2 == missing.code
    assert "no certificate in" in missing.err
    assert [] == list(tmp_path.iterdir())


def test_every_next_step_belongs_to_a_reason_of_the_service():
    """A hint for a reason that was renamed is never shown."""
    assert set(NEXT_STEPS) <= {reason.name for reason in Reason}


def test_a_malformed_code_is_explained_in_words(coalition):
    """A person who typed a capital letter is not shown a regular expression."""
    refused = coalition("participant", "add", "Cafe")

    assert 1 == refused.code
    assert "field code: write a-z, 0-9 and -" in refused.err
    assert "regex" not in refused.err


def test_every_pattern_put_into_words_is_one_of_the_protos():
    """Words for a pattern that was changed are never shown."""
    protos = "".join(file.read_text() for file in Path("protos/coalition/v1").glob("*.proto")).replace("\\\\", "\\")

    assert set() == {pattern for pattern in PATTERNS if f'"{pattern}"' not in protos}


def test_a_window_may_be_named_as_it_is_printed():
    """What `coalition windows` shows can be copied into --window; the calendar in it is the one that counts."""
    assert ("monthly", "2017-01") == named("monthly", "2017-01")
    assert ("weekly", "2017-W05") == named("monthly", "weekly/2017-W05")
    assert ("monthly", "") == named("monthly", "")


@pytest.mark.parametrize(
    "command",
    [
        "", "serve", "demo", "migrate", "check", "certificate", "help", "replay olist", "participant add", "store add",
        "store suspend", "terminal suspend", "agreement add terms", "agreement add acceptance",
        "agreement add acquiring", "agreement add card-rules", "card limit", "member verify", "return-top-up",
        "agreement add limits", "agreement add fees", "agreement add caps",
        "reverse-top-up", "cash-out", "dispute open", "dispute list", "dispute settle",
        "debt list", "debt repay", "debt propose-write-off", "debt write-off",
        "participant propose-hand-over", "participant hand-over", "member enrol", "member find",
        "member lock", "member unlock", "member erase", "member approve-erase", "member erasures", "member consent",
        "member export", "member access", "member ask", "member revise", "member merge",
        "members import", "members lots", "members export-key", "members ask-export",
        "members approve-export", "members export", "members open-export",
        "member approve", "member see", "card device", "card code", "card add-id",
        "card add-phone", "card remove", "card issue", "card replace", "wallet", "top-up", "pay", "refund", "balance",
        "entries", "windows", "positions", "claims",
    ],
)  # fmt: skip
def test_every_command_explains_itself(run, command):
    """A newcomer types --help first."""
    told = run(*command.split(), "--help")

    assert 0 == told.code
    assert "Usage:" in told.out
    assert command in {"", "help"} or "Example: coalition" in " ".join(told.out.split())


def test_the_manual_shows_the_amounts_it_promises(run):
    """Its examples of amounts are what commands print; it fits into a terminal."""
    told = run("help")

    assert 0 == told.code
    assert max(len(line) for line in told.out.splitlines()) <= 80
    for minor in (30000, 120000):
        assert format_amount(minor, "CNY").removesuffix(" CNY") in told.out


def test_a_payment_tells_what_was_sold_and_paid_with(coalition, card, tmp_path):
    """The file's words are those of the protos; what is wrong in it is named."""
    file = tmp_path / "sale.json"
    coalition("top-up", "--at", GROCER, "--card", f"@{card}", "100")
    item = {"sku": "6901", "category": "tea", "quantity_thousandths": 2000, "amount_minor": 1800}
    tenders = [{"kind": "CARD", "amount_minor": 1500}, {"kind": "CASH", "amount_minor": 300}]
    file.write_text(json.dumps({"items": [item], "tenders": tenders}))
    paid = coalition("pay", "--at", CAFE, "--card", f"@{card}", "15.00", "--items", str(file))
    unequal = coalition("pay", "--at", CAFE, "--card", f"@{card}", "14.00", "--items", str(file))
    line = json.loads(coalition("entries", "--at", CAFE, "--card", f"@{card}", "--json").out)[0]

    assert (0, 1) == (paid.code, unequal.code), (paid, unequal)
    assert "tenders" in unequal.err
    assert ([{"sku": "6901", "category": "tea", "quantity_thousandths": 2000, "amount_minor": 1800}], tenders) == (
        [{name: value for name, value in each.items() if value} for each in line["items"]],
        line["tenders"],
    )
    for content, complaint in (
        ("[]", "must be an object"),
        ('{"goods": []}', "must be an object"),
        ('{"items": [{"sku": 1, "colour": "red"}]}', "sku"),
        ('{"tenders": [{"kind": "SHELLS"}]}', "TENDER_KIND_SHELLS"),
        ("{", "Expecting"),
    ):
        file.write_text(content)
        wrong = coalition("pay", "--at", CAFE, "--card", f"@{card}", "15.00", "--items", str(file))
        assert 2 == wrong.code, wrong
        assert complaint in " ".join(wrong.err.replace("│", " ").split()), wrong
