"""What a desk remembers of credentials from batch to batch is never older than what reception has done to them."""

from coalition.clearing.batch import run_batch
from coalition.domain.errors import Contention
from coalition.domain.journal import Outcome
from coalition.domain.reasons import Reason
from coalition.storage.ledger import LedgerStore
from tests.clearing.house import House

OF_TOKEN = "FROM credentials k WHERE k.card_id = c.card_id AND k.token = %s"


def test_an_id_given_to_another_member_pays_from_the_other_wallet_at_once(house: House) -> None:
    """The desk has seen it lead to the first member's wallet, and nobody presented it while it led nowhere."""
    first, second = house.funded_card(50_000), house.funded_card(10_000)
    house.execute(f"UPDATE cards c SET kind = 'VIRTUAL' {OF_TOKEN}", first)
    store = house.store()
    try:
        before = run_batch(store, [house.purchase("a", first, 1_000)])[0]
        house.execute(f"UPDATE cards c SET state = 'REPLACED' {OF_TOKEN}", first)
        house.execute(
            "UPDATE credentials SET (lane, wallet_id, card_id) ="
            " (SELECT lane, wallet_id, card_id FROM credentials WHERE token = %s) WHERE token = %s",
            second, first,
        )  # fmt: skip
        after = retried(store, house, first)
    finally:
        store.close()

    assert isinstance(before, Outcome)
    assert (Reason.ACCEPTED, 59_000) == (before.reason, before.balance_minor)
    assert (Reason.ACCEPTED, 11_000) == (after.reason, after.balance_minor)
    house.check_books()


def retried(store: LedgerStore, house: House, token: bytes) -> Outcome:
    """A purchase as a worker runs it: once more where the store asks for that."""
    purchase = house.purchase("a", token, 1_000)
    for _ in range(2):
        try:
            answer = run_batch(store, [purchase])[0]
        except Contention:
            continue
        assert isinstance(answer, Outcome)
        return answer
    raise AssertionError("the store asks for ever")
