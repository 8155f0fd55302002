"""Batches of the desk on a real ledger: exactly once, declines stored, books that add up."""

import itertools
import threading
from dataclasses import replace
from uuid import UUID

import pytest

from coalition.clearing.batch import Answer, run_batch
from coalition.domain.errors import NoOpenWindow, Refused
from coalition.domain.journal import Outcome
from coalition.domain.reasons import Reason
from coalition.domain.sale_details import SaleDetails, SaleItem
from tests.clearing.house import House, accepted, new_request_id, reasons


def test_the_worked_month_of_the_design_is_posted_to_the_fen(house: House) -> None:
    """DESIGN section 2: 300 of a 1000 + 200 lot spent at the cafe nets a -29700 without interchange, fees as agreed."""
    token = house.funded_card()
    outcome = accepted(house.run(house.purchase("cafe", token, 30_000))[0])

    assert (25_000, 5_000, 90_000) == (outcome.principal_minor, outcome.bonus_minor, outcome.balance_minor)
    lines = house.query(
        "SELECT debit, credit, amount_minor FROM journal_lines WHERE entry_id = %s ORDER BY leg", outcome.entry_id
    )
    a, cafe = house.terminals["a"][0], house.terminals["cafe"][0]
    assert [
        ("WALLET", f"FLOAT({a},{a})", 25_000),
        ("WALLET", f"BONUS({a})", 5_000),
        (f"CLEARING({a})", f"CLEARING({cafe})", 25_000),
        (f"CLEARING({a})", f"CLEARING({cafe})", 5_000),
        (f"CLEARING({cafe})", f"CLEARING({a})", 150),
        (f"CLEARING({cafe})", "CLEARING(1)", 180),
        (f"CLEARING({cafe})", f"CLEARING({a})", 300),
    ] == lines
    house.check_books()


def test_same_request_and_body_gets_the_same_answer_for_ever(house: House) -> None:
    """A retry must never pay twice, also for a decline whose cause has gone away since."""
    token = house.new_card()
    declined = house.purchase("cafe", token, 500)
    first = house.run(declined)[0]
    assert Reason.INSUFFICIENT_FUNDS == first.reason
    house.run(house.top_up("a", token, 100_000))
    paid = house.purchase("cafe", token, 700)
    answer = house.run(paid)[0]

    again = house.run(declined, paid)

    assert [first.again(), answer.again()] == again  # type: ignore[union-attr]
    assert [(2,)] == house.query("SELECT count(*) FROM entries WHERE kind = 2")
    house.check_books()


def test_same_request_with_another_body_is_refused_and_changes_nothing(house: House) -> None:
    """Every field that means something counts: amount, card, terminal's merchant reference."""
    token, other = house.funded_card(), house.new_card()
    request = new_request_id()
    house.run(house.purchase("cafe", token, 700, request))

    for altered in (house.purchase("cafe", token, 701, request), house.purchase("cafe", other, 700, request)):
        assert [Reason.REQUEST_ID_REUSED] == reasons(house.run(altered))
    assert [(2,)] == house.query("SELECT count(*) FROM entries")


def test_another_participant_may_use_the_same_request_id(house: House) -> None:
    """The key is (participant, request_id): one merchant cannot block another's ids."""
    token, request = house.funded_card(), new_request_id()

    answers = house.run(house.purchase("cafe", token, 700, request), house.purchase("b", token, 700, request))

    assert [Reason.ACCEPTED] * 2 == reasons(answers)
    assert accepted(answers[0]).entry_id != accepted(answers[1]).entry_id
    assert accepted(house.run(house.purchase("b", token, 700, request))[0]).entry_id == accepted(answers[1]).entry_id


def test_a_duplicate_within_one_batch_is_answered_in_memory(house: House) -> None:
    token = house.funded_card()
    twin = house.purchase("cafe", token, 700)
    altered = house.purchase("cafe", token, 900, twin.request_id)

    first, second, third = house.run(twin, twin, altered)

    assert accepted(first).again() == second
    assert Reason.REQUEST_ID_REUSED == third.reason
    assert [(119_300,)] == house.query("SELECT balance_minor FROM wallets")


