"""How a run ends without being paid: aborted before anything was handed out, or its rest withheld.

Aborting takes the netting back, so that the windows may be netted anew; withholding lets what nobody was handed join
the next run. Neither undoes what the bank may have done.
"""

from uuid import uuid5

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.approvals import Subject
from coalition.domain.errors import LedgerBroken
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import Run
from coalition.storage import approvals, runs
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.positions import Position
from coalition.storage.settlement_entries import Draft, post_entries
from settlement.errors import NeedsHuman, NothingToDo


def abort(
    connection: Connection, run_id: int, *, notary: Notary, maker: str = store.ACTOR, order: Act | None = None
) -> list[str]:
    """Take a run back that nothing was handed out of; the windows it held, by calendar and label.

    Reverses the netting of each: afterwards its claims stand on CLEARING as before, its positions are gone, its state
    is CLOSED. Answers `order` if there is one. Raises NothingToDo if it is aborted, NeedsHuman if it is too late.
    """
    known = store.scheme(connection)
    with connection.transaction():
        # The approval before the run, as a decision on it locks them.
        approvals.lapse(connection, Subject.RUN, str(run_id))
        run = runs.lock_run(connection, run_id)
        check_abortable(run, run_id)
        held = [store.lock_window(connection, each.window_id) for each in runs.run_windows(connection, run_id)]
        body: dict[str, JSON] = {"run_id": run_id, "windows": [[window.calendar, window.label] for window in held]}
        own_id = uuid5(known.deployment_id, f"abort/{run_id}")
        act = order or Act(Kind.RUN_ABORTED, known.operator_id, own_id, body_hash(Kind.RUN_ABORTED, body), maker)
        reversals = [reversal(connection, window, known, run_id, act.actor) for window in held]
        runs.let_windows_go(connection, run_id)
        runs.set_state(connection, run_id, "ABORTED")
        post_entries(
            connection, [Draft(act, body), *reversals], lane_count=known.lane_count, zone=known.zone, notary=notary
        )
    return [f"{window.calendar}/{window.label}" for window in held]


def withhold(
    connection: Connection, run_id: int, *, notary: Notary, maker: str = store.ACTOR, order: Act | None = None
) -> list[str]:
    """End a run whose payments wait for money that does not come; the codes of those whose payments are withheld.

    Only once the bank has told of every collection, and only payments that nobody was handed: they join the next run,
    whatever became of the debtor by then. Answers `order` if there is one. Raises NothingToDo if nothing is withheld
    because nothing waits, NeedsHuman if it is not the time.
    """
    known = store.scheme(connection)
    with connection.transaction():
        run = runs.lock_run(connection, run_id)
        if run is None:
            raise NeedsHuman(f"there is no run {run_id}: see `python -m settlement status`")
        waiting = [each for each in runs.run_parties(connection, run_id) if each.state == "WAITING"]
        if run.state == "DONE" or (run.state == "SETTLING" and not waiting):
            raise NothingToDo(f"run {run_id} waits for nothing", {"run_id": run_id, "state": run.state})
        handed_out = runs.instructions(connection, {each.instruction_id or "" for each in waiting})
        if run.state != "SETTLING" or handed_out:
            raise NeedsHuman(
                f"run {run_id} is {run.state} and {len(handed_out)} instructions are with the bank: what may still be "
                "paid cannot be withheld"
            )
        body: dict[str, JSON] = {"run_id": run_id, "windows": [], "withheld": [each.participant_id for each in waiting]}
        own_id = uuid5(known.deployment_id, f"withhold/{run_id}")
        act = order or Act(Kind.RUN_ABORTED, known.operator_id, own_id, body_hash(Kind.RUN_ABORTED, body), maker)
        runs.withhold(connection, run_id)
        runs.finish_if_told(connection, run_id)
        post_entries(connection, [Draft(act, body)], lane_count=known.lane_count, zone=known.zone, notary=notary)
    return [each.code for each in waiting]


def check_abortable(run: Run | None, run_id: int) -> None:
    """Once instructions are out the bank may pay them at any moment: only a run whose files nobody has is aborted."""
    if run is None:
        raise NeedsHuman(f"there is no run {run_id}: see `python -m settlement status`")
    if run.state == "ABORTED":
        raise NothingToDo(f"run {run_id} is already ABORTED", {"run_id": run_id, "state": run.state})
    if run.state not in {"PREPARED", "APPROVED"}:
        raise NeedsHuman(
            f"run {run_id} is {run.state}: its instructions are out and may be paid; what the bank refuses joins the "
            "next run by itself"
        )


def reversal(connection: Connection, window: store.Window, known: store.Scheme, run_id: int, actor: str) -> Draft:
    """The mirrored legs of a window's netting."""
    if window.netting_entry_id is None:
        raise LedgerBroken(f"window {window.label} is {window.state} and was never netted")
    positions = store.net_positions(connection, window.window_id)
    mirrored = [Position(each.participant_id, each.unit, each.sent_minor, each.received_minor) for each in positions]
    body: dict[str, JSON] = {
        "calendar": window.calendar,
        "label": window.label,
        "netting_entry_id": window.netting_entry_id,
        "run_id": run_id,
    }
    own_id = uuid5(known.deployment_id, f"netting reversal/{window.window_id}/{window.netting_entry_id}")
    return Draft(
        Act(Kind.NETTING_REVERSAL, known.operator_id, own_id, body_hash(Kind.NETTING_REVERSAL, body), actor),
        body,
        store.netting_transfers(mirrored, window.window_id),
        sum(max(each.net_minor, 0) for each in positions),
        window.netting_entry_id,
    )
