"""What a database superuser can do to the tables beside the log, and the check that must name it."""

NEWEST_REVISION = "(SELECT max(revision) FROM member_records)"
FIRST_OF_WALLET = "(SELECT min(entry_id) FROM entries e WHERE e.wallet_id = wallets.wallet_id AND e.kind = 1)"
SWAP_CIPHERTEXTS = """
WITH pair AS (SELECT min(member_id::text)::uuid AS one, max(member_id::text)::uuid AS other FROM member_records)
UPDATE member_records r SET sealed = o.sealed FROM member_records o, pair
WHERE r.field_group = 'contact' AND o.field_group = 'contact'
    AND (r.member_id, o.member_id) IN ((pair.one, pair.other), (pair.other, pair.one))
"""
SWAP_RECORDS = SWAP_CIPHERTEXTS.replace("SET sealed = o.sealed", "SET sealed = o.sealed, record_id = o.record_id")
OLDER_OVER_NEWER = f"""
UPDATE member_records r SET sealed = o.sealed, record_id = o.record_id FROM member_records o
WHERE r.revision = {NEWEST_REVISION} AND o.revision = 1 AND o.member_id = r.member_id AND o.field_group = r.field_group
"""
RECORD_BY_HAND = """
INSERT INTO member_records SELECT member_id, 'identity', 9, record_id, sealed, create_time FROM member_records
WHERE field_group = 'identity' LIMIT 1
"""
SEED_OF_ANOTHER = """
WITH pair AS (SELECT min(card_id) AS one, max(card_id) AS other FROM device_seeds)
UPDATE device_seeds d SET sealed = o.sealed FROM device_seeds o, pair WHERE d.card_id = one AND o.card_id = other
"""
DISCLOSURE_BY_HAND = """
INSERT INTO disclosures SELECT gen_random_uuid(), member_ids, field_groups, purpose, requester, create_time, '/ap/eve',
    now(), recipient_key FROM disclosures LIMIT 1
"""
A_FEE = "content ? 'operator_fee'"
ANOTHER_FEE = """
UPDATE agreement_versions SET content = jsonb_set(content, '{operator_fee}', '"0"') WHERE content ? 'operator_fee'
"""
ANOTHER_POSITION = """
UPDATE net_positions SET net_position_minor = net_position_minor + 100, received_minor = received_minor + 100
"""
ANOTHER_STATEMENT = """
UPDATE day_closes SET statement = convert_to(replace(convert_from(statement, 'UTF8'), '500', '400'), 'UTF8')
WHERE number = 2
"""
SAME_DAY_AGAIN = """
INSERT INTO day_closes SELECT terminal_id, 3, business_date, close_time, last_entry_id, counted, statement,
    statement_hash, signature, certificate, difference_count FROM day_closes WHERE number = 2
"""
WALLET_SET_BACK = f"""
UPDATE wallets SET balance_minor = 20000, last_entry_id = {FIRST_OF_WALLET} WHERE last_entry_id > 0
"""