def test_each_repetition_in_one_batch_is_judged_by_its_own_body(house: House) -> None:
    """Another body under a request_id must not cost the honest repetition behind it its answer."""
    token = house.funded_card()
    first = house.purchase("cafe", token, 3_000)
    other = house.purchase("cafe", token, 4_000, first.request_id)
    told = accepted(house.run(first)[0])

    refused, again = house.run(other, first)

    assert isinstance(refused, Refused)
    assert Reason.REQUEST_ID_REUSED == refused.reason
    assert told.again() == again


def test_a_lot_that_is_sold_and_spent_in_one_batch_is_closed(house: House) -> None:
    """Closed lots are found by nobody but refunds of them."""
    token = house.new_card()
    purchase = house.purchase("a", token, 5_000)

    house.run(house.top_up("a", token, 5_000), purchase)

    assert [(0, False)] == house.query("SELECT face, is_open FROM lots")
    accepted(house.run(house.refund("a", purchase.request_id, 2_000))[0])
    assert [(2_000, True)] == house.query("SELECT face, is_open FROM lots")
    house.check_books()


def test_later_commands_of_a_batch_see_the_earlier_ones(house: House) -> None:
    """Top-up, purchase, refund of it and an overdraft in one batch, in arrival order."""
    token = house.new_card()
    paid = house.purchase("cafe", token, 12_000)

    answers = house.run(
        house.top_up("a", token, 10_000),
        paid,
        house.purchase("cafe", token, 1),
        house.refund("cafe", paid.request_id, 5_000),
        house.refund("cafe", paid.request_id, 7_001),
        house.refund("cafe", paid.request_id, 7_000),
    )

    assert [
        Reason.ACCEPTED,
        Reason.ACCEPTED,
        Reason.INSUFFICIENT_FUNDS,
        Reason.ACCEPTED,
        Reason.REFUND_EXCEEDS_ORIGINAL,
        Reason.ACCEPTED,
    ] == reasons(answers)
    assert [(12_000, 12_000, 10_000, True)] == house.query(
        "SELECT w.balance_minor, face, principal, is_open FROM lots JOIN wallets w USING (wallet_id)"
    )
    house.check_books()


def test_a_refund_of_what_was_declined_is_answered_alike_in_the_same_batch_and_later(house: House) -> None:
    """Whether two requests met in one batch is chance; the answer must not be."""
    poor, token = house.purchase("cafe", house.new_card(), 500), house.funded_card()
    unsold = house.top_up("bar", token, 500)
    asked = [house.refund("cafe", poor.request_id, 100), house.refund("bar", unsold.request_id, 100)]
    together = house.run(poor, unsold, *asked)
    later = house.run(house.refund("cafe", poor.request_id, 100), house.refund("bar", unsold.request_id, 100))

    assert [Reason.INSUFFICIENT_FUNDS, Reason.TERMS_UNKNOWN] == reasons(together[:2])
    assert [Reason.ORIGINAL_NOT_REFUNDABLE] * 4 == reasons([*together[2:], *later])


def test_refund_in_a_later_window_leaves_the_closed_one_alone(house: House) -> None:
    """Promise 11: the claims of the refund carry the open window, whatever the purchase's was."""
    token = house.funded_card()
    paid = house.purchase("cafe", token, 30_000)
    first = accepted(house.run(paid)[0])
    before = house.query("SELECT * FROM transfers WHERE window_id = 1 ORDER BY entry_id, leg")
    house.execute("UPDATE windows SET state = 'CLOSED', close_time = now(), cut_number = 9 WHERE calendar_id = 1")
    house.execute(
        "INSERT INTO windows (calendar_id, label, open_time) SELECT calendar_id, 'next', now() FROM windows LIMIT 1"
    )
    house.execute("UPDATE config_epoch SET epoch = epoch + 1")

    outcome = accepted(house.run(house.refund("cafe", paid.request_id, 10_000))[0])

    assert (8_333, 1_667) == (outcome.principal_minor, outcome.bonus_minor)
    assert before == house.query("SELECT * FROM transfers WHERE window_id = 1 ORDER BY entry_id, leg")
    claims = house.query("SELECT DISTINCT window_id FROM transfers WHERE entry_id = %s", outcome.entry_id)
    assert 1 not in {window for (window,) in claims}
    assert (("monthly/2017-01",), ("monthly/next",)) == (first.window_labels, outcome.window_labels)
    assert first.again() == house.run(paid)[0]
    house.check_books()


