"""Each message type, from the till's bytes to the ledger and back, over a real server."""

from collections.abc import Callable

import pytest

from tests.gateway.pos import Pos, original, referring, repeated, said
from tests.house import House

Funded = Callable[[], str]


def balances(answer: dict[str, str]) -> tuple[int, int]:
    """All of the wallet, and what this merchant takes of it, as DE54 says."""
    text = answer["54"]
    assert ("0001156C", "0002156C") == (text[:8], text[20:28])
    return int(text[8:20]), int(text[28:])


def test_a_purchase_is_approved_with_its_approval_code_and_what_is_left(pos: Pos, funded: Funded):
    answer = pos.ask(said("0200", funded(), 30_000))

    assert "00" == answer["39"], answer
    assert (90_000, 90_000) == balances(answer)
    assert 6 == len(answer["38"])
    assert int(answer["62"]) > 0


def test_a_swiped_card_is_read_from_its_second_track(pos: Pos, funded: Funded):
    answer = pos.ask(said("0200", amount_minor=100, de35=f"{funded()}=29122010000012345"[:37]))

    assert "00" == answer["39"], answer


def test_a_top_up_sells_value_with_its_bonus(pos: Pos, house: House):
    at_store = {"de41": "STOREA01", "de42": "STORE0000000001"}

    answer = pos.ask({**said("0200", house.new_card(), 100_000, **at_store), "3": "210000"})

    assert "00" == answer["39"], answer
    assert (120_000, 120_000) == balances(answer)


def test_a_balance_inquiry_answers_both_balances_and_stores_nothing(pos: Pos, funded: Funded, house: House):
    card = funded()
    before = house.entry_count()

    for mti in ("0200", "0100"):
        answer = pos.ask(said(mti, card, de3="310000"))
        assert "00" == answer["39"], answer
        assert (120_000, 120_000) == balances(answer)

    assert before == house.entry_count()


def test_a_refund_names_its_purchase_by_its_trace_or_by_its_entry(pos: Pos, funded: Funded):
    sale = said("0200", funded(), 30_000)
    receipt = pos.ask(sale)

    by_trace = pos.ask({**referring("0200", sale, 10_000), "3": "200000"})
    by_entry = pos.ask({**said("0200", amount_minor=5_000, de62=receipt["62"]), "3": "200000"})

    assert ("00", "00") == (by_trace["39"], by_entry["39"]), (by_trace, by_entry)
    assert (105_000, 105_000) == balances(by_entry)


def test_a_refund_of_more_than_the_purchase_is_declined_with_64(pos: Pos, funded: Funded):
    sale = said("0200", funded(), 100)
    pos.ask(sale)

    answer = pos.ask({**referring("0200", sale, 101), "3": "200000"})

    assert ("64", "REFUND_EXCEEDS_ORIGINAL") == (answer["39"], answer["63"])


def test_a_refund_of_an_unknown_purchase_is_declined_with_25(pos: Pos):
    answer = pos.ask({**referring("0200", said("0200"), 100), "3": "200000"})

    assert "25" == answer["39"]


def test_a_held_amount_is_captured_in_part_and_the_rest_comes_back(pos: Pos, funded: Funded):
    hold = said("0100", funded(), 50_000)

    held = pos.ask(hold)
    taken = pos.ask(referring("0220", hold, 20_000))

    assert ("00", "00") == (held["39"], taken["39"]), (held, taken)
    assert (100_000, 100_000) == balances(taken)


def test_a_hold_is_captured_once(pos: Pos, funded: Funded):
    hold = said("0100", funded(), 50_000)
    pos.ask(hold)
    pos.ask(referring("0220", hold, 20_000))

    again = pos.ask(referring("0220", hold, 20_000))

    assert "21" == again["39"], again


def test_a_completion_of_nothing_releases_the_whole_hold(pos: Pos, funded: Funded):
    card = funded()
    hold = said("0100", card, 50_000)
    pos.ask(hold)

    released = pos.ask(referring("0220", hold, 0))

    assert "00" == released["39"], released
    assert "00" == pos.ask(said("0200", card, 120_000))["39"]


def test_an_advice_without_an_authorization_tells_an_offline_sale(pos: Pos, funded: Funded, house: House):
    """The cafe's terminal let 1300.00 go with 1200.00 in the wallet: the sale stands, the issuer bears 100.00."""
    sale = said("0220", funded(), 130_000)

    told, again = pos.ask(sale), pos.ask(repeated(sale))

    assert "00" == told["39"], told
    assert told == {**again, "39": "00"}
    assert (0, 0) == balances(told)
    kind, details = house.query("SELECT kind, details FROM entries WHERE entry_id = %s", int(told["62"]))[0]
    assert (13, f'{{"sequence_number":{int(sale["11"])}}}') == (kind, bytes(details).decode())


def test_an_advice_that_tells_neither_a_card_nor_an_original_is_malformed(pos: Pos, funded: Funded):
    assert "FIELD_INVALID DE90" == pos.ask(said("0220", "", 1_000))["63"]
    assert "FIELD_INVALID DE11" == pos.ask({**said("0220", funded(), 1_000), "11": "000000"})["63"]


@pytest.mark.parametrize("mti", ["0400", "0401", "0420", "0421"])
def test_every_type_of_reversal_undoes_a_purchase(mti: str, pos: Pos, funded: Funded):
    sale = said("0200", funded(), 30_000)
    pos.ask(sale)

    answer = pos.ask(referring(mti, sale))

    assert "00" == answer["39"], answer
    assert (120_000, 120_000) == balances(answer)


