"""The terminal's contract as a single-threaded model: what each operation must be answered, one after the other.

Written from the protos, SUMS.md and the README alone; imports nothing of the house. Slow and plain on purpose: every
rule is said once. Where the contract leaves the choice between two reasons open, a verdict names both.
"""

from dataclasses import dataclass, field
from math import floor
from typing import Any

from tests.contract.scheme import TERMS
from tests.contract.wallets import Card, Lot, Part, Wallet

Key = tuple[str, str]
"""Of a request: the participant and its request_id."""


@dataclass(frozen=True)
class Verdict:
    """What the contract says of one operation; a number that is None is left open."""

    reasons: frozenset[str]
    kind: str = ""
    amount: int | None = None
    principal: int | None = None
    bonus: int | None = None
    balance: int | None = None
    here: int | None = None


@dataclass(eq=False)
class Done:
    """What an accepted operation did, as later ones need it. `parts` is what a spend took, `kept` what a hold keeps."""

    which: str
    participant: str
    wallet: Wallet
    amount: int = 0
    parts: list[Part] = field(default_factory=list)
    returned: int = 0
    lot: Lot | None = None
    kept: list[tuple[Lot, int]] = field(default_factory=list)
    state: str = ""  # of a hold: OPEN, CAPTURED, VOIDED, EXPIRED, UNDONE


def declined(*reasons: str) -> Verdict:
    """Declined for one of these reasons."""
    return Verdict(frozenset(reasons))


