"""V8 to V12, and V20 by wallets.py: the money, replayed from the log alone (V10: holds.py). Amounts are minor units.

What lies before the bundle is not guessed at: a check that meets it says so and is undecided.
"""

import json
from collections import defaultdict
from typing import Any, Final, NamedTuple

from coalition.audit.bundle import Bundle
from coalition.audit.checks.holds import HoldChecks
from coalition.audit.checks.merges import MergeChecks
from coalition.audit.checks.opened import Opened
from coalition.audit.checks.passes import PassChecks, tells_of_pass
from coalition.audit.checks.points import PointsChecks
from coalition.audit.checks.report import Report
from coalition.audit.checks.sponsorships import SponsorChecks
from coalition.audit.checks.unique import UniquePairs
from coalition.audit.checks.wallets import Promised, WalletChecks
from coalition.audit.leaf import Payload
from coalition.domain.accounts import PASSES, WALLET
from coalition.domain.kinds import OF_PASSES, OPENS_LOT, SETTLEMENT, Kind
from coalition.domain.lots import SHORTFALL_LOT

DECODE: Final = json.JSONDecoder().raw_decode
"""As json.loads does inside; that looks for the encoding of every answer first, which costs more than reading it."""
ACTS: Final = int(Kind.PARTICIPANT_CREATED)
# Plain numbers: a member of an enum is looked up anew each time, and this is asked of every entry.
TOP_UP, CAPTURE, REFUND = int(Kind.TOP_UP), int(Kind.CAPTURE), int(Kind.REFUND)
HOLD, REVERSAL = int(Kind.HOLD), int(Kind.REVERSAL)
SPENDS: Final = frozenset({int(Kind.PURCHASE), int(Kind.CAPTURE), int(Kind.UPLOAD), int(Kind.MERGE_OUT)})
GIVES_BACK: Final = frozenset({int(Kind.REFUND), int(Kind.REVERSAL)})
GIVEN_WHOLE: Final = frozenset({int(Kind.MERGE_IN), int(Kind.POINTS_CONVERSION)})
"""Lots whose bonus is part of the entry's amount: nothing is granted on top."""
MAY_FALL_SHORT: Final = GIVES_BACK | {int(Kind.UPLOAD)}
# An outcome's stored answer (domain/journal.py): reason, entry, time, kind, amount, principal, bonus, balance, ...
REASON, ENTRY, TIME, KIND, AMOUNT, PRINCIPAL, BONUS, BALANCE = range(8)
OUTCOME_MIN: Final = 12


class LotLeft(NamedTuple):
    """What is left of a lot: its face and the principal in it."""

    face: int
    principal: int


