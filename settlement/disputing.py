"""Disputes carried out, each step an act exactly once: opened, decided by a maker and checkers, corrected or ended.

The correction is an ADJUSTMENT entry in the open window. Never changes a line.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Subject
from coalition.domain.disputes import Dispute, DisputeState, check_line, check_proposal, check_state
from coalition.domain.errors import Contention, Refused
from coalition.domain.journal import Transfer
from coalition.domain.reasons import Reason
from coalition.storage import approvals
from coalition.storage import disputes as store
from coalition.storage.acts import Acts, Apply
from coalition.storage.connect import Connection
from coalition.storage.cursors import available
from coalition.storage.lease import Lease
from coalition.storage.settlement import now

UNSETTLED = (DisputeState.OPEN, DisputeState.PROPOSED)


class Disputes:
    """Callable from any thread: each act leases a connection for itself. `within`: the caller's own codes, or None."""

    def __init__(self, lease: Lease, acts: Acts, business_date: Callable[[datetime], date]) -> None:
        self._lease = lease
        self._acts = acts
        self._business_date = business_date

    def open(
        self,
        act: Act,
        entry_id: int,
        complainant: str,
        against: str,
        amount_minor: int,
        evidence: str,
        evidence_sha256: bytes,
    ) -> ActAnswer:
        """Complain about a line. Its id is the act's request_id.

        Refused: PARTICIPANT_UNKNOWN, DISPUTE_EXCEEDS_LINE, DISPUTE_TOO_LATE, DISPUTE_EXISTS.
        """

        def apply(connection: Connection) -> dict[str, JSON]:
            numbers = store.participant_ids(connection)
            if against not in numbers or against == complainant:
                raise Refused(Reason.PARTICIPANT_UNKNOWN, "against", {"participant": against})
            ours, theirs = numbers[complainant], numbers[against]
            time = now(connection)
            line = store.line(connection, entry_id, ours, theirs)
            check_line(line, amount_minor, self._business_date(time))
            if store.has_unsettled(connection, entry_id, ours, theirs):
                raise Refused(Reason.DISPUTE_EXISTS, "entry_id")
            dispute = Dispute(
                act.request_id,
                0,
                entry_id,
                line.calendar if line else "",
                complainant,
                against,
                amount_minor,
                evidence,
                evidence_sha256,
                act.actor,
                time,
                DisputeState.OPEN,
            )
            store.add(connection, dispute, ours, theirs)
            return {"dispute": str(act.request_id), "entry": entry_id, "complainant": complainant, "against": against}

        return self._perform(act, apply)

    def withdraw(self, act: Act, dispute_id: UUID, within: Collection[str] | None) -> ActAnswer:
        """The complainant complains no more. Refused: DISPUTE_UNKNOWN, DISPUTE_STATE_CONFLICT."""

        def apply(connection: Connection) -> dict[str, JSON]:
            check_state(store.lock(connection, dispute_id, within), *UNSETTLED)
            approvals.lapse(connection, Subject.ADJUSTMENT, str(dispute_id))
            store.end(connection, dispute_id, DisputeState.WITHDRAWN)
            return {"dispute": str(dispute_id), "state": DisputeState.WITHDRAWN.value}

        return self._perform(act, apply)

    def propose(self, act: Act, dispute_id: UUID, awarded_minor: int, note: str) -> ActAnswer:
        """Ask for the approval of a decision: so much is awarded, 0 rejects. Another proposal takes its place.

        Refused: DISPUTE_UNKNOWN, DISPUTE_STATE_CONFLICT, APPROVER_NOT_ANOTHER, DISPUTE_EXCEEDS_LINE.
        """

        def apply(connection: Connection) -> dict[str, JSON]:
            dispute = check_state(store.lock(connection, dispute_id, None), *UNSETTLED)
            check_proposal(dispute, act.actor, awarded_minor)
            store.propose(connection, dispute_id, awarded_minor, note, act.actor)
            proposed = replace(dispute, awarded_minor=awarded_minor, note=note)
            approval_id = approvals.ask(
                connection,
                Subject.ADJUSTMENT,
                str(dispute_id),
                content_hash=proposed.content_hash,
                amount_minor=awarded_minor,
                maker=act.actor,
                time=now(connection),
            )
            return {"dispute": str(dispute_id), "awarded_minor": awarded_minor, "approval": approval_id}

        return self._perform(act, apply)

    def settle(self, act: Act, dispute_id: UUID) -> ActAnswer:
        """Carry out what was approved: the other owes the complainant what was awarded, in the open window.

        `act` is of kind ADJUSTMENT. Refused: DISPUTE_UNKNOWN, DISPUTE_STATE_CONFLICT, APPROVAL_MISSING. Contention
        while the window is being closed.
        """
        transfers: list[Transfer] = []

        def apply(connection: Connection) -> dict[str, JSON]:
            dispute = check_state(store.lock(connection, dispute_id, None), DisputeState.PROPOSED)
            if not approvals.approved(connection, Subject.ADJUSTMENT, str(dispute_id), dispute.content_hash):
                raise Refused(Reason.APPROVAL_MISSING, "dispute_id")
            awarded = dispute.awarded_minor or 0
            transfers[:] = self._correction(connection, dispute, awarded) if awarded else []
            state = DisputeState.UPHELD if awarded else DisputeState.REJECTED
            store.end(connection, dispute_id, state, act.request_id)
            return {
                "dispute": str(dispute_id),
                "entry": dispute.entry_id,
                "state": state.value,
                "debtor": dispute.against,
                "creditor": dispute.complainant,
                "awarded_minor": awarded,
            }

        with available(), self._lease() as connection:
            return self._acts.perform(connection, act, apply, transfers=lambda: transfers)

    def page(self, after: int, limit: int, state: DisputeState | None, within: Collection[str] | None) -> list[Dispute]:
        """Disputes in the order they were opened."""
        with available(), self._lease() as connection:
            return store.page(connection, after, limit, state, within)

    def _correction(self, connection: Connection, dispute: Dispute, awarded: int) -> list[Transfer]:
        numbers = store.participant_ids(connection)
        window_id = store.share_open_window(connection, dispute.calendar)
        if window_id is None:
            raise Contention(f"calendar {dispute.calendar} has no open window now; send it again")
        debtor, creditor = (clearing_account(numbers[code]) for code in (dispute.against, dispute.complainant))
        return [Transfer(debtor, creditor, awarded, TransferCode.ADJUSTMENT, window_id)]

    def _perform(self, act: Act, apply: Apply) -> ActAnswer:
        with available(), self._lease() as connection:
            return self._acts.perform(connection, act, apply)
