"""What must hold of the ledger at any time (promises 2, 3, 4) and against what the clients noted (1 and 6)."""

from collections import defaultdict
from collections.abc import Sequence

from coalition.client import Connection
from coalition.storage.connect import connect
from tests.faults.notes import Answer, Counts, Note, answer_of_result
from tests.faults.site import Site
from tests.faults.trade import TILL_SERVER, submit

REPLAY_BATCH = 500
WALLET = 1 << 48

# Each query must find nothing; its name is the rule.
RULES = {
    "a request is claimed together with its one entry": """
        SELECT request_id, participant_id FROM requests
        FULL JOIN (SELECT request_id, participant_id, count(*) AS entries FROM entries GROUP BY 1, 2) e
            USING (request_id, participant_id)
        WHERE body_hash IS NULL OR entries IS DISTINCT FROM 1""",
    "a batch has all its entries": """
        SELECT number FROM batches
        FULL JOIN (SELECT entry_id >> 22 AS number, count(*) AS entries FROM entries GROUP BY 1) e USING (number)
        WHERE count IS DISTINCT FROM entries""",
    "a leg moves an amount between two accounts": """
        SELECT entry_id FROM transfers WHERE amount_minor <= 0 OR debit = credit""",
    "legs, draws and lots belong to an accepted entry": """
        SELECT entry_id FROM (SELECT lane, entry_id FROM transfers UNION SELECT lane, entry_id FROM allocations
                              UNION SELECT lane, lot_id FROM lots) part
        LEFT JOIN entries e USING (lane, entry_id) WHERE e.reason IS DISTINCT FROM 0""",
    "an accepted purchase, upload or refund moves its amount in the wallet and its lots, but for a shortfall": f"""
        SELECT e.entry_id FROM entries e
        LEFT JOIN (SELECT entry_id, sum(CASE WHEN debit = {WALLET} THEN amount_minor END) AS spent,
                          sum(CASE WHEN credit = {WALLET} THEN amount_minor END) AS returned
                   FROM transfers GROUP BY 1) t USING (entry_id)
        LEFT JOIN (SELECT entry_id, sum(face) AS drawn, coalesce(sum(face) FILTER (WHERE lot_id = 0), 0) AS short
                   FROM allocations GROUP BY 1) a USING (entry_id)
        WHERE e.reason = 0 AND e.kind IN (2, 3, 13)
          AND (e.amount_minor IS DISTINCT FROM coalesce(CASE e.kind WHEN 3 THEN returned ELSE spent END, 0) + short
               OR e.amount_minor IS DISTINCT FROM drawn OR (e.kind = 2 AND short > 0))""",
    "a shortfall is the last allocation of an upload, of no principal, and comes back at most once": """
        SELECT a.entry_id FROM allocations a JOIN entries e USING (lane, entry_id)
        LEFT JOIN (SELECT lane, entry_id, max(place) AS place FROM allocations GROUP BY 1, 2) last
            USING (lane, entry_id)
        LEFT JOIN (SELECT original_entry_id, sum(face) AS face FROM allocations WHERE lot_id = 0 GROUP BY 1) back
            ON back.original_entry_id = a.entry_id
        WHERE a.lot_id = 0 AND a.original_entry_id IS NULL
          AND (e.kind <> 13 OR a.principal <> 0 OR a.place <> last.place OR back.face > a.face)""",
    "a sale reference is held by an accepted sale of its terminal that was not undone": """
        SELECT s.entry_id FROM sale_references s LEFT JOIN entries e USING (entry_id)
        LEFT JOIN entries undone ON undone.original_entry_id = s.entry_id AND undone.reason = 0
            AND undone.kind IN (9, 10, 11)
        WHERE e.reason IS DISTINCT FROM 0 OR e.kind NOT IN (1, 2, 7, 13) OR undone.entry_id IS NOT NULL
           OR (e.terminal_id, e.sale_reference) IS DISTINCT FROM (s.terminal_id, s.reference)""",
    "an accepted top-up makes one lot of what it moved": f"""
        SELECT e.entry_id FROM entries e
        LEFT JOIN (SELECT entry_id, sum(amount_minor) AS moved FROM transfers WHERE credit = {WALLET} GROUP BY 1) t
            USING (entry_id)
        LEFT JOIN lots l ON l.lot_id = e.entry_id
        WHERE e.reason = 0 AND e.kind = 1
          AND (l.face_sold IS DISTINCT FROM moved OR l.principal_sold <> e.amount_minor)""",
    "a lot is what was sold, less draws, plus returns": """
        SELECT l.lot_id FROM lots l
        LEFT JOIN (SELECT lot_id, sum(CASE WHEN allocations.original_entry_id IS NULL THEN face ELSE -face END) AS face,
                          sum(CASE WHEN allocations.original_entry_id IS NULL
                                   THEN principal ELSE -principal END) AS principal
                   FROM allocations JOIN entries USING (lane, entry_id) WHERE kind <> 7 GROUP BY 1) a USING (lot_id)
        WHERE l.face <> l.face_sold - coalesce(a.face, 0)
           OR l.principal <> l.principal_sold - coalesce(a.principal, 0) OR l.is_open <> (l.face > 0)""",
    "what a lot reserves is what open holds keep of it": """
        SELECT l.lot_id FROM lots l
        LEFT JOIN (SELECT lot_id, sum(face) AS face FROM allocations JOIN holds USING (lane, entry_id)
                   WHERE is_open GROUP BY 1) h USING (lot_id)
        WHERE l.reserved <> coalesce(h.face, 0)""",
    "a wallet is the sum of its lots and the fold of the journal": f"""
        SELECT w.wallet_id FROM wallets w
        LEFT JOIN (SELECT wallet_id, sum(face) AS face FROM lots GROUP BY 1) l USING (wallet_id)
        LEFT JOIN (SELECT e.wallet_id, sum(CASE WHEN t.credit = {WALLET} THEN t.amount_minor
                                                WHEN t.debit = {WALLET} THEN -t.amount_minor ELSE 0 END) AS moved
                   FROM transfers t JOIN entries e USING (lane, entry_id) GROUP BY 1) t USING (wallet_id)
        WHERE w.balance_minor <> coalesce(l.face, 0) OR w.balance_minor <> coalesce(t.moved, 0)""",
    "float and bonus are what the lots still owe": """
        SELECT 1 FROM (
            SELECT (SELECT coalesce(sum(principal), 0) FROM lots) AS principal,
                   (SELECT coalesce(sum(face - principal), 0) FROM lots) AS bonus,
                   sum(CASE 2 WHEN debit >> 48 THEN amount_minor WHEN credit >> 48 THEN -amount_minor END) AS float,
                   sum(CASE 3 WHEN debit >> 48 THEN amount_minor WHEN credit >> 48 THEN -amount_minor END) AS given
            FROM transfers) owed
        WHERE principal <> coalesce(float, 0) OR bonus <> coalesce(given, 0)""",
}


