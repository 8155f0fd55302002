"""Orders about runs and approvals over the wire, each exactly once by its request_id.

What the commands do by themselves is done here as the answer to an order: an order that is sent again gets its first
answer, also when that was a decline. Decides nothing about money.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Final

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Decision, Office
from coalition.domain.errors import CoalitionError, Contention, LedgerBroken, Refused
from coalition.domain.journal import Notary
from coalition.domain.reasons import Reason
from coalition.domain.settlement_runs import RunPolicy
from coalition.storage import runs as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.cursors import available
from coalition.storage.lease import Lease
from settlement import approving, confirming, exporting, run_ends, runs, writing_off
from settlement.bank_files import read
from settlement.errors import AmountWrong, BooksDiffer, ChangedMeanwhile, NothingToDo, PartyUnknown, SettlementError
from settlement.instructions import makers, read_content
from settlement.orders import refusing
from settlement.runs import Wish

MISMATCHES_TOLD: Final = 10  # of a result, in a refusal; the inbox and the job's command tell more


class RunOrders:
    """Callable from any thread: each order leases a connection for itself, as role coalition_settlement."""

    def __init__(self, lease: Lease, acts: Acts, notary: Notary) -> None:
        self._lease = lease
        self._acts = acts
        self._notary = notary

    def prepare(self, act: Act, calendar: str | None, policy: RunPolicy, execution_date: date | None) -> ActAnswer:
        """Prepare the next run. Raises Refused(RUN_STATE_CONFLICT); BooksDiffer, never stored."""
        wish = Wish(calendar, policy, execution_date)

        def order(connection: Connection) -> ActAnswer:
            amounts = runs.verified_due(connection)

            def apply(connection: Connection) -> dict[str, JSON]:
                try:
                    return runs.prepare_in_transaction(connection, wish, amounts, act.actor)
                except SettlementError as error:
                    raise refusal(connection, None, error) from error

            return self._acts.perform(connection, act, apply)

        return self._once(act, order)

    def abort(self, act: Act, run_id: int, *, rest: bool) -> ActAnswer:
        """Abort a run, or what of it was not handed out. Raises Refused(RUN_UNKNOWN, RUN_STATE_CONFLICT)."""

        def order(connection: Connection) -> ActAnswer:
            undo = run_ends.withhold if rest else run_ends.abort
            try:
                undo(connection, run_id, notary=self._notary, order=act)
            except SettlementError as error:
                return self._acts.perform(connection, act, refusing(refusal(connection, run_id, error)))
            return self._first_answer(connection, act)

        return self._once(act, order)

    def export(self, act: Act, run_id: int) -> tuple[ActAnswer, dict[str, bytes]]:
        """The payment files that may be handed out by now. Raises Refused(RUN_UNKNOWN, RUN_STATE_CONFLICT).

        Sent again, the order gets the files of its first answer: they are made anew, of the same content.
        """

        def order(connection: Connection) -> ActAnswer:
            try:
                exporting.export(connection, self._acts, run_id, order=act)
            except SettlementError as error:
                return self._acts.perform(connection, act, refusing(refusal(connection, run_id, error)))
            return self._first_answer(connection, act)

        answer = self._once(act, order)
        with available(), self._lease() as connection:
            content = read_content(store.run_content(connection, run_id))
        names = answer.answer["handed_out"]
        handed_out = set(names) if isinstance(names, list) else set()
        return answer, {name: make(content) for name, (_, make) in makers().items() if name in handed_out}

    def import_result(self, act: Act, file: bytes) -> ActAnswer:
        """Post a bank's result. Raises Refused: FIELD_INVALID, BANK_RESULT_MISMATCH, BANK_RESULT_KNOWN."""

        def order(connection: Connection) -> ActAnswer:
            try:
                read(file)
            except SettlementError as error:
                raise Refused(Reason.FIELD_INVALID, "file", {"expected": str(error)}) from error
            try:
                confirming.confirm(connection, file, notary=self._notary, actor=act.actor, order=act)
            except SettlementError as error:
                return self._acts.perform(connection, act, refusing(result_refusal(error)))
            return self._first_answer(connection, act)

        return self._once(act, order)

    def decide(self, act: Act, approval_id: int, content_hash: bytes, decision: Decision) -> ActAnswer:
        """The next step of an approval, as domain/approvals.py allows it."""
        return self._once(
            act,
            lambda connection: approving.decide(connection, self._acts, act, approval_id, content_hash, decision),
        )

    def set_offices(self, act: Act, approver: str, offices: list[Office]) -> ActAnswer:
        """Who holds which office from now on."""
        return self._once(act, lambda connection: approving.set_offices(connection, self._acts, act, approver, offices))

    def propose_write_off(self, act: Act, participant: str, amount_minor: int) -> ActAnswer:
        """Ask for the approval; the answer holds its id. Raises Refused: see `write_off_refusal`."""

        def order(connection: Connection) -> ActAnswer:
            try:
                return writing_off.ask(connection, self._acts, act, participant, amount_minor)
            except SettlementError as error:
                return self._acts.perform(connection, act, refusing(write_off_refusal(connection, error)))

        return self._once(act, order)

    def write_off(self, act: Act, participant: str, amount_minor: int) -> ActAnswer:
        """Carry it out as the answer to the order. Raises Refused: the same, and APPROVAL_MISSING."""

        def order(connection: Connection) -> ActAnswer:
            try:
                writing_off.carry_out(connection, act, participant, amount_minor, self._notary)
            except SettlementError as error:
                return self._acts.perform(connection, act, refusing(write_off_refusal(connection, error)))
            except Refused as refused:
                return self._acts.perform(connection, act, refusing(refused))
            return self._first_answer(connection, act)

        return self._once(act, order)

    def _first_answer(self, connection: Connection, act: Act) -> ActAnswer:
        """What was just written as the answer to an order."""
        answer = self._acts.told_before(connection, act)
        if answer is None:
            raise LedgerBroken(f"{act.kind.name} {act.request_id} was carried out, yet its entry is not there")
        return replace(answer, replayed=False)

    def _once(self, act: Act, order: Callable[[Connection], ActAnswer]) -> ActAnswer:
        with available(), self._lease() as connection:
            before = self._acts.told_before(connection, act)
            return order(connection) if before is None else before