# Of a card that acts led to its wallet, and of one that came in with an import; its credential goes along.
ANOTHER_WALLET = "(SELECT max(wallet_id) FROM wallets WHERE last_entry_id > 0 AND state = 'OPEN')"
OF_ANOTHER = f"""
UPDATE cards c SET lane = w.lane, wallet_id = w.wallet_id FROM wallets w
WHERE w.wallet_id = {ANOTHER_WALLET} AND c.wallet_id <> w.wallet_id AND c.card_id = {{}}
"""
CARD_OF_ANOTHER = OF_ANOTHER.format("(SELECT min(card_id) FROM cards WHERE state = 'FROZEN')")
MOVED_IN = "(SELECT min(card_id) FROM cards c WHERE c.state = 'ACTIVE' AND c.card_id NOT IN "
MOVED_IN += "(SELECT card_id FROM entries WHERE card_id IS NOT NULL))"
MOVED_IN_OF_ANOTHER = OF_ANOTHER.format(MOVED_IN)
CREDENTIAL_OF_ANOTHER = """
UPDATE credentials t SET lane = c.lane, wallet_id = c.wallet_id FROM cards c
WHERE c.card_id = t.card_id AND c.wallet_id <> t.wallet_id
"""
NUMBER_OF_ANOTHER = """
WITH pair AS (SELECT min(card_id) AS one, max(card_id) AS other FROM cards WHERE state = 'ACTIVE')
UPDATE credentials t SET lane = c.lane, wallet_id = c.wallet_id, card_id = c.card_id FROM cards c, pair
WHERE t.card_id = pair.one AND c.card_id = pair.other
"""
CARD_BY_HAND = """
INSERT INTO cards (lane, card_id, wallet_id, last_four, state, issuer_id)
SELECT lane, 77, wallet_id, '0077', 'ACTIVE', recruiter_id FROM wallets WHERE last_entry_id > 0 LIMIT 1
"""
MERGED_ELSEWHERE = """
UPDATE wallets w SET merged_into = (
    SELECT max(o.wallet_id) FROM wallets o WHERE o.wallet_id NOT IN (w.wallet_id, w.merged_into))
WHERE merged_into IS NOT NULL
"""
MERGED_BY_HAND = f"""
UPDATE wallets SET merged_into = {ANOTHER_WALLET}, state = 'CLOSED'
WHERE merged_into IS NULL AND wallet_id <> {ANOTHER_WALLET} AND wallet_id = (
    SELECT min(wallet_id) FROM wallets WHERE merged_into IS NULL)
"""

