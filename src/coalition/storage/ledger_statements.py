"""The statements of one batch of the desk, in the order they run: arrays in, rows out, look-ups by lane and id."""

from typing import Final

from coalition.storage.arrays import of_one

RESOLVE: Final = "SELECT token, lane, wallet_id, card_id FROM credentials WHERE token = ANY(%s::bytea[])"
RESOLVE_TICKETS: Final = """
SELECT token, lane, wallet_id, card_id, counter FROM pay_tickets WHERE token = ANY(%s::bytea[])
"""
ORIGINALS_BY_REQUEST: Final = """
SELECT e.entry_id, e.lane, e.kind, e.reason, e.participant_id, e.wallet_id, e.amount_minor, e.agreement_id,
       e.agreement_version, e.business_date, e.card_id, e.request_id, e.terminal_id, e.sale_reference,
       e.original_entry_id
FROM unnest(%s::integer[], %s::uuid[]) AS asked (participant_id, request_id)
JOIN entries e USING (participant_id, request_id)
"""
ORIGINALS_BY_ENTRY: Final = """
SELECT e.entry_id, e.lane, e.kind, e.reason, e.participant_id, e.wallet_id, e.amount_minor, e.agreement_id,
       e.agreement_version, e.business_date, e.card_id, e.request_id, e.terminal_id, e.sale_reference,
       e.original_entry_id
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN entries e USING (lane, entry_id)
"""
LOCK_WALLETS: Final = """
SELECT w.lane, w.wallet_id, w.balance_minor, w.recruiter_id, w.state, w.is_named, w.merged_into
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN wallets w USING (lane, wallet_id)
ORDER BY w.lane, w.wallet_id FOR UPDATE OF w
"""
CARDS: Final = """
SELECT c.card_id, c.wallet_id, c.state, c.last_four, c.issuer_id, c.operation_limit_minor, c.day_limit_minor,
       c.month_limit_minor, c.kind
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, card_id)
JOIN cards c USING (lane, card_id)
"""
DEVICES: Final = """
SELECT d.lane, d.card_id, d.used_counter, d.tried_counter, d.tries, d.drift
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, card_id)
JOIN devices d USING (lane, card_id)
"""
LOT_COLUMNS: Final = """l.lane, l.lot_id, l.wallet_id, l.issuer_id, l.custodian_id, l.seller_id, l.terms_id,
    l.terms_version, l.bonus_expiry, l.face_sold, l.principal_sold, l.face, l.principal, l.reserved, l.is_reversed,
    l.sponsored"""