def refusal(connection: Connection, run_id: int | None, error: SettlementError) -> CoalitionError:
    """Why an order cannot be carried out, in the words of the wire: a decline, or Contention where a retry may do."""
    if isinstance(error, BooksDiffer):
        return error
    if isinstance(error, ChangedMeanwhile):
        return Contention(str(error))
    run = None if run_id is None else store.read_run(connection, run_id)
    if run_id is not None and run is None:
        return Refused(Reason.RUN_UNKNOWN, "run_id", {"run_id": str(run_id)})
    facts = {"cause": str(error)} | ({"state": run.state, "run_id": str(run_id)} if run else {})
    return Refused(Reason.RUN_STATE_CONFLICT, "run_id" if run else None, facts)


def write_off_refusal(connection: Connection, error: SettlementError) -> CoalitionError:
    """Why nothing can be written off: PARTICIPANT_UNKNOWN, FIELD_INVALID for the amount, RUN_STATE_CONFLICT."""
    if isinstance(error, PartyUnknown):
        return Refused(Reason.PARTICIPANT_UNKNOWN, "participant", {"participant": error.code})
    if isinstance(error, AmountWrong | NothingToDo):
        return Refused(Reason.FIELD_INVALID, "amount_minor", {"expected": str(error)})
    return refusal(connection, None, error)


def result_refusal(error: SettlementError) -> CoalitionError:
    """Why a bank's result is not taken in, in the words of the wire."""
    if isinstance(error, BooksDiffer):
        return Refused(
            Reason.BANK_RESULT_MISMATCH, "file", {"mismatches": "\n".join(error.differences[:MISMATCHES_TOLD])}
        )
    if isinstance(error, NothingToDo):
        return Refused(Reason.BANK_RESULT_KNOWN, "file")
    return Refused(Reason.FIELD_INVALID, "file", {"expected": str(error)})