def check_books(site: Site) -> None:
    """Every rule holds now."""
    with connect(site.dsn(), "test") as connection:
        connection.execute("SET enable_nestloop = off")  # tables that just grew have no statistics yet
        for rule, query in RULES.items():
            assert [] == connection.execute(f"{query} LIMIT 5").fetchall(), f"broken: {rule}"


def check_notes(site: Site, address: str, notes: Sequence[Note]) -> Counts:
    """Everything acknowledged is there with its answer; the rest is whole or absent, and its retry gets one answer.

    Afterwards every note has an answer, and the wallets are what the answers say.
    """
    known = entries_of(site, notes)
    counts = Counts()
    for note in notes:
        entry = known.get(note.request.request_id)
        if note.answer is not None:
            counts.acknowledged += 1
            assert entry == note.answer.entry_id, f"acknowledged as {note.answer}, in the journal: {entry}"
        elif entry is not None:
            counts.committed_unheard += 1
        else:
            counts.absent += 1
    with site.connection(address, TILL_SERVER) as tills, site.connection(address, "t/cafe/main/till-1") as cafe:
        first, second = replay(tills, cafe, notes), replay(tills, cafe, notes)
    for note, once, again in zip(notes, first, second, strict=True):
        request_id = note.request.request_id
        assert once is not None, f"the retry of {request_id} got no answer"
        assert once.replayed == (request_id in known), f"{request_id} told as new, or new told as old"
        assert once.entry_id == known.get(request_id, once.entry_id)
        assert note.answer is None or once.same_as(note.answer), f"{note.answer} became {once}"
        assert again is not None
        assert again.replayed
        assert again.same_as(once), f"two answers: {once} and {again}"
        note.answer = once
    return counts