@pytest.mark.parametrize(
    ("state", "reason"),
    [("FROZEN", Reason.CARD_FROZEN), ("REPLACED", Reason.CARD_REPLACED), ("ISSUED", Reason.CARD_NOT_LINKED)],
)
def test_a_card_that_may_not_be_used_is_declined_and_stored(house: House, state: str, reason: Reason) -> None:
    token = house.new_card(state=state)

    assert [reason] == reasons(house.run(house.purchase("cafe", token, 100)))
    assert [(int(reason), 0)] == house.query(
        "SELECT reason, (SELECT count(*) FROM transfers)::int FROM entries WHERE kind = 2"
    )


def test_declines_name_what_is_missing(house: House) -> None:
    """Unknown card, no agreement between issuer and merchant, unknown and foreign originals: distinct reasons."""
    token = house.funded_card()
    paid = house.purchase("cafe", token, 100)
    house.run(paid)
    paid_id = house.query("SELECT entry_id FROM entries WHERE kind = 2")[0][0]
    foreign = house.refund("b", paid.request_id, 50)

    answers = house.run(
        house.purchase("cafe", b"\x01" * 32, 100),
        house.purchase("bar", token, 100),
        house.top_up("cafe", token, 10_000),
        foreign,
        house.refund("cafe", new_request_id(), 50),
    )

    assert [
        Reason.CARD_UNKNOWN,
        Reason.NOT_ACCEPTED_HERE,
        Reason.TERMS_UNKNOWN,
        Reason.ORIGINAL_UNKNOWN,
        Reason.ORIGINAL_UNKNOWN,
    ] == reasons(answers)
    assert isinstance(answers[1], Outcome)
    assert {"balance_minor": "119900", "balance_here_minor": "0"} == answers[1].facts
    by_entry = type(foreign)(**{**house._common("b", 50, None), "original_entry_id": paid_id})
    assert [Reason.ORIGINAL_OF_OTHER_PARTICIPANT] == reasons(house.run(by_entry))
    house.check_books()


def test_without_an_open_window_nothing_is_stored(house: House) -> None:
    """There is no closed window at a till: the terminal sends the same request again."""
    token = house.funded_card()
    house.execute("UPDATE windows SET state = 'CLOSED'")
    command = house.purchase("cafe", token, 100)

    with pytest.raises(NoOpenWindow):
        house.run(command)
    assert [] == house.query("SELECT 1 FROM requests WHERE request_id = %s", command.request_id)

    house.execute("UPDATE windows SET state = 'OPEN'")
    assert [Reason.ACCEPTED] == reasons(house.run(command))


def test_a_suspended_terminal_is_refused_as_soon_as_the_epoch_moves(house: House) -> None:
    """The desk reloads the programme inside the batch that first sees a newer config_epoch."""
    token = house.funded_card()
    store = house.store()
    assert [Reason.ACCEPTED] == reasons(run_batch(store, [house.purchase("cafe", token, 100)]))
    house.execute("UPDATE terminals SET state = 'SUSPENDED' WHERE terminal_id = %s", house.terminals["cafe"][2])
    house.execute("UPDATE config_epoch SET epoch = epoch + 1")

    assert [Reason.SUSPENDED] == reasons(run_batch(store, [house.purchase("cafe", token, 100)]))
    store.close()


def test_a_batch_large_enough_to_be_copied_writes_the_same_rows(house: House) -> None:
    """COPY and unnest are two roads for the same rows; strange text must survive both."""
    token = house.funded_card()
    odd = 'tab\t "quote" back\\slash {brace} \\N'

    def named(count: int) -> list[Answer]:
        told = SaleDetails([SaleItem(odd, "", "", 1000, "", 100)])
        commands = [
            replace(house.purchase("cafe", token, 100), sale_reference=f"{odd}{count}/{place}", details=details)
            for place, details in zip(range(count), itertools.cycle((b"", told.canonical())))
        ]
        return house.run(*commands)

    for count in (3, 300):
        assert [Reason.ACCEPTED] * count == reasons(named(count))

    rows = house.query(
        "SELECT DISTINCT left(sale_reference, %s), actor, octet_length(leaf) FROM entries WHERE kind = 2", len(odd)
    )
    assert [(odd, "/t/cafe/main/till", 32)] == rows
    details = house.query("SELECT details, count(*) FROM entries WHERE kind = 2 GROUP BY 1 ORDER BY 2")
    assert [(SaleDetails([SaleItem(odd, "", "", 1000, "", 100)]).canonical(), 151), (None, 152)] == details
    legs = house.query(
        "SELECT DISTINCT count(*) FROM transfers t JOIN entries e USING (entry_id) WHERE kind = 2 GROUP BY entry_id"
    )
    assert 2 >= len(legs)
    house.check_books()