class Model:
    """Every wallet, and every operation that was decided. Entry ids come from the service: they say the order."""

    def __init__(self) -> None:
        self.cards: dict[str, Card] = {}
        self.done: dict[Key, Done | None] = {}  # None: declined
        self.entries: dict[int, Done | None] = {}
        self.killed: set[Key] = set()

    def apply(self, participant: str, which: str, request: Any, entry_id: int) -> Verdict:
        """Decide the operation after all that were applied before, and do it."""
        key = (participant, request.request_id)
        if key in self.killed:
            return declined("KILLED")
        if key in self.done:
            raise AssertionError(f"{which} {request.request_id} was decided twice")
        verdict, done = getattr(self, f"_{which}")(participant, request, entry_id)
        self.done[key] = self.entries[entry_id] = done
        return verdict  # type: ignore[no-any-return]

    def note_declined(self, key: Key, entry_id: int) -> None:
        """Of an operation that was declined for what nobody could know."""
        self.done[key] = self.entries[entry_id] = None

    def resolve(self, participant: str, request_id: str) -> None:
        """Who asks after a request that never came kills it."""
        if (participant, request_id) not in self.done:
            self.killed.add((participant, request_id))

    def expire(self, hold_entry_id: int) -> None:
        """The time of a hold is over."""
        hold = self.entries[hold_entry_id]
        if hold is None or hold.state != "OPEN":
            raise AssertionError(f"entry {hold_entry_id} is no open hold, so it cannot expire")
        self._release(hold, "EXPIRED")

    def _top_up(self, participant: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
        problems = []
        card, problem = self._card(request.card_number)
        if problem:
            problems.append(problem)
        terms = TERMS.get(request.issuer or participant)
        if terms is None:
            problems += ["TERMS_UNKNOWN", "TERMS_NOT_SOLD_HERE"]
        elif participant not in terms.sellers:
            problems.append("TERMS_NOT_SOLD_HERE")
        paid = request.amount_minor
        if terms is not None and paid < terms.minimum_minor:
            problems.append("TOP_UP_BELOW_MINIMUM")
        if problems:
            return declined(*problems), None
        assert terms is not None
        assert card is not None
        wallet = card.wallet
        assert wallet is not None
        rates = [rate for start, rate in terms.tiers if start <= paid]
        bonus = floor(paid * rates[-1]) if rates else 0
        if terms.limit_minor is not None and wallet.balance + paid + bonus > terms.limit_minor:
            return declined("BALANCE_ABOVE_LIMIT"), None
        lot = Lot(entry_id, terms.issuer, terms.bonus_months is not None, paid + bonus, paid, paid + bonus, paid)
        wallet.lots.append(lot)
        done = Done("top_up", participant, wallet, paid, lot=lot)
        return self._accepted(done, "TOP_UP", paid, paid, bonus), done

    def _purchase(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        wallet, problem = self._payer(participant, request)
        if wallet is None:
            return problem, None
        parts, left = [], request.amount_minor
        for lot in wallet.in_order(participant):
            take = min(left, lot.free)
            if take:
                parts.append(Part(lot, take, lot.spend(take)))
                left -= take
        done = Done("purchase", participant, wallet, request.amount_minor, parts)
        principal = sum(part.principal for part in parts)
        return self._accepted(done, "PURCHASE", done.amount, principal, done.amount - principal), done

    def _refund(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        by_entry = request.WhichOneof("original") == "original_entry_id"
        original, known = self._named(
            participant, request.original_entry_id if by_entry else None, request.original_request_id
        )
        if not known:
            return declined("ORIGINAL_UNKNOWN"), None
        if original is None:
            return declined("ORIGINAL_NOT_REFUNDABLE", "ORIGINAL_UNKNOWN"), None
        if original.participant != participant:
            return declined("ORIGINAL_OF_OTHER_PARTICIPANT"), None
        if original.which not in {"purchase", "capture"}:
            return declined("ORIGINAL_NOT_REFUNDABLE"), None
        if request.amount_minor > original.amount - original.returned:
            return declined("REFUND_EXCEEDS_ORIGINAL"), None
        done = Done("refund", participant, original.wallet, request.amount_minor)
        principal, bonus = self._give_back(original, request.amount_minor)
        return self._accepted(done, "REFUND", done.amount, principal, bonus), done

    def _authorize(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        wallet, problem = self._payer(participant, request)
        if wallet is None:
            return problem, None
        done = Done("authorize", participant, wallet, request.amount_minor, state="OPEN")
        left = request.amount_minor
        for lot in wallet.in_order(participant):
            keep = min(left, lot.free)
            if keep:
                done.kept.append((lot, keep))
                lot.kept += keep
                left -= keep
        return self._accepted(done, "HOLD", done.amount, 0, 0), done

    def _capture(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        hold, problem = self._hold(participant, request)
        if hold is None:
            return problem, None
        if request.amount_minor > hold.amount:
            return declined("CAPTURE_EXCEEDS_HOLD"), None
        parts, left = [], request.amount_minor
        for lot, keep in hold.kept:
            take = min(left, keep)
            if take:
                parts.append(Part(lot, take, lot.spend(take)))
                left -= take
            lot.kept -= take
        hold.kept = self._rest(hold, request.amount_minor)
        self._release(hold, "CAPTURED")
        done = Done("capture", participant, hold.wallet, request.amount_minor, parts)
        principal = sum(part.principal for part in parts)
        return self._accepted(done, "CAPTURE", done.amount, principal, done.amount - principal), done

    def _void(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        hold, problem = self._hold(participant, request)
        if hold is None:
            return problem, None
        self._release(hold, "VOIDED")
        done = Done("void", participant, hold.wallet, hold.amount)
        return self._accepted(done, "VOID", hold.amount, 0, 0), done

    def _reverse(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        """Undone whole, or found nothing to undo; what cannot be undone is corrected by a new operation."""
        key = (participant, request.original_request_id)
        if key not in self.done:
            self.killed.add(key)
        original = self.done.get(key)
        done = Done("reverse", participant, original.wallet if original is not None else Wallet("nobody's"))
        nothing = self._accepted(done, "REVERSAL", 0, 0, 0), done
        if original is None:
            return nothing
        match original.which:
            case "purchase" | "capture":
                left = original.amount - original.returned
                if not left:
                    return nothing
                principal, bonus = self._give_back(original, left)
                return self._accepted(done, "REVERSAL", left, principal, bonus), done
            case "authorize" if original.state == "OPEN":
                self._release(original, "UNDONE")
                return self._accepted(done, "REVERSAL", original.amount, 0, 0), done
            case "authorize" if original.state == "CAPTURED":
                return declined("ORIGINAL_NOT_REVERSIBLE"), None
            case "authorize":
                return nothing
            case "top_up":
                assert original.lot is not None
                if original.lot.is_reversed:
                    return nothing
                original.lot.is_reversed = True
                face, principal = self._take_reversed(original.lot)
                return self._accepted(done, "REVERSAL", None, principal, face - principal), done
        return declined("ORIGINAL_NOT_REVERSIBLE"), None

    def _card(self, number: str) -> tuple[Card | None, str]:
        card = self.cards.get(number)
        return card, "CARD_UNKNOWN" if card is None else card.problem

    def _payer(self, participant: str, request: Any) -> tuple[Wallet | None, Verdict]:
        """The wallet that can pay the amount here; None and why not."""
        card, problem = self._card(request.card_number)
        if problem:
            return None, declined(problem)
        assert card is not None
        wallet = card.wallet
        assert wallet is not None
        if request.amount_minor > sum(lot.free for lot in wallet.lots):
            return None, declined("INSUFFICIENT_FUNDS")
        if request.amount_minor > wallet.here(participant):
            return None, declined("NOT_ACCEPTED_HERE")
        return wallet, declined()

    def _named(self, participant: str, entry_id: int | None, request_id: str) -> tuple[Done | None, bool]:
        """The operation that another names, and whether it is known at all; a declined one did nothing."""
        if entry_id is not None:
            return self.entries.get(entry_id), entry_id in self.entries
        key = (participant, request_id)
        return self.done.get(key), key in self.done or key in self.killed

    def _hold(self, participant: str, request: Any) -> tuple[Done | None, Verdict]:
        by_entry = request.WhichOneof("hold") == "hold_entry_id"
        hold, _ = self._named(participant, request.hold_entry_id if by_entry else None, request.hold_request_id)
        if hold is None or hold.which != "authorize" or hold.participant != participant:
            return None, declined("HOLD_UNKNOWN")
        if hold.state != "OPEN":
            return None, declined("HOLD_RESOLVED")
        return hold, declined()

    def _give_back(self, original: Done, amount: int) -> tuple[int, int]:
        """To the lots it was paid from, the last first; what enters a reversed lot "is restored and taken again"."""
        original.returned += amount
        principal, left = 0, amount
        for part in reversed(original.parts):
            y = min(left, part.face - part.face_back)
            if y:
                p = part.give_back(y)
                principal += p
                left -= y
                if part.lot.is_reversed:
                    part.lot.face -= y
                    part.lot.principal -= p
        return principal, amount - principal

    def _rest(self, hold: Done, captured: int) -> list[tuple[Lot, int]]:
        """What a hold still keeps after so much of it, in its order, was spent."""
        rest = []
        for lot, keep in hold.kept:
            take = min(captured, keep)
            captured -= take
            if keep > take:
                rest.append((lot, keep - take))
        return rest

    def _release(self, hold: Done, state: str) -> None:
        """Nothing is kept any more; what a reversed top-up left behind for the hold is taken now."""
        hold.state = state
        for lot, keep in hold.kept:
            lot.kept -= keep
            if lot.is_reversed:
                self._take_reversed(lot)
        hold.kept = []

    def _take_reversed(self, lot: Lot) -> tuple[int, int]:
        """Take what a reversed lot has left, but what a hold keeps; face and principal."""
        face = lot.free
        return face, lot.spend(face) if face else 0

    def _accepted(self, done: Done, kind: str, amount: int | None, principal: int, bonus: int) -> Verdict:
        wallet = done.wallet
        reasons = frozenset({"ACCEPTED"})
        return Verdict(reasons, kind, amount, principal, bonus, wallet.balance, wallet.here(done.participant))
