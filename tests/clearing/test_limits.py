"""Limits on a real ledger: never passed by however many tills at once, and judged by the journal alone."""

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coalition.audit.notary import BatchNotary
from coalition.clearing.batch import Answer, run_batch
from coalition.domain.commands import Command, Funding
from coalition.domain.reasons import Reason
from coalition.domain.usage import total
from coalition.storage.connect import connect
from coalition.storage.ledger import LedgerStore
from coalition.storage.ledger_statements import NUMBER_BEFORE
from coalition.storage.programme import load
from tests.clearing.house import DAY, House, accepted, reasons

SPENDERS = 64
LIMIT = 50_000


def rule(house: House, since: date = date(2017, 1, 1), **content: Any) -> None:
    """Put card rules into force, or their next version."""
    house.execute(
        "INSERT INTO agreements (code, kind, create_time) SELECT 'rules', 'CARD_RULES', now()"
        " WHERE NOT EXISTS (SELECT FROM agreements WHERE code = 'rules')"
    )
    house.execute(
        "INSERT INTO agreement_versions (agreement_id, version, effective_from, content, create_time)"
        " SELECT agreement_id, 1 + (SELECT count(*) FROM agreement_versions v WHERE v.agreement_id = a.agreement_id),"
        " %s, %s, now() FROM agreements a WHERE code = 'rules'",
        since,
        json.dumps(content),
    )
    house.execute("UPDATE config_epoch SET epoch = epoch + 1")


def on(house: House, day: date, *commands: Command) -> list[Answer]:
    """One batch whose business date is `day`."""
    store = LedgerStore(house.dsn(), load, lambda _: day, BatchNotary(lambda message: message[:8]))
    try:
        return run_batch(store, commands)
    finally:
        store.close()


