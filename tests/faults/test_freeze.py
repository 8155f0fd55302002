"""An acknowledged freeze is never followed by an accepted purchase, over two servers, however hard the tills try."""

import threading
import time

import pytest

from coalition.client import Connection, new_request_id
from coalition.v1 import member_pb2
from tests.faults.load import send_one
from tests.faults.notes import Note
from tests.faults.site import Site, wait_until
from tests.faults.trade import Trade, purchase

ROUNDS = 20
TILLS = 6
pytestmark = pytest.mark.xdist_group("faults")


def test_no_purchase_is_accepted_after_a_freeze_is_acknowledged(site: Site, trade: Trade):
    addresses = [site.owner.address, site.second.address]
    cards = trade.funded_cards(site.owner.address, ROUNDS)
    tills = [site.connection(addresses[number % 2], "t/cafe/main/till-1") for number in range(TILLS)]
    with site.connection(addresses[0], "op/admin") as counter:
        rounds = [freeze_while_spending(counter, tills, card) for card in cards]
    for till in tills:
        till.close()
    for frozen, freeze_entry, notes in rounds:
        late = [note for note in notes if note.sent > frozen]
        accepted = [note.answer.entry_id for note in notes if note.answer and note.is_accepted]

        assert len(late) >= TILLS
        assert {"CARD_FROZEN"} == {note.answer.reason for note in late if note.answer}
        assert accepted
        assert max(accepted) < freeze_entry, "the journal has a purchase after the freeze"
        assert all(n.answer.entry_id > freeze_entry for n in notes if n.answer and n.answer.reason == "CARD_FROZEN")
    print(f"{ROUNDS} freezes among {sum(len(notes) for _, _, notes in rounds)} purchases")


def freeze_while_spending(counter: Connection, tills: list[Connection], card: str) -> tuple[float, int, list[Note]]:
    """When the freeze was heard, its entry, and what the tills noted before and after."""
    stop = threading.Event()
    by_till: list[list[Note]] = [[] for _ in tills]

    def spend(till: Connection, notes: list[Note]) -> None:
        while not stop.is_set():
            note = Note(purchase(card, 100))
            notes.append(note)
            assert send_one(till, note)

    threads = [threading.Thread(target=spend, args=each, daemon=True) for each in zip(tills, by_till, strict=True)]
    for thread in threads:
        thread.start()
    wait_until(lambda: all(any(n.is_accepted for n in list(notes)) for notes in by_till), 20, "purchases")
    answer = counter.call(
        counter.members.FreezeCard, member_pb2.FreezeCardRequest(request_id=new_request_id(), card_number=card)
    )
    frozen = time.monotonic()
    wait_until(lambda: all(any(n.sent > frozen and n.answer for n in list(notes)) for notes in by_till), 20, "more")
    stop.set()
    for thread in threads:
        thread.join(20)
    return frozen, answer.receipt.entry_id, [note for notes in by_till for note in notes]