BESIDE_THE_LOG: dict[str, tuple[list[str], str]] = {
    "swap the ciphertexts of two members": ([SWAP_CIPHERTEXTS], "V13"),
    "swap the records of two members": ([SWAP_RECORDS], "V13"),
    "roll a member's record back": ([f"DELETE FROM member_records WHERE revision = {NEWEST_REVISION}"], "V13"),
    "write an older revision over a newer": ([OLDER_OVER_NEWER], "V13"),
    "write a record by hand": ([RECORD_BY_HAND], "V13"),
    "replace a device's seed": ([SEED_OF_ANOTHER], "V13"),
    "approve a disclosure by hand": (
        ["UPDATE disclosures SET approver = '/ap/eve', approve_time = now() WHERE approver IS NULL"],
        "V15",
    ),
    "write a disclosure without its leaf": ([DISCLOSURE_BY_HAND], "V15"),
    "widen a disclosure": (["UPDATE disclosures SET field_groups = '{identity,contact}'"], "V15"),
    "let another read a disclosure": (["UPDATE disclosures SET recipient_key = sha256('eve')"], "V15"),
    "delete a disclosure": (["DELETE FROM disclosures WHERE approver IS NOT NULL"], "V15"),
    "change what was agreed on": ([ANOTHER_FEE], "V16"),
    "suspend a shop by hand": (["UPDATE stores SET state = 'SUSPENDED' WHERE store_id = 1"], "V16"),
    "let a suspended till work": (["UPDATE terminals SET state = 'ACTIVE' WHERE state = 'SUSPENDED'"], "V16"),
    "suspend a merchant by hand": (["UPDATE participants SET state = 'SUSPENDED' WHERE code = 'cafe'"], "V16"),
    "give a merchant another chain": (["UPDATE participants SET chain_code = 'alpha' WHERE code = 'cafe'"], "V16"),
    "change a net position": ([ANOTHER_POSITION], "V17"),
    "delete net positions": (["DELETE FROM net_positions"], "V17"),
    "open a window again": (
        ["UPDATE windows SET state = 'CLOSED', netting_entry_id = NULL WHERE state = 'NETTED'"],
        "V17",
    ),
    "delete an agreement": ([f"DELETE FROM agreement_versions WHERE {A_FEE}"], "V16"),
    "suspend the operator": (["UPDATE participants SET state = 'SUSPENDED' WHERE role = 'OPERATOR'"], "V16"),
    "move a cut": (["UPDATE windows SET cut_number = cut_number + 1 WHERE cut_number IS NOT NULL"], "V17"),
    "forge a day close": ([ANOTHER_STATEMENT], "V18"),
    "forge the signature of a day close": (["UPDATE day_closes SET signature = sha256('x') WHERE number = 2"], "V18"),
    "delete a day close": (["DELETE FROM day_closes WHERE number = 2"], "V18"),
    "close a day by hand": ([SAME_DAY_AGAIN], "V18"),
    "count a day close further": (["UPDATE day_closes SET last_entry_id = last_entry_id + 1 WHERE number = 1"], "V18"),
    "give a wallet value": (["UPDATE wallets SET balance_minor = balance_minor + 1 WHERE last_entry_id > 0"], "V20"),
    "give a fresh wallet value": (["UPDATE wallets SET balance_minor = 1 WHERE last_entry_id = 0"], "V20"),
    "set a wallet back": ([WALLET_SET_BACK], "V20"),
    "set a wallet on": (["UPDATE wallets SET last_entry_id = last_entry_id + (9::bigint << 40)"], "V20"),
    "give a pass a visit less": (["UPDATE passes SET visits = visits - 1 WHERE is_open"], "V20"),
    "forget a pass": (["UPDATE passes SET is_open = false WHERE is_open"], "V20"),
    "give points": (["UPDATE points SET balance = balance + 1"], "V20"),
    "forget points": (["DELETE FROM points"], "V20"),
    "delete a wallet": (["DELETE FROM wallets WHERE last_entry_id > 0"], "V20"),
    "unfreeze a card": (["UPDATE cards SET state = 'ACTIVE' WHERE state = 'FROZEN'"], "V20"),
    "let a replaced card pay": (["UPDATE cards SET state = 'ACTIVE' WHERE state = 'REPLACED'"], "V20"),
    "end cards by hand": (["UPDATE cards SET state = 'REPLACED' WHERE state = 'ACTIVE'"], "V20"),
    "lift a card's limit": (["UPDATE cards SET operation_limit_minor = NULL WHERE day_limit_minor IS NULL"], "V20"),
    "lead a card to another wallet": ([CARD_OF_ANOTHER, CREDENTIAL_OF_ANOTHER], "V20"),
    "lead a card that moved in to another wallet": ([MOVED_IN_OF_ANOTHER, CREDENTIAL_OF_ANOTHER], "V20"),
    "lead a number to another card": ([NUMBER_OF_ANOTHER], "V20"),
    "write a card by hand": ([CARD_BY_HAND], "V20"),
    "delete a card": (["DELETE FROM cards WHERE state = 'FROZEN'"], "V20"),
    "delete a card that moved in": ([f"DELETE FROM cards WHERE card_id = {MOVED_IN}"], "V20"),
    "unlock a member": (["UPDATE members SET state = 'ACTIVE' WHERE state = 'LOCKED'"], "V20"),
    "bring an erased member back": (["UPDATE members SET state = 'ACTIVE' WHERE state = 'ERASED'"], "V20"),
    "raise a hold": (["UPDATE holds SET amount_minor = amount_minor + 1 WHERE is_open"], "V20"),
    "hold for longer": (["UPDATE holds SET expire_time = expire_time + interval '1 day' WHERE is_open"], "V20"),
    "drop a hold": (["UPDATE holds SET is_open = false, resolved_kind = 9 WHERE is_open"], "V20"),
    "open a hold again": (["UPDATE holds SET is_open = true, resolved_kind = NULL WHERE NOT is_open"], "V20"),
    "free what a hold keeps": (["UPDATE lots SET reserved = 0 WHERE reserved > 0"], "V20"),
    "lead a merged wallet elsewhere": ([MERGED_ELSEWHERE], "V20"),
    "undo a merge": (["UPDATE wallets SET merged_into = NULL WHERE merged_into IS NOT NULL"], "V20"),
    "merge a wallet by hand": ([MERGED_BY_HAND], "V20"),
    "take of a lot": (
        ["UPDATE lots SET face = face - 1, principal = least(principal, face - 1) WHERE face > 1"],
        "V20",
    ),
}
