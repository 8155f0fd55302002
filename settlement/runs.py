"""Settlement runs: prepare one over netted windows, abort one before anything of it was handed out.

Preparing fixes all that will be approved and paid, as one content with one hash, and asks for its approval; it moves
nothing. Aborting takes the netting back, so the windows may be netted anew. Oldest window first, one run at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import uuid5
from zoneinfo import ZoneInfo

from coalition.domain.acts import JSON, Act, ActAnswer, body_hash
from coalition.domain.approvals import Subject
from coalition.domain.errors import LedgerBroken
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import (
    AdvanceAboveLimit,
    Run,
    RunPlan,
    RunPolicy,
    content_hash,
    content_of,
    plan_run,
)
from coalition.storage import approvals, runs
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.positions import Party, Position
from coalition.storage.runs import BankAccount
from coalition.storage.settlement_entries import Draft, due, journal_balances, post_entries
from settlement.errors import BooksDiffer, ChangedMeanwhile, NeedsHuman, NothingToDo
from settlement.instructions import read_content
from settlement.multilateral import major

DAYS_TO_EXECUTION: Final = 1  # a bank wants its orders the day before; name another day with --execution-date
MISSING_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """What a run is prepared for. `calendar` None: every calendar. Without a date the day after the business date."""

    calendar: str | None
    policy: RunPolicy
    execution_date: date | None = None

    def body(self) -> dict[str, JSON]:
        return {
            "advance_limit_minor": self.policy.advance_limit_minor,
            "calendar": self.calendar,
            "execution_date": self.execution_date.isoformat() if self.execution_date else None,
            "minimum_minor": self.policy.minimum_minor,
        }


def prepare(connection: Connection, acts: Acts, wish: Wish) -> ActAnswer:
    """Prepare the next run as the job of the month. Needs an autocommit connection.

    Raises NothingToDo if no netted window waits and nothing is due, or a run is under way; NeedsHuman if bank accounts
    are missing, an older window is not netted, or the operator would have to advance more than its limit; BooksDiffer
    if what is due is not what the journal says.
    """
    check_free(connection)
    known, amounts = store.scheme(connection), verified_due(connection)
    run_id = runs.next_run_id(connection)
    own_id = uuid5(known.deployment_id, f"run/{run_id}")
    act = Act(Kind.RUN_PREPARED, known.operator_id, own_id, body_hash(Kind.RUN_PREPARED, wish.body()), store.ACTOR)
    answer = acts.perform(
        connection, act, lambda connection: prepare_in_transaction(connection, wish, amounts, store.ACTOR)
    )
    if answer.replayed:
        raise NothingToDo(f"run {run_id} was prepared by another meanwhile", {"run_id": run_id})
    return answer


def prepare_in_transaction(
    connection: Connection, wish: Wish, amounts: Mapping[int, int], maker: str
) -> dict[str, JSON]:
    """The same within the transaction of its act. `amounts` is what was due when it was held against the journal.

    That is done before: it reads the whole journal, and while the windows' rows are held here no window can close.
    """
    check_free(connection)
    windows = runs.windows_to_settle(connection, wish.calendar)
    check_none_older(connection, windows)
    if due(connection) != amounts:
        raise ChangedMeanwhile("what is due changed while it was being checked: run it again")
    known = store.scheme(connection)
    if not windows and not amounts:
        raise NothingToDo("no netted window waits to be settled and nothing is due", {"run_id": None})
    try:
        plan = plan_run(with_everybody(amounts, connection), known.operator_id, wish.policy)
    except AdvanceAboveLimit as error:
        raise NeedsHuman(str(error)) from error
    if not windows and not plan.collected_minor + plan.paid_minor:
        raise NothingToDo(
            "no netted window waits to be settled, and what is due is below the minimum", {"run_id": None}
        )
    time, run_id = store.now(connection), runs.next_run_id(connection)
    today = time.astimezone(ZoneInfo(known.zone)).date()
    accounts, parties = runs.bank_accounts(connection), folded.parties(connection)
    check_accounts(plan, parties, accounts, known.operator_id)
    content = content_of(
        deployment=str(known.deployment_id),
        run_id=run_id,
        currency_code=known.currency_code,
        prepare_time=time,
        execution_date=wish.execution_date or today + timedelta(days=DAYS_TO_EXECUTION),
        policy=wish.policy,
        plan=plan,
        windows=[(window.calendar, window.label) for window in windows],
        parties={party.participant_id: party_facts(party, accounts.get(party.participant_id)) for party in parties},
        operator={"name": known.display_name, **account_facts(accounts.get(known.operator_id))},
    )
    digest = content_hash(content)
    run = Run(
        run_id=run_id,
        state="PREPARED",
        maker=maker,
        prepare_time=time,
        collected_minor=plan.collected_minor,
        paid_minor=plan.paid_minor,
        advance_minor=plan.advance_minor,
        advance_limit_minor=wish.policy.advance_limit_minor,
        advanced_minor=0,
        content_hash=digest,
    )
    runs.insert_run(
        connection,
        run,
        plan,
        content=content,
        window_ids=[window.window_id for window in windows],
        instruction_ids=[party.instruction_id for party in read_content(content).parties],
    )
    approval_id = approvals.ask(
        connection,
        Subject.RUN,
        str(run_id),
        content_hash=digest,
        amount_minor=max(plan.collected_minor, plan.paid_minor),
        maker=maker,
        time=time,
        summary=summary(run, windows, plan),
    )
    return {
        "run_id": run_id,
        "windows": [[window.calendar, window.label] for window in windows],
        "collected_minor": plan.collected_minor,
        "paid_minor": plan.paid_minor,
        "advance_minor": plan.advance_minor,
        "content_hash": digest.hex(),
        "approval_id": approval_id,
        "parties": [[each.participant_id, each.due_minor, each.instructed_minor] for each in plan.parties],
    }


def abort(
    connection: Connection, run_id: int, *, notary: Notary, maker: str = store.ACTOR, order: Act | None = None
) -> list[str]:
    """Take a run back that nothing was handed out of; the windows it held, by calendar and label.

    Reverses the netting of each: afterwards its claims stand on CLEARING as before, its positions are gone, its state
    is CLOSED. Answers `order` if there is one. Raises NothingToDo if it is aborted, NeedsHuman if it is too late.
    """
    known = store.scheme(connection)
    with connection.transaction():
        run = runs.lock_run(connection, run_id)
        check_abortable(run, run_id)
        held = [store.lock_window(connection, each.window_id) for each in runs.run_windows(connection, run_id)]
        body: dict[str, JSON] = {"run_id": run_id, "windows": [[window.calendar, window.label] for window in held]}
        own_id = uuid5(known.deployment_id, f"abort/{run_id}")
        act = order or Act(Kind.RUN_ABORTED, known.operator_id, own_id, body_hash(Kind.RUN_ABORTED, body), maker)
        reversals = [reversal(connection, window, known, run_id, act.actor) for window in held]
        runs.let_windows_go(connection, run_id)
        runs.set_state(connection, run_id, "ABORTED")
        approvals.lapse(connection, Subject.RUN, str(run_id))
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


def check_free(connection: Connection) -> None:
    """NothingToDo while a run is under way."""
    under_way = runs.run_under_way(connection)
    if under_way is not None:
        raise NothingToDo(
            f"run {under_way.run_id} is {under_way.state}: it is finished or aborted before the next is prepared",
            {"run_id": under_way.run_id, "state": under_way.state},
        )


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


def check_none_older(connection: Connection, windows: list[store.Window]) -> None:
    """NeedsHuman if a closed window is older than one to be settled: the oldest is paid first (SUMS section 4)."""
    newest = {window.calendar: window.window_id for window in windows}
    for other in store.windows(connection):
        if other.state == "CLOSED" and other.window_id < newest.get(other.calendar, 0):
            raise NeedsHuman(f"window {other.label} of calendar {other.calendar} is older and not netted: net it first")


def verified_due(connection: Connection) -> dict[int, int]:
    """What is due of everybody, if the journal says the same and all of it adds up with the bank; else BooksDiffer."""
    lines, journal = due(connection), journal_balances(connection)
    differences = [
        f"participant {party}: {lines.get(party, 0)} in due_lines, {journal.due.get(party, 0)} in the journal"
        for party in sorted(lines.keys() | journal.due.keys())
        if lines.get(party, 0) != journal.due.get(party, 0)
    ]
    held = sum(journal.due.values()) + sum(journal.collateral.values())
    if journal.bank_minor != held:
        differences.append(f"BANK holds {journal.bank_minor}, DUE and COLLATERAL add up to {held}")
    if differences:
        raise BooksDiffer("what is due does not agree with the journal", differences)
    return lines


def with_everybody(amounts: Mapping[int, int], connection: Connection) -> dict[int, int]:
    """Also those of whom nothing is due: every participant is listed in a run."""
    return {party.participant_id: amounts.get(party.participant_id, 0) for party in folded.parties(connection)}


def check_accounts(plan: RunPlan, parties: list[Party], accounts: Mapping[int, BankAccount], operator_id: int) -> None:
    """NeedsHuman, naming them, if somebody is to be paid or to pay whose bank account is not known."""
    wanted = {party.participant_id for party in plan.parties if party.instructed_minor}
    wanted |= {operator_id} if wanted else set()
    missing = [party.code for party in parties if party.participant_id in wanted - accounts.keys()]
    if missing:
        more = f" and {len(missing) - MISSING_SHOWN} more" if len(missing) > MISSING_SHOWN else ""
        raise NeedsHuman(
            f"no bank account is known of {', '.join(missing[:MISSING_SHOWN])}{more}: "
            "set them with `python -m settlement accounts FILE`"
        )


def party_facts(party: Party, account: BankAccount | None) -> dict[str, JSON]:
    """What a run keeps of a participant, as it was when the run was prepared."""
    return {"code": party.code, "name": party.display_name, **account_facts(account)}


def account_facts(account: BankAccount | None) -> dict[str, JSON]:
    """A bank account as a run keeps it."""
    if account is None:
        return {"account": None}
    return {
        "account": account.account,
        "bank": account.bank,
        "holder": account.holder,
        "mandate_id": account.mandate_id,
        "mandate_date": account.mandate_date.isoformat() if account.mandate_date else None,
    }


def summary(run: Run, windows: list[store.Window], plan: RunPlan) -> str:
    """What an approver reads."""
    named = ", ".join(f"{window.calendar}/{window.label}" for window in windows) or "residues alone"
    return (
        f"settlement run {run.run_id} over {named}: collect {major(plan.collected_minor, grouped=True)}, "
        f"pay {major(plan.paid_minor, grouped=True)}, "
        f"{sum(1 for party in plan.parties if party.instructed_minor)} instructions"
    )
