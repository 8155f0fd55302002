"""What a database superuser without keys can do to the tables, and a check that must name it."""

from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason

SALE = f"kind = {Kind.PURCHASE:d} AND reason = 0 AND sale_reference = 'S-2'"
ENTRY = f"(SELECT entry_id FROM entries WHERE {SALE})"
NUMBER = f"({ENTRY} >> 22)"
REQUEST = f"(SELECT request_id FROM entries WHERE {SALE})"
NEWEST = "(SELECT max(number) FROM batches)"
LAST_CHECKPOINT = "(SELECT max(size) FROM checkpoints)"
# The columns of an entry, where the id moved by {0} and the reference is {1}.
COPIED = f"""
INSERT INTO entries
SELECT lane, entry_id + ({{0}}), kind, reason, participant_id, store_id, terminal_id, gen_random_uuid(), wallet_id,
    card_id, amount_minor, original_entry_id, agreement_id, agreement_version, business_date, occurred_time, actor,
    {{1}}, answer, leaf
FROM entries WHERE {SALE}
"""
SEAL_OF_ANOTHER = f"""
UPDATE batches b SET root = o.root, signature = o.signature
FROM batches o WHERE b.number = {NUMBER} AND o.number = (SELECT min(number) FROM batches)
"""
ROOT_OF_ANOTHER = f"""
UPDATE checkpoints c SET note = replace(c.note, split_part(c.note, E'\\n', 3), split_part(o.note, E'\\n', 3))
FROM checkpoints o WHERE c.size = {LAST_CHECKPOINT} AND o.size = (SELECT min(size) FROM checkpoints)
"""
OTHER_ANSWER = f"""
UPDATE entries SET answer = convert_to(replace(convert_from(answer, 'UTF8'), '22800', '32800'), 'UTF8') WHERE {SALE}
"""

WITHOUT_KEYS: dict[str, tuple[list[str], str]] = {
    "edit an amount": ([f"UPDATE entries SET amount_minor = 1 WHERE {SALE}"], "V3"),
    "edit a leg": ([f"UPDATE transfers SET amount_minor = amount_minor + 1 WHERE entry_id = {ENTRY}"], "V3"),
    "edit which lot paid": ([f"UPDATE allocations SET lot_id = lot_id + 1 WHERE entry_id = {ENTRY}"], "V9"),
    "edit who did it": ([f"UPDATE entries SET actor = '/t/garage/main/till-1' WHERE {SALE}"], "V3"),
    "edit the stored answer": ([OTHER_ANSWER], "V3"),
    "edit the request's body": (
        [f"UPDATE requests SET body_hash = sha256('x') WHERE request_id = {REQUEST}"],
        "V3",
    ),
    "turn a decline into an acceptance": (
        [f"UPDATE entries SET reason = 0 WHERE reason = {Reason.INSUFFICIENT_FUNDS:d}"],
        "V8",
    ),
    "back-date a batch": ([f"UPDATE batches SET time = time - interval '1 hour' WHERE number = {NUMBER}"], "V7"),
    "post-date a batch": ([f"UPDATE batches SET time = time + interval '1 hour' WHERE number = {NUMBER}"], "V7"),
    "move a sale to another window": (
        [f"UPDATE transfers SET window_id = window_id + 1 WHERE entry_id = {ENTRY} AND window_id IS NOT NULL"],
        "V17",
    ),
    "delete an entry": (
        [
            f"DELETE FROM transfers WHERE entry_id = {ENTRY}",
            f"DELETE FROM allocations WHERE entry_id = {ENTRY}",
            f"DELETE FROM entries WHERE {SALE}",
        ],
        "V5",
    ),
    "delete a batch": ([f"DELETE FROM batches WHERE number = {NUMBER}", f"DELETE FROM entries WHERE {SALE}"], "V5"),
    "delete the seal of a batch": ([f"DELETE FROM batches WHERE number = {NUMBER}"], "V5"),
    "delete what a request was": ([f"DELETE FROM requests WHERE request_id = {REQUEST}"], "V3"),
    "truncate the journal": (
        [f"DELETE FROM entries WHERE entry_id >> 22 = {NEWEST}", f"DELETE FROM batches WHERE number = {NEWEST}"],
        "V5",
    ),
    "insert an entry": ([COPIED.format(1024, "sale_reference")], "V5"),
    "insert a batch": (
        [
            f"UPDATE entries SET entry_id = entry_id + (1000000::bigint << 22) WHERE entry_id >> 22 > {NUMBER}",
            f"UPDATE batches SET number = number + 1000000 WHERE number > {NUMBER}",
            f"INSERT INTO batches SELECT number + 1, time, count, root, signature FROM batches WHERE number = {NUMBER}",
            COPIED.format("1 << 22", "'S-3'"),
        ],
        "V5",
    ),
    "reorder two batches": (
        [
            f"UPDATE batches SET number = number + 1000000 WHERE number = {NUMBER}",
            f"UPDATE entries SET entry_id = entry_id + (1000000::bigint << 22) WHERE {SALE}",
        ],
        "V3",
    ),
    "swap two seals": ([SEAL_OF_ANOTHER], "V21"),
    "forge a seal": ([f"UPDATE batches SET signature = sha256('x') || sha256('y') WHERE number = {NUMBER}"], "V21"),
    "replace the checkpoint": (
        [f"UPDATE checkpoints SET note = replace(note, E'/1\\n', E'/2\\n') WHERE size = {LAST_CHECKPOINT}"],
        "V1",
    ),
    "change the checkpoint's root": ([ROOT_OF_ANOTHER], "V2"),
    "use an agreement nobody made": ([f"UPDATE entries SET agreement_version = 2 WHERE {SALE}"], "V16"),
    "write a kind that does not exist": ([f"UPDATE entries SET kind = 99 WHERE {SALE}"], "V22"),
}
