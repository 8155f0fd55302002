"""The terminal's contract as a single-threaded model: what each operation must be answered, one after the other.

Written from the protos, SUMS.md and the README alone; imports nothing of the house. Slow and plain on purpose: every
rule is said once. Where the contract leaves the choice between two reasons open, a verdict names both.
"""

from dataclasses import replace
from datetime import datetime
from math import floor
from typing import Any

from tests.contract.books import Done, Key, ModelBooks, Verdict, declined, is_same_day
from tests.contract.credentials import NOTHING_SHOWN, Shown
from tests.contract.scheme import TERMS, bearer_of
from tests.contract.wallets import Lot, Part, Wallet


class Model(ModelBooks):
    """Decides one operation after the other. Entry ids come from the service: they say the order."""

    def apply(
        self,
        participant: str,
        which: str,
        request: Any,
        entry_id: int,
        now: datetime,
        shown: Shown = NOTHING_SHOWN,
    ) -> Verdict:
        """Decide the operation after all that were applied before, and do it. `now` is when the journal took it."""
        key = (participant, request.request_id)
        if key in self.killed:
            return declined("KILLED")
        if key in self.done:
            raise AssertionError(f"{which} {request.request_id} was decided twice")
        self._shown, self._now = shown, now
        self._pin_problem = self._try_pin(request) if shown.pin else declined()
        verdict, done = self._decide(participant, which, request, entry_id)
        if done is not None:
            done.entry_id = entry_id
        self.done[key] = self.entries[entry_id] = done
        return verdict

    def _decide(self, participant: str, which: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
        sale = (participant, request.sale_reference) if getattr(request, "sale_reference", "") else None
        takes = sale is not None and which in {"top_up", "purchase", "authorize", "upload"}
        if takes and sale in self.sales:
            return declined("SALE_REFERENCE_USED"), None
        verdict, done = getattr(self, f"_{which}")(participant, request, entry_id)
        if done is not None:
            if takes and sale is not None:
                self.sales[sale] = entry_id
                done.sale = sale
            if self._shown.phone and (device := self._card(request)[0].device) is not None:
                device.use(self._shown.counter)
        return verdict, done

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
        self._free(hold)

    def _top_up(self, participant: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
        problems: list[str] = []
        card, problem = self._usable(request)
        if problem:
            if problem.left is not None:  # a code that was wrong is that, whatever else is
                return problem, None
            problems += problem.reasons
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
        wallet = card.wallet
        assert wallet is not None
        rates = [rate for start, rate in terms.tiers if start <= paid]
        bonus = floor(paid * rates[-1]) if rates else 0
        if terms.limit_minor is not None and wallet.balance + paid + bonus > terms.limit_minor:
            return declined("BALANCE_ABOVE_LIMIT"), None
        ends = bonus > 0 and terms.bonus_months is not None  # where nothing was given, nothing ends
        lot = Lot(entry_id, terms.issuer, ends, paid + bonus, paid, paid + bonus, paid)
        wallet.lots.append(lot)
        done = Done("top_up", participant, wallet, paid, lot=lot)
        return self._accepted(done, "TOP_UP", paid, paid, bonus), done

    def _purchase(self, participant: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
        wallet, problem = self._payer(participant, request)
        if wallet is None:
            return problem, None
        done = Done("purchase", participant, wallet, request.amount_minor)
        self._count(wallet, request, entry_id)
        self._draw(done)
        principal = sum(part.principal for part in done.parts)
        return self._accepted(done, "PURCHASE", done.amount, principal, done.amount - principal), done

    def _upload(self, participant: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
        """The wallet gives what is there and taken here, if its card may pay; the rest somebody bears."""
        card, problem = self._card(request)
        if card.wallet is None:
            return declined(problem), None
        amount = request.amount_minor
        done = Done("upload", participant, card.wallet, amount)
        free = sum(lot.free for lot in card.wallet.lots)
        reason = problem or ("NOT_ACCEPTED_HERE" if free >= amount else "INSUFFICIENT_FUNDS")
        missing = amount if problem else self._draw(done)
        principal = sum(part.principal for part in done.parts)
        verdict = self._accepted(done, "UPLOAD", amount, principal, amount - missing - principal)
        if missing:
            done.parts.append(Part(None, missing, 0))
            done.bearer = bearer_of(participant, amount)
            self._owe(entry_id, done.bearer, participant, missing)
            verdict = replace(verdict, shortfall=missing, bearer=done.bearer, shortfall_reason=reason)
        return verdict, done

    def _refund(self, participant: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
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
        if original.which not in {"purchase", "capture", "upload"}:
            return declined("ORIGINAL_NOT_REFUNDABLE"), None
        if request.amount_minor > original.amount - original.returned:
            return declined("REFUND_EXCEEDS_ORIGINAL"), None
        done = Done("refund", participant, original.wallet, request.amount_minor)
        return self._given_back(done, "REFUND", original, request.amount_minor, entry_id), done

    def _return_top_up(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        """The whole lot, if nothing of it is spent or held; within days, which no test lives to see the end of."""
        by_entry = request.WhichOneof("original") == "original_entry_id"
        original, known = self._named(
            participant, request.original_entry_id if by_entry else None, request.original_request_id
        )
        if not known:
            return declined("ORIGINAL_UNKNOWN"), None
        if original is None:
            return declined("ORIGINAL_NOT_REFUNDABLE", "ORIGINAL_UNKNOWN"), None
        lot = original.lot
        if lot is None:
            return declined("ORIGINAL_NOT_REFUNDABLE", "ORIGINAL_OF_OTHER_PARTICIPANT"), None
        if original.participant != participant:
            return declined("ORIGINAL_OF_OTHER_PARTICIPANT"), None
        if lot.is_reversed:
            return declined("LOT_NOT_OPEN"), None
        if lot.kept or lot.face != lot.face0:
            return declined("LOT_TOUCHED"), None
        lot.is_reversed = True
        face, principal = self._take_reversed(lot)
        done = Done("return_top_up", participant, original.wallet, principal)
        return self._accepted(done, "TOP_UP_RETURN", principal, principal, face - principal), done

    def _authorize(self, participant: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
        wallet, problem = self._payer(participant, request)
        if wallet is None:
            return problem, None
        done = Done("authorize", participant, wallet, request.amount_minor, state="OPEN")
        self._count(wallet, request, entry_id)
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
        done.sale, done.taker = hold.sale, hold.entry_id
        principal = sum(part.principal for part in parts)
        return self._accepted(done, "CAPTURE", done.amount, principal, done.amount - principal), done

    def _void(self, participant: str, request: Any, _: int) -> tuple[Verdict, Done | None]:
        hold, problem = self._hold(participant, request)
        if hold is None:
            return problem, None
        self._release(hold, "VOIDED")
        self._free(hold)
        done = Done("void", participant, hold.wallet, hold.amount)
        return self._accepted(done, "VOID", hold.amount, 0, 0), done

    def _reverse(self, participant: str, request: Any, entry_id: int) -> tuple[Verdict, Done | None]:
        """Undone whole, or found nothing to undo; what cannot be undone is corrected by a new operation."""
        key = (participant, request.original_request_id)
        if key not in self.done:
            self.killed.add(key)
        original = self.done.get(key)
        done = Done("reverse", participant, original.wallet if original is not None else Wallet("nobody's"))
        nothing = self._accepted(done, "REVERSAL", 0, 0, 0), done
        if original is None:
            return nothing
        undone: tuple[Verdict, Done | None]
        match original.which:
            case "purchase" | "capture" | "upload":
                left = original.amount - original.returned
                undone = nothing
                if left:
                    undone = self._given_back(done, "REVERSAL", original, left, entry_id), done
            case "authorize" if original.state == "OPEN":
                self._release(original, "UNDONE")
                undone = self._accepted(done, "REVERSAL", original.amount, 0, 0), done
            case "authorize" if original.state == "CAPTURED":
                return declined("ORIGINAL_NOT_REVERSIBLE"), None
            case "authorize":
                undone = nothing
            case "top_up":
                assert original.lot is not None
                undone = nothing
                if not original.lot.is_reversed:
                    original.lot.is_reversed = True
                    face, principal = self._take_reversed(original.lot)
                    undone = self._accepted(done, "REVERSAL", principal, principal, face - principal), done
            case _:
                return declined("ORIGINAL_NOT_REVERSIBLE"), None
        self._free(original)
        spend = original.wallet.spends.get(original.entry_id)
        if spend is not None and is_same_day(spend.time, self._now):
            del original.wallet.spends[original.entry_id]
        return undone
