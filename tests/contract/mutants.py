"""Seeded bugs of the ledger's rules and locks, each of which must be noticed. More in mutants_of_credentials.py."""

from tests.contract import mutants_of_credentials
from tests.contract.mutant import Mutant

STORED_BUT = """            known = prefetched.stored.get(key)
            if known and known.outcome and known.outcome.reason is not Reason.{}:
                continue"""
STATEMENTS, BATCH, LEDGER = "storage/ledger_statements.py", "clearing/batch.py", "storage/ledger_batch.py"
MUTANTS = (
    Mutant(
        "wallets are read, not locked",
        ((STATEMENTS, "ORDER BY w.lane, w.wallet_id FOR UPDATE OF w", "ORDER BY w.lane, w.wallet_id"),),
    ),
    Mutant(
        "wallets are locked in no order",
        (
            (
                STATEMENTS,
                "ORDER BY w.lane, w.wallet_id FOR UPDATE OF w",
                "ORDER BY w.wallet_id * (pg_backend_pid() % 2 * 2 - 1) FOR UPDATE OF w",
            ),
        ),
        trial="deadlocks",
    ),
    Mutant(
        "the journal number is taken before the locks",
        (
            (
                LEDGER,
                "wallets = pipeline.execute(*for_rows(LOCK_WALLETS",
                "number = pipeline.execute(TAKE_NUMBER)\n        wallets = pipeline.execute(*for_rows(LOCK_WALLETS",
            ),
            (LEDGER, "        number = pipeline.execute(TAKE_NUMBER)\n        return", "        return"),
        ),
    ),
    Mutant(
        "an answer goes out before its commit is durable",
        (
            (
                "storage/ledger.py",
                "DESK_SESSION: Final = (",
                'DESK_SESSION: Final = (\n    "SET synchronous_commit = off",',
            ),
        ),
        trial="postgres",
    ),
    Mutant(
        "open windows are read, not locked",
        ((STATEMENTS, "ORDER BY w.window_id FOR SHARE OF w", "ORDER BY w.window_id"),),
        trial="close",
    ),
    Mutant(
        "a killed request is decided all the same",
        (
            (
                BATCH,
                "            if key in prefetched.stored:\n                continue",
                STORED_BUT.format("KILLED"),
            ),
        ),
    ),
    Mutant(
        "a replay is known by its id, whatever its body",
        ((BATCH, "known.body_hash == command.body_hash", "True"),),
    ),
    Mutant(
        "a duplicate in one batch is answered whatever its body",
        ((BATCH, "elif command.body_hash == first[key].body_hash or", "elif command or"),),
    ),
    Mutant(
        "a duplicate in one batch is told as new",
        ((BATCH, "result.append(outcome.again())", "result.append(outcome)"),),
    ),
    Mutant(
        "a decline is decided anew",
        (
            (
                BATCH,
                "            if key in prefetched.stored:\n                continue",
                STORED_BUT.format("INSUFFICIENT_FUNDS"),
            ),
        ),
    ),
    Mutant(
        "a hold is captured twice",
        (
            (
                "domain/hold.py",
                "if not hold.is_open or books.time >= hold.expire_time:",
                "if books.time >= hold.expire_time:",
            ),
        ),
    ),
    Mutant(
        "what is held can be spent",
        (("domain/lots.py", "face = min(amount, lot.face - lot.reserved)", "face = min(amount, lot.face)"),),
    ),
    Mutant(
        "the rest of a capture stays reserved",
        (
            (
                STATEMENTS,
                "is_open = new.face > 0, reserved = new.reserved,",
                "is_open = new.face > 0, reserved = least(new.face, greatest(l.reserved, new.reserved)),",
            ),
        ),
    ),
    Mutant(
        "a refund's floor is a ceiling",
        (
            (
                "domain/lots.py",
                "after = (allocation.returned_face + face) * allocation.principal // allocation.face",
                "after = -(-(allocation.returned_face + face) * allocation.principal // allocation.face)",
            ),
        ),
    ),
    Mutant(
        "a spend floors on what is left",
        (
            (
                "domain/lots.py",
                "exact = spent * principal_sold // lot.face_sold - principal_sold + principal",
                "exact = amount * principal // lot.face if lot.face else spent",
            ),
        ),
    ),
    Mutant(
        "a reversal gives back what was refunded before",
        (("domain/reversal.py", "left = original.amount_minor - original.returned", "left = original.amount_minor"),),
    ),
    Mutant(
        "the newest lot is spent first",
        (
            (
                "domain/lots.py",
                "return lot.bonus_expiry or date.max, lot.lot_id",
                "return lot.bonus_expiry or date.max, -lot.lot_id",
            ),
        ),
    ),
    Mutant(
        "where a card leads is never read again",
        (
            (LEDGER, "if wallet_id is not None:  # one that is not may be linked", "if card_id:  # one that is not"),
            (LEDGER, "self._pointers.pop(moved, None)", "pass"),
        ),
        trial="cards",
    ),
    Mutant(
        "a frozen card pays",
        (
            ("domain/books.py", 'if card.state == "FROZEN":', "if not card.state:"),
            ("domain/books.py", 'card.wallet_id is None or card.state != "ACTIVE"', "card.wallet_id is None"),
        ),
        trial="cards",
    ),
)
ALL = (*MUTANTS, *mutants_of_credentials.MUTANTS)
BY_NAME = {mutant.name: mutant for mutant in ALL}