def entries_of(site: Site, notes: Sequence[Note]) -> dict[str, int]:
    """The journal's entry of each request that has one."""
    ids = [note.request.request_id for note in notes]
    rows = site.query("SELECT request_id::text, entry_id FROM entries WHERE request_id = ANY(%s::uuid[])", ids)
    claimed = site.query("SELECT count(*) FROM requests WHERE request_id = ANY(%s::uuid[])", ids)[0][0]
    assert len(rows) == len(dict(rows)) == claimed, "a request has several entries, or a claim without its entry"
    return {str(request_id): entry_id for request_id, entry_id in rows}


def replay(tills: Connection, cafe: Connection, notes: Sequence[Note]) -> list[Answer | None]:
    """Send every operation again, as it was, in batches; the answers in the same order."""
    answers: dict[str, Answer | None] = {}
    for connection, own in ((tills, [n for n in notes if not _is_cafe(n)]), (cafe, [n for n in notes if _is_cafe(n)])):
        for start in range(0, len(own), REPLAY_BATCH):
            for result in submit(connection, [note.operation for note in own[start : start + REPLAY_BATCH]]):
                answers[result.request_id] = answer_of_result(result)
                assert answers[result.request_id] is not None, f"no answer to a retry: {result.error}"
    return [answers[note.request.request_id] for note in notes]


def check_balances(site: Site, cards: dict[str, int], notes: Sequence[Note]) -> None:
    """The wallets moved by exactly what the clients' answers say: nothing lost, nothing twice.

    `cards` maps card numbers to the balance before; every note must have its answer.
    """
    expected: dict[str, int] = defaultdict(int, cards)
    card_of = {note.request.request_id: _card(note) for note in notes}
    moved = dict(
        site.query(
            f"SELECT request_id::text, sum(CASE WHEN t.credit = {WALLET} THEN t.amount_minor"
            f" WHEN t.debit = {WALLET} THEN -t.amount_minor ELSE 0 END)::bigint"
            " FROM entries e JOIN transfers t USING (lane, entry_id) WHERE request_id = ANY(%s::uuid[]) GROUP BY 1",
            [note.request.request_id for note in notes],
        )
    )
    for note in notes:
        if not note.is_accepted:
            continue
        request = note.request
        which = note.operation.WhichOneof("operation")
        if which == "refund":
            card = card_of[note.operation.refund.original_request_id]
            change = request.amount_minor
        elif which == "purchase":
            card, change = card_of[request.request_id], -request.amount_minor
        else:
            # The bonus of the terms: a fifth, rounded down.
            card, change = card_of[request.request_id], request.amount_minor + request.amount_minor // 5
        assert change == moved[request.request_id]
        expected[card] += change
    assert dict(expected) == balances(site, list(expected))


def balances(site: Site, cards: Sequence[str]) -> dict[str, int]:
    """Balances by card number, from the wallets."""
    from coalition.bootstrap.strongroom import key_ring

    token = key_ring(site.settings).card_token
    by_token = {token(card): card for card in cards}
    rows = site.query(
        "SELECT c.token, w.balance_minor FROM credentials c JOIN wallets w USING (lane, wallet_id)"
        " WHERE c.token = ANY(%s::bytea[])",
        list(by_token),
    )
    return {by_token[bytes(found)]: balance for found, balance in rows}


def _card(note: Note) -> str:
    return "" if note.operation.HasField("refund") else note.request.card_number  # type: ignore[union-attr]


def _is_cafe(note: Note) -> bool:
    return note.request.terminal.participant == "cafe"