@pytest.mark.parametrize("by", ["sending time", "local time", "own trace"])
def test_a_reversal_finds_its_original_by_either_time_or_by_its_own_trace(by: str, pos: Pos, funded: Funded):
    sale = {**said("0200", funded(), 30_000), "7": "0101000000"}
    pos.ask(sale)
    reversal = referring("0400", sale)
    if by == "local time":
        reversal["90"] = original({**sale, "7": sale["13"] + sale["12"]})
    elif by == "own trace":
        del reversal["90"]
        reversal |= {name: sale[name] for name in ("11", "12", "13")}

    answer = pos.ask(reversal)

    assert "00" == answer["39"], answer
    assert (120_000, 120_000) == balances(answer)


@pytest.mark.parametrize("mti", ["0100", "0200"])
def test_a_reversal_before_its_original_kills_it(mti: str, pos: Pos, funded: Funded):
    card = funded()
    late = said(mti, card, 30_000)

    first = pos.ask(referring("0400", late))
    answer = pos.ask(late)

    assert ("00", "19") == (first["39"], answer["39"]), (first, answer)
    assert (120_000, 120_000) == balances(pos.ask(said("0200", card, de3="310000")))


def test_a_second_reversal_finds_nothing_left_and_is_approved(pos: Pos, funded: Funded):
    card = funded()
    sale = said("0200", card, 30_000)
    pos.ask(sale)

    answers = [pos.ask(referring("0400", sale)) for _ in range(3)]

    assert ["00"] * 3 == [each["39"] for each in answers], answers
    assert (120_000, 120_000) == balances(pos.ask(said("0200", card, de3="310000")))


def test_a_reversed_purchase_is_not_approved_again_when_it_is_repeated(pos: Pos, funded: Funded):
    """The service answers a replay as it answered first; what was taken back must not look paid to the till."""
    sale = said("0200", funded(), 30_000)
    pos.ask(sale)
    pos.ask(referring("0400", sale))

    assert "19" == pos.ask(repeated(sale))["39"]


def test_a_refused_reversal_leaves_its_original_standing(pos: Pos, funded: Funded):
    sale = said("0200", funded(), 30_000)
    pos.ask(sale)
    refund = {**referring("0200", sale, 10_000), "3": "200000"}
    pos.ask(refund)

    refused = pos.ask(referring("0400", refund))

    assert ("21", "ORIGINAL_NOT_REVERSIBLE") == (refused["39"], refused["63"])
    assert "00" == pos.ask(repeated(refund))["39"]


@pytest.mark.parametrize("mti", ["0200", "0201"])
def test_a_repeat_gets_the_first_answer_and_posts_nothing(mti: str, pos: Pos, funded: Funded, house: House):
    sale = said("0200", funded(), 30_000)
    first = pos.ask(sale)
    count = house.entry_count()

    again = pos.ask({**repeated(sale), "t": mti})

    assert first == again
    assert count == house.entry_count()


def test_the_same_trace_with_another_amount_is_a_duplicate(pos: Pos, funded: Funded):
    sale = said("0200", funded(), 30_000)
    pos.ask(sale)

    answer = pos.ask({**sale, "4": "000000040000"})

    assert ("94", "REQUEST_ID_REUSED") == (answer["39"], answer["63"])


def test_a_wrapped_trace_number_at_another_time_is_a_new_purchase(pos: Pos, funded: Funded):
    card = funded()
    sale = said("0200", card, 10_000)
    first = pos.ask(sale)

    later = pos.ask({**sale, "12": "000001" if sale["12"] != "000001" else "000002"})

    assert ("00", "00") == (first["39"], later["39"])
    assert (100_000, 100_000) == balances(later)


def test_declines_have_codes_of_their_own(pos: Pos, funded: Funded, house: House):
    declined = {
        "51": said("0200", funded(), 120_001),
        "14": said("0200", "999999999999999", 100),
        "56": said("0200", house.new_card(linked=False), 100),
        "12": said("0200", funded(), 100, de49="840"),
        "40": said("0200", funded(), 100, de3="990000"),
        "63": said("0200", funded(), 100, de52="0123456789ABCDEF"),
        "03": said("0200", funded(), 100, de41="NOBODY01"),
        "30": said("0200", "12A456789012", 100),
    }

    assert {code: code for code in declined} == {code: pos.ask(each)["39"] for code, each in declined.items()}


@pytest.mark.parametrize("terminal", ["GARAGE01", "GHOST001"])
def test_a_till_that_the_gateway_may_not_speak_for_is_refused_with_58(terminal: str, pos: Pos, funded: Funded):
    merchant = {"GARAGE01": "GARAGE000000001", "GHOST001": "GHOST0000000001"}[terminal]

    answer = pos.ask(said("0200", funded(), 100, de41=terminal, de42=merchant))

    assert "58" == answer["39"], answer


@pytest.mark.parametrize("network_code", ["001", "002", "301"])
def test_sign_on_and_echo_tell_that_the_service_is_there(network_code: str, pos: Pos):
    answer = pos.ask({**said("0800"), "70": network_code})

    assert ("00", network_code) == (answer["39"], answer["70"])


def test_a_terminals_own_certificate_posts_at_that_terminal(pos: Pos, funded: Funded, house: House):
    answer = pos.ask(said("0200", funded(), 100, de41="CAFE0002"))

    assert "00" == answer["39"], answer
    posted = house.query(
        "SELECT t.code FROM entries e JOIN terminals t USING (terminal_id) WHERE entry_id = %s", int(answer["62"])
    )
    assert [("till-2",)] == posted