def test_64_concurrent_spends_of_the_last_yuan_have_one_winner(house: House) -> None:
    """Promise 5, over eight desks with their own connections."""
    token = house.new_card()
    house.run(house.top_up("a", token, 100))
    stores = [house.store() for _ in range(8)]
    answers: list[Answer] = []
    start = threading.Barrier(8)

    def spend(number: int) -> None:
        start.wait()
        for _ in range(8):
            answers.extend(run_batch(stores[number], [house.purchase("cafe", token, 100)]))

    threads = [threading.Thread(target=spend, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()

    assert 64 == len(answers)
    assert 1 == reasons(answers).count(Reason.ACCEPTED)
    assert 63 == reasons(answers).count(Reason.INSUFFICIENT_FUNDS)
    house.check_books()


def test_rivals_with_one_request_id_get_one_answer(house: House) -> None:
    """The claim waits for the rival's commit and then tells its answer."""
    token, request = house.funded_card(), new_request_id()
    answers: list[Answer] = []
    start = threading.Barrier(8)

    def send() -> None:
        store = house.store()
        start.wait()
        answers.extend(run_batch(store, [house.purchase("cafe", token, 100, request)]))
        store.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len({accepted(answer).entry_id for answer in answers})
    assert 7 == sum(accepted(answer).replayed for answer in answers)
    assert [(119_900,)] == house.query("SELECT balance_minor FROM wallets")


def test_opposite_orders_of_wallets_do_not_deadlock(house: House) -> None:
    """Wallets are locked in one order, whatever order a batch names them in."""
    one, two = house.funded_card(), house.funded_card()
    answers: list[Answer] = []
    failures: list[Exception] = []

    def spend(tokens: list[bytes]) -> None:
        store = house.store()
        try:
            for _ in range(30):
                answers.extend(run_batch(store, [house.purchase("cafe", token, 10) for token in tokens]))
        except Exception as error:  # noqa: BLE001  (reported below)
            failures.append(error)
        store.close()

    threads = [threading.Thread(target=spend, args=(tokens,)) for tokens in ([one, two], [two, one]) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == failures
    assert 240 == reasons(answers).count(Reason.ACCEPTED)
    house.check_books()


def test_an_answer_says_when_and_where_in_the_journal(house: House) -> None:
    """Entry ids rise with the batch and the place in it, and carry the wallet's lane."""
    token = house.funded_card()
    answers = [accepted(answer) for answer in house.run(*[house.purchase("cafe", token, 10) for _ in range(3)])]

    assert [0, 1, 2] == [answer.entry_id >> 10 & 0xFFF for answer in answers]
    assert [(1_007 % 64,)] == house.query("SELECT DISTINCT lane FROM entries WHERE kind = 2")
    assert {1_007 % 64} == {answer.entry_id & 0x3FF for answer in answers}


def test_a_refused_request_is_a_refusal_even_as_uuid_of_an_act(house: House) -> None:
    """A request_id that an act used cannot become a purchase."""
    token = house.funded_card()
    used: UUID = new_request_id()
    participant = house.terminals["cafe"][0]
    house.execute(
        "INSERT INTO requests (lane, request_id, participant_id, body_hash) VALUES (%s, %s, %s, %s)",
        (used.int & 0xFFFFFFFFFFFFFFFF) % 64, used, participant, b"\x00" * 32,
    )  # fmt: skip
    house.execute(
        "INSERT INTO entries (lane, entry_id, kind, reason, participant_id, request_id, amount_minor, business_date,"
        " actor, answer, leaf) VALUES (0, 99, 111, 0, %s, %s, 0, '2017-01-15', '/op/x', '{}', '')",
        participant, used,
    )  # fmt: skip

    answer = house.run(house.purchase("cafe", token, 10, used))[0]

    assert isinstance(answer, Refused)
    assert Reason.REQUEST_ID_REUSED == answer.reason