class MoneyChecks:
    """Sees every entry once, in order, then looks up the originals of what was given back."""

    def __init__(
        self, bundle: Bundle, report: Report, wallets: WalletChecks, holds: HoldChecks, merges: MergeChecks
    ) -> None:
        self._bundle = bundle
        self._checks = report.checks
        self._held = wallets
        self._holds = holds
        self._merges = merges
        self._faces: dict[int, int] = defaultdict(int)  # by wallet, what its lots add up to
        self._balances: dict[int, int] = {}
        self._lots: dict[int, LotLeft] = {}
        self._foreign: dict[str, int] = defaultdict(int)  # references to before the bundle, by check
        self._sent: dict[int, tuple[int, LotLeft]] = {}  # by the entry that sent it: of which wallet
        self._returned: dict[int, dict[int, LotLeft]] = defaultdict(dict)  # by original and place
        self._returned_amount: dict[int, int] = defaultdict(int)
        self._requests = UniquePairs()
        self._passes = PassChecks(report, is_whole=bundle.start_size == 0)
        self._points = PointsChecks(bundle, report)
        self._sponsors = SponsorChecks(bundle, report)

    def leaf(self, opened: Opened) -> None:
        """The next entry."""
        entry = opened.entry
        self._checks["V12"].looked_at += 1
        self._requests.add(opened.leaf.request_id, entry.participant_id, opened.at)
        self._legs(opened)
        if entry.kind >= ACTS or entry.kind in SETTLEMENT:
            return None
        answer = self._answer(opened)
        if answer is None or entry.reason:
            return self._compare(opened, moved=False)
        change, moves_pass = 0, entry.kind in OF_PASSES
        for debit, credit, amount, _, _, _ in entry.transfers:
            if credit == WALLET:
                change += amount
            elif debit == WALLET:
                change -= amount
            elif PASSES in (debit, credit):
                moves_pass = True
        if moves_pass or (entry.kind == REVERSAL and tells_of_pass(answer)):
            self._passes.leaf(opened, answer)
        self._points.leaf(opened, answer)
        self._sponsors.leaf(opened, answer)
        self._amounts(opened, answer, change)
        self._wallet(opened, answer, change)
        self._lots_of(opened, answer[PRINCIPAL])
        self._merge(opened, answer)
        self._holds.leaf(opened, answer)
        if entry.kind in GIVES_BACK and entry.original_entry_id and entry.allocations:
            self._give_back(entry)
        return self._compare(opened, moved=change != 0)

    def _compare(self, opened: Opened, *, moved: bool) -> None:
        """V20: the tables' row of the wallet, where it is as old as this entry."""
        wallet = opened.entry.wallet_id
        if wallet:
            unknown = None if self._bundle.start_size else 0
            known = self._balances.get(wallet, unknown)
            reserved = self._holds.reserved
            self._held.after(opened, known, self._faces[wallet], self._lots, reserved, self._promised, moved=moved)

    def _promised(self, wallet: int) -> Promised:
        return Promised(self._passes.open_of(wallet), self._points.of(wallet))

    def finish(self) -> None:
        """Everything was seen: compare what was given back with the originals, and look for requests used twice."""
        for original_id, places in self._returned.items():
            self._compare_returns(original_id, places)
        for index in self._requests.repeated():
            self._checks["V12"].breach("a participant's request id was used before", index)
        self._held.finish()
        self._passes.finish()
        self._points.finish()
        if self._bundle.start_size:
            self._checks["V12"].lacks("whether request ids were used before the bundle's start")
            for name, count in self._foreign.items():
                self._checks[name].lacks(f"{count} entries refer to what lies before the bundle's start")

    def _legs(self, opened: Opened) -> None:
        """V8: a leg moves something from one account to another; a decline and an act move nothing."""
        check, entry = self._checks["V8"], opened.entry
        check.looked_at += 1
        for debit, credit, amount, _, _, _ in entry.transfers:
            if amount <= 0 or debit == credit:
                check.breach("a leg moves nothing, or to where it came from", opened.at, entry.entry_id)
        if (entry.reason or entry.kind >= ACTS) and (entry.transfers or entry.allocations):
            check.breach("a decline or an act moves value", opened.at, entry.entry_id)

    def _answer(self, opened: Opened) -> list[Any] | None:
        """The stored outcome, if it tells of this entry. V8."""
        check, entry = self._checks["V8"], opened.entry
        try:
            text = entry.answer.decode()
            answer, end = DECODE(text)
            answer = answer if end == len(text) else None
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, list) or len(answer) < OUTCOME_MIN:
            check.breach("the stored answer cannot be read", opened.at, entry.entry_id)
            return None
        if {*map(type, answer[: BALANCE + 1])} != {int}:
            check.breach("the stored answer has no numbers where it should", opened.at, entry.entry_id)
            return None
        told = (answer[REASON], answer[ENTRY], answer[TIME], answer[KIND])
        if told != (entry.reason, entry.entry_id, opened.leaf.time_us, entry.kind):
            check.breach("the stored answer is of another entry, kind, time or reason", opened.at, entry.entry_id)
            return None
        return answer

    def _amounts(self, opened: Opened, answer: list[Any], change: int) -> None:
        """V8: what was answered is what was posted."""
        check, entry = self._checks["V8"], opened.entry
        amount, value = answer[AMOUNT], answer[PRINCIPAL] + answer[BONUS]
        missing = shortfall_of(entry)
        if entry.amount_minor != amount:
            check.breach("the entry's amount is not the answered one", opened.at, entry.entry_id)
        # A capture may take more of the wallet: what its hold kept of a lot that was reversed meanwhile.
        is_spent = change <= -value if entry.kind == CAPTURE else change == -value
        if entry.kind in SPENDS and not (amount == value + missing == face_of(entry) and is_spent):
            check.breach("what was spent is not what the wallet or its lots lost", opened.at, entry.entry_id)
        sold = value if entry.kind in GIVEN_WHOLE else answer[PRINCIPAL]
        if entry.kind in OPENS_LOT and not (amount == sold and change == value):
            check.breach("what was sold is not what the wallet got", opened.at, entry.entry_id)
        if missing and entry.kind not in MAY_FALL_SHORT:
            check.breach("only what was sold offline can cost more than the wallet gave", opened.at, entry.entry_id)
        if entry.kind == REFUND and not amount == value + missing == face_of(entry):
            check.breach("what was given back is not what the lots got", opened.at, entry.entry_id)

    def _wallet(self, opened: Opened, answer: list[Any], change: int) -> None:
        """V9: the running balance is the answered one and never below zero."""
        check, wallet, balance = self._checks["V9"], opened.entry.wallet_id, answer[BALANCE]
        if not wallet:
            return
        check.looked_at += 1
        before = self._balances.get(wallet)
        if before is None:
            before = 0 if self._bundle.start_size == 0 else balance - change
        now = before + change
        if now < 0 or balance < 0:
            check.breach("the wallet falls below zero", opened.at, opened.entry.entry_id)
        if now != balance:
            check.breach(
                f"the answer tells a balance of {balance}, the log one of {now}", opened.at, opened.entry.entry_id
            )
        self._balances[wallet] = now

    def _lots_of(self, opened: Opened, sold: int) -> None:
        """V9: no lot gives more than it has."""
        entry, check = opened.entry, self._checks["V9"]
        if entry.kind in OPENS_LOT:
            face = sum(amount for _, credit, amount, *_ in entry.transfers if credit == WALLET)
            self._lots[entry.entry_id] = LotLeft(face, sold)
            self._faces[entry.wallet_id] += face
            return
        if entry.kind == HOLD:
            return
        for lot, _, face, principal, _, _, original in entry.allocations:
            if lot == SHORTFALL_LOT:
                continue
            left = self._lots.get(lot)
            if left is None:
                self._unknown("V9", opened, f"lot {lot} was never sold")
                continue
            sign = 1 if original else -1
            left = LotLeft(left.face + sign * face, left.principal + sign * principal)
            self._lots[lot] = left
            self._faces[entry.wallet_id] += sign * face
            if left.face < 0 or not 0 <= left.principal <= left.face:
                check.breach(
                    f"lot {lot} is left with {left.face}, {left.principal} of it principal",
                    opened.at,
                    entry.entry_id,
                )

    def _merge(self, opened: Opened, answer: list[Any]) -> None:
        """V9: what arrives in the wallet that another was merged into is what was sent, once, and was led there."""
        entry, check = opened.entry, self._checks["V9"]
        if entry.kind == Kind.MERGE_OUT:
            self._sent[entry.entry_id] = entry.wallet_id, LotLeft(answer[AMOUNT], answer[PRINCIPAL])
        elif entry.kind == Kind.MERGE_IN:
            sender, sent = self._sent.pop(entry.original_entry_id, (0, None))
            if sent is None:
                return self._unknown(
                    "V9", opened, f"what entry {entry.original_entry_id} sent arrives, but nothing was sent"
                )
            if sent != LotLeft(answer[AMOUNT], answer[PRINCIPAL]):
                check.breach("what arrives is not what was sent", opened.at, entry.entry_id)
            if not self._merges.led_to(sender, entry.wallet_id):
                sentence = f"what wallet {sender} sent arrives in wallet {entry.wallet_id}, and no merge led it there"
                if self._merges.is_whole:
                    check.breach(sentence, opened.at, entry.entry_id)
                else:
                    check.lacks(f"{sentence} that the bundle tells of")
        return None

    def _give_back(self, entry: Payload) -> None:
        places = self._returned[entry.original_entry_id]
        for _, place, face, principal, _, _, original in entry.allocations:
            if original == entry.original_entry_id:
                left = places.get(place, LotLeft(0, 0))
                places[place] = LotLeft(left.face + face, left.principal + principal)
                self._returned_amount[original] += face

    def _compare_returns(self, original_id: int, places: dict[int, LotLeft]) -> None:
        """V11: not more than the original took, from the lots it took it of."""
        check = self._checks["V11"]
        check.looked_at += 1
        original = self._bundle.payload_of(original_id)
        if original is None:
            if self._bundle.start_size == 0:
                check.breach(f"something was given back of entry {original_id}, which is not in the log")
            else:
                self._foreign["V11"] += 1
            return
        taken = {place: LotLeft(face, principal) for _, place, face, principal, *_ in original.allocations}
        for place, back in places.items():
            took = taken.get(place)
            if took is None or back.face > took.face or back.principal > took.principal:
                check.breach(f"more was given back of entry {original_id} than it took", entry_id=original_id)
        if self._returned_amount[original_id] > original.amount_minor:
            check.breach(f"entry {original_id} was given back for more than its amount", entry_id=original_id)

    def _unknown(self, name: str, opened: Opened, sentence: str) -> None:
        """Something that the log does not hold: a breach, unless it may lie before the bundle."""
        if self._bundle.start_size:
            self._foreign[name] += 1
        else:
            self._checks[name].breach(sentence, opened.at, opened.entry.entry_id)


def face_of(entry: Payload) -> int:
    """What an entry's allocations add up to."""
    return sum([allocation[2] for allocation in entry.allocations])


def shortfall_of(entry: Payload) -> int:
    """What of an entry the wallet did not give: its allocation of no lot (SUMS section 3)."""
    return sum([allocation[2] for allocation in entry.allocations if allocation[0] == SHORTFALL_LOT])