@pytest.mark.xdist_group("serial")
def test_sixty_four_tills_at_once_never_pass_a_day_limit(house: House) -> None:
    """Two a connection, each for a fifth of the limit: five are paid, at whatever till."""
    rule(house, wallet_day_limit_minor=LIMIT)
    token = house.funded_card(1_000_000)
    start = threading.Barrier(SPENDERS // 2)
    answers: list[Answer] = []

    def spend() -> None:
        store = house.store()
        start.wait()
        answers.extend(run_batch(store, [house.purchase("cafe", token, LIMIT // 5)])[0] for _ in range(2))
        store.close()

    threads = [threading.Thread(target=spend) for _ in range(SPENDERS // 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    told = reasons(answers)
    assert (5, SPENDERS - 5) == (told.count(Reason.ACCEPTED), told.count(Reason.WALLET_LIMIT_EXCEEDED))
    assert [(LIMIT,)] == house.query("SELECT sum(amount_minor)::bigint FROM entries WHERE kind = 2 AND reason = 0")
    house.check_books()


def test_one_batch_sees_what_it_has_spent_and_undone_itself(house: House) -> None:
    rule(house, number_day_limit_minor=LIMIT)
    token = house.funded_card()
    whole, again = house.purchase("cafe", token, LIMIT), house.hold("cafe", token, LIMIT)
    answers = house.run(whole, house.purchase("cafe", token, 1), house.reverse("cafe", whole.request_id), again)

    assert [Reason.ACCEPTED, Reason.CREDENTIAL_LIMIT_EXCEEDED, Reason.ACCEPTED, Reason.ACCEPTED] == reasons(answers)
    assert [Reason.CREDENTIAL_LIMIT_EXCEEDED] == reasons(house.run(house.purchase("cafe", token, 1)))


def test_a_repeated_request_is_not_judged_again(house: House) -> None:
    """The day is used up by the very purchase that is repeated: its answer stays what it was."""
    rule(house, wallet_day_limit_minor=LIMIT)
    token = house.funded_card()
    bought, declined = house.purchase("cafe", token, LIMIT), house.purchase("cafe", token, 1)
    first = house.run(bought, declined)
    rule(house, wallet_day_limit_minor=2 * LIMIT)

    again = house.run(bought, declined)
    assert [Reason.ACCEPTED, Reason.WALLET_LIMIT_EXCEEDED] == reasons(first) == reasons(again)
    assert {"per": "DAY", "limit_minor": "50000", "left_minor": "0"} == again[1].facts  # type: ignore[union-attr]


def test_a_rule_that_begins_in_the_middle_of_a_day_counts_its_morning(house: House) -> None:
    """No counter was kept while there was no rule; the journal was."""
    token = house.funded_card()
    house.run(house.purchase("cafe", token, LIMIT - 1))
    rule(house, wallet_day_limit_minor=LIMIT)

    assert [Reason.WALLET_LIMIT_EXCEEDED, Reason.ACCEPTED] == reasons(
        house.run(house.purchase("cafe", token, 2), house.purchase("cafe", token, 1))
    )


def test_two_versions_meet_at_midnight(house: House) -> None:
    rule(house, wallet_day_limit_minor=LIMIT)
    rule(house, DAY + timedelta(days=1), wallet_day_limit_minor=100)
    token = house.funded_card()

    assert [Reason.ACCEPTED] == reasons(on(house, DAY, house.purchase("cafe", token, LIMIT)))
    night = [house.purchase("cafe", token, amount) for amount in (101, 100, 1)]
    assert [Reason.WALLET_LIMIT_EXCEEDED, Reason.ACCEPTED, Reason.WALLET_LIMIT_EXCEEDED] == reasons(
        on(house, DAY + timedelta(days=1), *night)
    )


def test_a_card_s_month_is_counted_from_its_first_day_and_of_that_card_alone(house: House) -> None:
    token = house.funded_card(1_000_000)
    card = house.cards
    house.execute("UPDATE cards SET month_limit_minor = %s WHERE card_id = %s", LIMIT, card)
    days = [date(2017, 1, 31), date(2017, 2, 1), date(2017, 2, 28), date(2017, 3, 1)]
    asked = [(LIMIT, LIMIT + 1), (LIMIT - 1, 2), (1, 1), (LIMIT + 1, LIMIT)]

    answers = [
        on(house, day, *(house.purchase("cafe", token, amount) for amount in amounts))
        for day, amounts in zip(days, asked, strict=True)
    ]
    declined, paid = Reason.CARD_LIMIT_EXCEEDED, Reason.ACCEPTED
    assert [[paid, declined], [paid, declined], [paid, declined], [declined, paid]] == [
        reasons(each) for each in answers
    ]


def test_where_a_day_begins_in_the_journal_is_found_by_halves(house: House) -> None:
    """With gaps, and before the first batch and behind the last."""
    day = datetime(2017, 1, 1, tzinfo=UTC)
    numbers = [5, 6, 9, 20, 21, 40]
    for place, number in enumerate(numbers):
        house.execute(
            "INSERT INTO batches (number, time, count, root, signature) VALUES (%s, %s, 1, %s, '')",
            1_000 + number, day + timedelta(days=place), bytes(32),
        )  # fmt: skip

    with connect(house.dsn()) as connection:
        for place in range(-1, 7):
            moment = day + timedelta(days=place)
            row = connection.execute(NUMBER_BEFORE, (moment, moment)).fetchone()
            older = [1_000 + number for number, at in zip(numbers, range(6), strict=True) if at < place]
            newer = [1_000 + number for number, at in zip(numbers, range(6), strict=True) if at >= place]
            assert row is not None
            assert max(older, default=0) <= row[0] < min(newer, default=1_041)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["purchase", "hold", "refund", "reverse", "void", "capture", "batch", "night"]),
            st.integers(1, 30_000),
            st.integers(0, 30),
        ),
        min_size=5,
        max_size=30,
    )
)
def test_after_any_days_the_usage_of_a_wallet_is_the_fold_of_its_journal(
    house: House, steps: list[tuple[str, int, int]]
) -> None:
    """However the days were cut into batches, the database adds up what the desk has counted, and no day is passed."""
    if not house.query("SELECT FROM agreements WHERE kind = 'CARD_RULES'"):
        rule(house, wallet_day_limit_minor=LIMIT)
    token, day = house.funded_card(1_000_000), DAY
    wallet_id = house.query("SELECT wallet_id FROM cards WHERE card_id = %s", house.cards)[0][0]
    waiting: list[Command] = []
    made: list[Any] = []
    for step, amount, which in [*steps, ("batch", 1, 1)]:
        if step in {"batch", "night"}:
            if waiting:
                on(house, day, *waiting)
            waiting = []
            day += timedelta(days=step == "night")
        elif step in {"purchase", "hold"}:
            made.append(getattr(house, step)("cafe", token, amount))
            waiting.append(made[-1])
        elif made:
            original = made[which % len(made)].request_id
            amounts = (amount,) if step in {"refund", "capture"} else ()
            waiting.append(getattr(house, step)("cafe", original, *amounts))

    folded = house.query(
        "SELECT e.business_date, sum(e.amount_minor)::bigint FROM entries e WHERE e.wallet_id = %s AND e.reason = 0"
        " AND e.kind IN (2, 7) AND NOT EXISTS (SELECT FROM entries r WHERE r.kind = 11 AND r.reason = 0"
        " AND r.original_entry_id = e.entry_id AND r.business_date = e.business_date) GROUP BY 1",
        wallet_id,
    )
    assert all(spent <= LIMIT for _, spent in folded)
    usage = seen_by_the_desk(house, day, token, wallet_id)
    assert dict(folded).get(day, 0) == total(usage.on(day))


def seen_by_the_desk(house: House, day: date, token: bytes, wallet_id: int) -> Any:
    """What a batch reads of the wallet's usage before it decides; the batch is given up."""
    store = LedgerStore(house.dsn(), load, lambda _: day, BatchNotary(lambda message: message[:8]))
    with store.batch() as batch:
        prefetched = batch.prefetch([house.purchase("cafe", token, 1)])
        usage = prefetched.books.wallets[wallet_id].usage
        store._roll_back()
    store.close()
    return usage


def test_a_scheme_without_limits_reads_no_usage(house: House) -> None:
    """A plain purchase costs what it always did."""
    token = house.funded_card()
    wallet_id = house.query("SELECT wallet_id FROM cards WHERE card_id = %s", house.cards)[0][0]

    assert seen_by_the_desk(house, DAY, token, wallet_id) is None
    rule(house, no_pin_limit_minor=1, return_days=7, named_balance_limit_minor=1)
    assert seen_by_the_desk(house, DAY, token, wallet_id) is None
    rule(house, card_hour_count=9)
    assert seen_by_the_desk(house, DAY, token, wallet_id) is not None


def test_a_funding_is_in_the_journal(house: House) -> None:
    """What was paid how is a fact an auditor can read, and a repetition with another funding is another request."""
    token = house.new_card()
    cash = house.top_up("a", token, 100)
    paid = replace(house.top_up("a", token, 100), funding=Funding.BANK_TRANSFER)
    for bought in (cash, paid):
        accepted(house.run(bought)[0])

    told = house.query("SELECT convert_from(answer, 'UTF8')::json #>> '{10,funding}' FROM entries ORDER BY entry_id")
    assert [(None,), ("BANK_TRANSFER",)] == told
    assert [Reason.REQUEST_ID_REUSED] == reasons(house.run(replace(paid, funding=Funding.CASH)))
