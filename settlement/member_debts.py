"""What members owe for sales approved offline: paid at a counter, or given up by its bearer; each an act exactly once.

A payment is a claim of the open window, from who took it to who bears the debt. Giving up moves nothing: its bearer has
borne it since the sale. Never touches a wallet.
"""

from collections.abc import Collection

from coalition.domain.acts import JSON, Act, ActAnswer
from coalition.domain.approvals import Subject, content_hash
from coalition.domain.errors import Contention, Refused
from coalition.domain.journal import Transfer
from coalition.domain.member_debts import MemberDebt, check_repayment, check_write_off, repayment
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.storage import approvals
from coalition.storage import member_debts as store
from coalition.storage.acts import Acts, Apply
from coalition.storage.connect import Connection
from coalition.storage.cursors import available
from coalition.storage.disputes import share_open_window
from coalition.storage.lease import Lease
from coalition.storage.programme import load
from coalition.storage.settlement import now
from settlement.multilateral import major


class MemberDebts:
    """Callable from any thread: each call leases a connection for itself. `within`: the caller's own codes, or None."""

    def __init__(self, lease: Lease, acts: Acts) -> None:
        self._lease = lease
        self._acts = acts

    def repay(
        self, act: Act, entry_id: int, amount_minor: int, participant: str, reference: str, *, back: bool
    ) -> ActAnswer:
        """Record what the participant took of the member, or gave `back`; the answer holds `owed_minor`.

        Refused: PARTICIPANT_UNKNOWN, see `check_repayment`. Contention while the window is being closed.
        """
        transfers: list[Transfer] = []

        def apply(connection: Connection) -> dict[str, JSON]:
            programme = load(connection)
            taker = programme.participant_by_code.get(participant)
            if taker is None:
                raise Refused(Reason.PARTICIPANT_UNKNOWN, "participant", {"participant": participant})
            found = held(connection, programme, entry_id)
            debt = check_repayment(found, amount_minor, taker.participant_id, back=back)
            transfers[:] = claimed(connection, debt, taker.participant_id, amount_minor)
            repaid = -amount_minor if back else amount_minor
            own = (entry_id, act.participant_id, act.request_id, now(connection))
            store.add_line(connection, *own, repaid_minor=repaid)
            return {
                "entry": entry_id,
                "participant_id": taker.participant_id,
                "bearer_id": debt.bearer_id,
                "repaid_minor": repaid,
                "owed_minor": debt.owed_minor if back else debt.owed_minor - amount_minor,
                "reference": reference,
            }

        with available(), self._lease() as connection:
            return self._acts.perform(connection, act, apply, transfers=lambda: transfers)

    def propose_write_off(
        self, act: Act, entry_id: int, amount_minor: int, within: Collection[str] | None
    ) -> ActAnswer:
        """Ask for the approval; the answer holds its id. Refused: see `check_write_off`, and where another bears it."""

        def apply(connection: Connection) -> dict[str, JSON]:
            debt, bearer = self._borne(connection, entry_id, amount_minor, within)
            content = agreed_on(debt, amount_minor)
            approval_id = approvals.ask(
                connection,
                Subject.WRITE_OFF,
                name_of(debt),
                content_hash=content_hash(content),
                amount_minor=amount_minor,
                maker=act.actor,
                time=now(connection),
                summary=f"write-off of {major(amount_minor, grouped=True)} of {major(debt.owed_minor, grouped=True)} "
                f"that a member owes for entry {entry_id}, borne by {bearer}",
            )
            return {**content, "approval": approval_id}

        return self._perform(act, apply)

    def write_off(self, act: Act, entry_id: int, amount_minor: int, within: Collection[str] | None) -> ActAnswer:
        """Give up what was approved; the answer holds `owed_minor`. Refused: the same, APPROVAL_MISSING."""

        def apply(connection: Connection) -> dict[str, JSON]:
            debt, _ = self._borne(connection, entry_id, amount_minor, within)
            content = agreed_on(debt, amount_minor)
            if not approvals.approved(connection, Subject.WRITE_OFF, name_of(debt), content_hash(content)):
                raise Refused(Reason.APPROVAL_MISSING, "entry_id")
            own = (entry_id, act.participant_id, act.request_id, now(connection))
            store.add_line(connection, *own, written_off_minor=amount_minor)
            return {**content, "owed_minor": debt.owed_minor - amount_minor}

        return self._perform(act, apply)

    def page(
        self, after: int, limit: int, bearer: str, within: Collection[str] | None, *, settled: bool
    ) -> list[MemberDebt]:
        """Debts behind entry `after`, oldest first; `within` those that one of these participants bears or sold.

        Refused: PARTICIPANT_UNKNOWN for a bearer that is nobody.
        """
        with available(), self._lease() as connection:
            programme = load(connection)
            numbers = {code: each.participant_id for code, each in programme.participant_by_code.items()}
            if bearer and bearer not in numbers:
                raise Refused(Reason.PARTICIPANT_UNKNOWN, "bearer", {"participant": bearer})
            own = None if within is None else {numbers[code] for code in within}
            return store.page(
                connection,
                programme,
                after,
                limit,
                bearer=numbers[bearer] if bearer else None,
                settled=settled,
                within=own,
            )

    @staticmethod
    def _borne(
        connection: Connection, entry_id: int, amount_minor: int, within: Collection[str] | None
    ) -> tuple[MemberDebt, str]:
        """The debt, if it is the caller's to give up, and the code of who bears it."""
        programme = load(connection)
        debt = held(connection, programme, entry_id)
        bearer = "" if debt is None else programme.participants[debt.bearer_id].code
        is_foreign = within is not None and bearer not in within
        return check_write_off(None if is_foreign else debt, amount_minor), bearer

    def _perform(self, act: Act, apply: Apply) -> ActAnswer:
        with available(), self._lease() as connection:
            return self._acts.perform(connection, act, apply)


def held(connection: Connection, programme: Programme, entry_id: int) -> MemberDebt | None:
    """The debt as it stands, held until the transaction ends; a refund at a till may lower it all the same."""
    store.hold(connection, entry_id)
    return store.debt_of(connection, programme, entry_id)


def claimed(connection: Connection, debt: MemberDebt, taker_id: int, amount_minor: int) -> list[Transfer]:
    """The claim of a payment, in the open window; none where who took it bears the debt."""
    if taker_id == debt.bearer_id:
        return []
    window_id = share_open_window(connection, debt.calendar)
    if window_id is None:
        raise Contention(f"calendar {debt.calendar} has no open window now; send it again")
    return repayment(debt, taker_id, amount_minor, window_id)


def name_of(debt: MemberDebt) -> str:
    """How the approval of a write-off is known."""
    return f"debt/{debt.entry_id}"


def agreed_on(debt: MemberDebt, amount_minor: int) -> dict[str, JSON]:
    """What approvers agree to: whatever changes what is owed meanwhile is asked for anew."""
    return {
        "entry": debt.entry_id,
        "bearer_id": debt.bearer_id,
        "written_off_minor": amount_minor,
        "of_minor": debt.owed_minor,
    }
