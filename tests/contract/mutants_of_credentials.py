"""Seeded bugs of what a member shows: PINs, payment codes, limits, references, offline sales. More in mutants.py."""

from tests.contract.mutant import Mutant

PINS, CODES, USAGE = "storage/pins.py", "domain/credentials.py", "storage/ledger_usage.py"
MUTANTS = (
    Mutant(
        "a PIN is counted after it was compared",
        (
            (PINS, "Key = tuple[int, UUID]", "LATER: list[tuple[str | None, ...]] = []\nKey = tuple[int, UUID]"),
            (
                PINS,
                "        pipeline.execute(\n            COUNT_TRIES, number_columns(",
                "        LATER.append(\n            number_columns(",
            ),
            (
                PINS,
                "    moved = [(pin.lane",
                "    while LATER:\n        pipeline.execute(COUNT_TRIES, LATER.pop())\n    moved = [(pin.lane",
            ),
        ),
        trial="race_of_guesses",
    ),
    Mutant(
        "a counted PIN is not committed before it is compared",
        (
            (
                PINS,
                """    pipeline.execute("COMMIT")\n    pipeline.run()\n    return""",
                "    pipeline.run()\n    return",
            ),
        ),
        trial="count_before_compare",
    ),
    Mutant(
        "the tries of a PIN are read, not locked",
        ((PINS, "ORDER BY p.lane, p.wallet_id FOR UPDATE OF p", "ORDER BY p.lane, p.wallet_id"),),
        trial="race_of_guesses",
    ),
    Mutant(
        "a repeated request counts its PIN again",
        ((PINS, "if _key(command) not in answered and name in places", "if name in places"),),
        trial="machine",
    ),
    Mutant(
        "a right PIN forgives nothing",
        (("domain/pins.py", "pin.finding is PinFinding.MATCHED\n", "pin.finding is PinFinding.NOT_SET\n"),),
        trial="machine",
    ),
    Mutant(
        "a PIN is only compared where one is needed",
        (
            (
                "domain/pin_rule.py",
                "    if pin is None:\n        if _needs_pin",
                "    if pin is None or not _needs_pin(command, card, books):\n        if _needs_pin",
            ),
        ),
        trial="machine",
    ),
    Mutant(
        "a payment code is not marked used",
        ((CODES, "self.used_counter = ticket.counter", "pass"),),
        trial="race_for_a_code",
    ),
    Mutant(
        "a payment code kills itself, and not those before it",
        ((CODES, "if ticket.counter <= self.used_counter:", "if ticket.counter == self.used_counter:"),),
        trial="race_for_a_code",
    ),
    Mutant(
        "a decline uses a payment code up",
        (
            (
                "clearing/batch.py",
                "        if books.pins:\n            _forgive(command, books)\n        # A wrong code",
                (
                    "        if books.tickets and refused.reason is Reason.INSUFFICIENT_FUNDS:\n"
                    "            books.use_code(command)\n        # A wrong code"
                ),
            ),
        ),
        trial="machine",
    ),
    Mutant(
        "wrong passwords of a payment code are not counted",
        ((CODES, "        self.tries += 1\n", "        self.tries = 1\n"),),
        trial="machine",
    ),
    Mutant(
        "what was found of a payment code is part of what a request means",
        (
            (
                "domain/commands.py",
                "        return self.token\n",
                "        return self.token + (repr(self.evidence).encode() if self.evidence else b'')\n",
            ),
        ),
        trial="machine",
    ),
    Mutant(
        "what a wallet has spent is remembered, not read",
        (
            (USAGE, "BOUNDS_MAX: Final = 8\n", "BOUNDS_MAX: Final = 8\nKNOWN: dict[int, Usage] = {}\n"),
            (
                USAGE,
                (
                    "        wallet.usage = Usage()\n    for wallet_id, *row in answer.rows():\n"
                    "        usage = books.wallets[wallet_id].usage\n        if usage is not None:"
                ),
                (
                    "        wallet.usage = KNOWN.setdefault(wallet.wallet_id, Usage())\n"
                    "    for wallet_id, *row in answer.rows():\n"
                    "        usage = books.wallets[wallet_id].usage\n        if usage is not None and not usage.spends:"
                ),
            ),
        ),
        trial="race_for_a_limit",
    ),
    Mutant(
        "a reversed spend counts all the same",
        (
            (
                "domain/usage.py",
                "original.business_date == line.business_date",
                "original.business_date > line.business_date",
            ),
        ),
        trial="machine",
    ),
    Mutant(
        "a replaced card loses its limits",
        (
            (
                "membership/card_desk.py",
                'given, card_id, "ACTIVE", old.issuer, held.wallet_id, create_time, old.limits',
                'given, card_id, "ACTIVE", old.issuer, held.wallet_id, create_time, CardLimits()',
            ),
        ),
        trial="cards",
    ),
    Mutant(
        "a shortfall draws the last lot below zero",
        (
            (
                "domain/upload.py",
                "    held = books.programme.acceptance(card",
                (
                    "    if draws and missing:\n"
                    "        draws[-1] = draws[-1]._replace(face=draws[-1].face + missing)\n"
                    "        missing = 0\n"
                    "    held = books.programme.acceptance(card"
                ),
            ),
        ),
        trial="race_without_a_line",
    ),
    Mutant(
        "a shortfall is borne by the merchant whatever was agreed",
        (("domain/shortfall.py", "return card_issuer_id if at_issuer else acquirer_id", "return acquirer_id"),),
        trial="race_without_a_line",
    ),
    Mutant(
        "an offline limit is held against what is missing",
        (("domain/shortfall.py", "limit is None or amount > limit", "limit is None or missing > limit"),),
        trial="race_without_a_line",
    ),
    Mutant(
        "a refund gives the wallet back before it gives back who bore the shortfall",
        (
            (
                "domain/lots.py",
                "for allocation in reversed(list(allocations)):",
                "for allocation in sorted(reversed(list(allocations)), key=lambda each: each.is_shortfall):",
            ),
        ),
        trial="race_without_a_line",
    ),
    Mutant(
        "a reversal keeps the sale reference",
        (("domain/commands.py", "kind = Kind.REVERSAL\n    frees_reference = True", "kind = Kind.REVERSAL"),),
        trial="race_for_a_reference",
    ),
    Mutant(
        "a sale reference is looked at, not locked",
        (
            (
                "storage/ledger_statements.py",
                "ORDER BY s.lane, s.terminal_id, s.reference FOR UPDATE OF s",
                "ORDER BY s.lane, s.terminal_id, s.reference",
            ),
        ),
        trial="race_for_a_reference",
    ),
    Mutant(
        "a capture's reversal keeps the reference of its hold",
        (("storage/ledger_batch.py", "self._find_sales(captures_of(named))", "pass"),),
        trial="race_for_a_reference",
    ),
    Mutant(
        "a touched top-up is returned",
        (("domain/top_up_return.py", "if lot.reserved or lot.face != lot.face_sold:", "if lot.reserved:"),),
        trial="machine",
    ),
    Mutant(
        "a batch forgets what its reversal has killed",
        (
            (
                "clearing/batch.py",
                "    prefetched.stored[key] = Stored(tombstone.body_hash, decided[-1].outcome.again())",
                "    assert key",
            ),
        ),
        trial="machine",
    ),
)
