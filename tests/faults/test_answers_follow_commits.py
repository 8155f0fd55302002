"""An answer leaves the house after its commit, never before: shown with commits made slow on purpose."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.books import check_books, check_notes
from tests.faults.load import Load, send_one
from tests.faults.notes import Note
from tests.faults.site import Site, wait_until
from tests.faults.trade import Trade, purchase

COMMIT_SECONDS = 0.4
pytestmark = pytest.mark.xdist_group("faults")


@pytest.fixture
def slow_commits(site: Site) -> Iterator[None]:
    """Every commit of a batch takes COMMIT_SECONDS: a deferred trigger works inside COMMIT itself."""
    site.execute(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN PERFORM pg_sleep({COMMIT_SECONDS}); RETURN NULL; END $$"
    )
    site.execute(
        "CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON batches DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION slowly()"
    )
    yield
    assert site.owner.is_running
    site.execute("DROP TRIGGER slow_commit ON batches")
    site.execute("DROP FUNCTION slowly()")


@pytest.mark.usefixtures("slow_commits")
def test_an_answer_is_heard_only_when_its_entry_can_be_seen_by_others(site: Site, trade: Trade):
    with site.connection(site.owner.address, "t/cafe/main/till-1") as cafe:
        cafe.wait_until_ready(20)
        for card in trade.cards[:3]:
            note = Note(purchase(card, 100))
            send_one(cafe, note)

            assert [(note.request.request_id,)] == site.query(
                "SELECT request_id::text FROM entries WHERE request_id = %s", note.request.request_id
            )
            assert note.heard - note.sent >= COMMIT_SECONDS


@pytest.mark.usefixtures("slow_commits")
def test_a_server_killed_inside_its_commit_has_acknowledged_nothing_of_it(site: Site, trade: Trade):
    """The database finishes the commit or it does not; either way the client's retry gets the one answer."""
    with Load(site, [site.owner.address], trade.cards, unary=8, batches=0) as load:
        wait_until(lambda: load.heard > 0, 30, "the first answers")
        committing = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
        wait_until(lambda: site.query(committing) != [(0,)], 10, "a commit under way")
        site.owner.kill()
    server = site.owner
    check_books(site)
    counts = check_notes(site, server.address, load.notes)

    assert counts.committed_unheard + counts.absent > 0


def test_a_call_given_up_by_its_client_is_answered_when_it_is_sent_again(site: Site, trade: Trade):
    """The database is blocked while the client waits; the client leaves; what the desk had taken commits, once."""
    card = trade.cards[0]
    note = Note(purchase(card, 100))
    with site.blocked_wallet(card), site.connection(site.owner.address, "t/cafe/main/till-1") as cafe:
        sender = threading.Thread(target=send_one, args=(cafe, note), daemon=True)
        sender.start()
        time.sleep(0.3)
        cafe.close()
        sender.join(30)

        assert note.answer is None
    with site.connection(site.owner.address, "t/cafe/main/till-1") as cafe:
        send_one(cafe, Note(purchase(card, 100)))  # batches follow each other: now the first one is over
    counts = check_notes(site, site.owner.address, [note])

    assert 1 == counts.committed_unheard + counts.absent