OPEN_LOTS: Final = f"""
SELECT {LOT_COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN lots l USING (lane, wallet_id) WHERE l.is_open
"""
ORIGINAL_LOTS: Final = f"""
SELECT DISTINCT {LOT_COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN allocations a USING (lane, entry_id) JOIN lots l USING (lane, lot_id)
"""
# A lot has the id of the entry that opened it; a top-up's may be empty, and is wanted all the same.
TOP_UP_LOTS: Final = f"""
SELECT {LOT_COLUMNS}
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, lot_id)
JOIN lots l USING (lane, lot_id)
"""
HOLDS: Final = """
SELECT h.entry_id, h.expire_time, h.resolved_kind
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN holds h USING (lane, entry_id)
"""
# What a capture's hold was made for; asked only where a capture is reversed.
SALES_OF_HOLDS: Final = """
SELECT e.entry_id, e.terminal_id, e.sale_reference
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN entries e USING (lane, entry_id) WHERE e.sale_reference IS NOT NULL AND e.terminal_id IS NOT NULL
"""
# Locked, because what an undone entry frees may be wanted by a rival: one of the two is first.
LOCK_SALES: Final = """
SELECT s.terminal_id, s.reference, s.entry_id
FROM unnest(%s::smallint[], %s::integer[], %s::text[]) AS asked (lane, terminal_id, reference)
JOIN sale_references s USING (lane, terminal_id, reference)
ORDER BY s.lane, s.terminal_id, s.reference FOR UPDATE OF s
"""
# `place + 0` leaves allocations_original as the only index that helps: of an empty table the primary key looks as good,
# and reads a whole lane for each row once it is not.
ALLOCATIONS: Final = """
SELECT a.entry_id, a.place, a.lot_id, a.face, a.principal, a.agreement_id, a.agreement_version,
       coalesce(back.face, 0)::bigint, coalesce(back.principal, 0)::bigint
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, entry_id)
JOIN allocations a USING (lane, entry_id)
CROSS JOIN LATERAL (
    SELECT sum(b.face) AS face, sum(b.principal) AS principal FROM allocations b
    WHERE b.lane = a.lane AND b.original_entry_id = a.entry_id AND b.place + 0 = a.place
) AS back
ORDER BY a.entry_id, a.place
"""
OPEN_WINDOWS: Final = """
SELECT w.calendar_id, w.window_id, (SELECT epoch FROM config_epoch)
FROM windows w WHERE w.state = 'OPEN' ORDER BY w.window_id FOR SHARE OF w
"""
# What wallets have spent since a day, for the few batches in which a limit asks: kinds 2, 7 and 11 (domain/usage.py).
# Entries before the bound are older than that day; the answer holds the time of the batch and what is unusual.
USAGE: Final = """
SELECT e.wallet_id, e.entry_id, e.kind, e.card_id, e.amount_minor, e.business_date,
       (told.answer ->> 2)::bigint, told.answer #>> '{10,tier}', e.original_entry_id
FROM unnest(%s::smallint[], %s::bigint[]) AS asked (lane, wallet_id)
JOIN entries e USING (lane, wallet_id)
CROSS JOIN LATERAL (SELECT convert_from(e.answer, 'UTF8')::json AS answer) AS told
WHERE e.entry_id > %s::bigint AND e.business_date >= %s::date AND e.kind IN (2, 7, 11) AND e.reason = 0
ORDER BY e.entry_id
"""
# A batch's number before which every batch is older than the moment; by halves, because batches have no index by time.
NUMBER_BEFORE: Final = """
WITH RECURSIVE search (low, high) AS (
    SELECT 0::bigint, (SELECT coalesce(max(number), 0) FROM batches)
    UNION ALL
    SELECT CASE WHEN coalesce(at.time < %s::timestamptz, true) THEN (low + high + 1) / 2 ELSE low END,
           CASE WHEN coalesce(at.time < %s::timestamptz, true) THEN high ELSE (low + high + 1) / 2 - 1 END
    FROM search LEFT JOIN LATERAL (
        SELECT time FROM batches WHERE number <= (low + high + 1) / 2 ORDER BY number DESC LIMIT 1
    ) AS at ON true
    WHERE low < high
)
SELECT max(low) FROM search
"""
UPDATE_WALLETS: Final = """
UPDATE wallets w SET balance_minor = new.balance_minor, last_entry_id = new.last_entry_id
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS new (lane, wallet_id, balance_minor, last_entry_id)
WHERE w.lane = new.lane AND w.wallet_id = new.wallet_id
"""
CLOSE_WALLETS: Final = """
UPDATE wallets w SET state = 'CLOSED'
FROM unnest(%s::smallint[], %s::bigint[]) AS new (lane, wallet_id)
WHERE w.lane = new.lane AND w.wallet_id = new.wallet_id
"""
UPDATE_LOTS: Final = """
UPDATE lots l SET face = new.face, principal = new.principal, is_open = new.face > 0
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[]) AS new (lane, lot_id, face, principal)
WHERE l.lane = new.lane AND l.lot_id = new.lot_id
"""
# For the few batches in which a reservation or its being reversed has changed of a lot.
MARK_LOTS: Final = """
UPDATE lots l SET face = new.face, principal = new.principal, is_open = new.face > 0, reserved = new.reserved,
    is_reversed = new.is_reversed <> 0
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[])
    AS new (lane, lot_id, face, principal, reserved, is_reversed)
WHERE l.lane = new.lane AND l.lot_id = new.lot_id
"""
INSERT_LOTS: Final = """
INSERT INTO lots (lane, lot_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id, terms_version, bonus_expiry,
    face_sold, principal_sold, face, principal, reserved, is_reversed, sponsored, is_open)
SELECT lane, lot_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id, terms_version, bonus_expiry,
    face_sold, principal_sold, face, principal, reserved, is_reversed <> 0, sponsored, face > 0
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::integer[], %s::integer[], %s::integer[],
    %s::integer[], %s::integer[], %s::date[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::smallint[], %s::bigint[])
    AS new (lane, lot_id, wallet_id, issuer_id, custodian_id, seller_id, terms_id, terms_version, bonus_expiry,
        face_sold, principal_sold, face, principal, reserved, is_reversed, sponsored)
"""
UPDATE_DEVICES: Final = """
UPDATE devices d SET used_counter = new.used_counter, tried_counter = new.tried_counter, tries = new.tries,
    drift = new.drift
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::smallint[], %s::smallint[])
    AS new (lane, card_id, used_counter, tried_counter, tries, drift)
WHERE d.lane = new.lane AND d.card_id = new.card_id
"""
INSERT_HOLDS: Final = """
INSERT INTO holds (lane, entry_id, wallet_id, participant_id, amount_minor, resolved_kind, expire_time, is_open)
SELECT *, new.resolved_kind IS NULL
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::integer[], %s::bigint[], %s::smallint[], %s::timestamptz[])
    AS new (lane, entry_id, wallet_id, participant_id, amount_minor, resolved_kind, expire_time)
"""
RESOLVE_HOLDS: Final = """
UPDATE holds h SET is_open = false, resolved_kind = new.resolved_kind
FROM unnest(%s::smallint[], %s::bigint[], %s::smallint[]) AS new (lane, entry_id, resolved_kind)
WHERE h.lane = new.lane AND h.entry_id = new.entry_id
"""
FREE_SALES: Final = """
DELETE FROM sale_references s
USING unnest(%s::smallint[], %s::integer[], %s::text[]) AS gone (lane, terminal_id, reference)
WHERE s.lane = gone.lane AND s.terminal_id = gone.terminal_id AND s.reference = gone.reference
"""
# A rival's row under the same key ends the batch (23505), which is run again and finds it.
TAKE_SALES: Final = """
INSERT INTO sale_references (lane, terminal_id, reference, entry_id)
SELECT * FROM unnest(%s::smallint[], %s::integer[], %s::text[], %s::bigint[])
"""
# What a merge sends, and that it arrived: for the few batches in which wallets that were merged empty.
KEEP_TRANSITS: Final = """
INSERT INTO transits AS t (lane, entry_id, to_wallet_id, is_open)
SELECT lane, entry_id, to_wallet_id, is_open <> 0
FROM unnest(%s::smallint[], %s::bigint[], %s::bigint[], %s::smallint[]) AS new (lane, entry_id, to_wallet_id, is_open)
ON CONFLICT (lane, entry_id) DO UPDATE SET is_open = t.is_open AND excluded.is_open
"""
PREPARED: Final = (
    *map(of_one, (LOCK_WALLETS, CARDS, OPEN_LOTS, UPDATE_WALLETS, UPDATE_LOTS)),
    KEEP_TRANSITS,
    RESOLVE,
    RESOLVE_TICKETS,
    ORIGINALS_BY_REQUEST,
    ORIGINALS_BY_ENTRY,
    LOCK_WALLETS,
    CARDS,
    DEVICES,
    OPEN_LOTS,
    ORIGINAL_LOTS,
    TOP_UP_LOTS,
    HOLDS,
    ALLOCATIONS,
    USAGE,
    NUMBER_BEFORE,
    OPEN_WINDOWS,
    UPDATE_WALLETS,
    CLOSE_WALLETS,
    UPDATE_LOTS,
    MARK_LOTS,
    INSERT_LOTS,
    UPDATE_DEVICES,
    INSERT_HOLDS,
    RESOLVE_HOLDS,
    SALES_OF_HOLDS,
    LOCK_SALES,
    FREE_SALES,
    TAKE_SALES,
)
