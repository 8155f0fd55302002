"""Preparing a settlement run over netted windows: oldest window first, one run at a time.

It fixes all that will be approved and paid, as one content with one hash, and asks for its approval; it moves nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import uuid5
from zoneinfo import ZoneInfo

from coalition.domain.acts import JSON, Act, ActAnswer, body_hash
from coalition.domain.approvals import Subject
from coalition.domain.default import held_back
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
from coalition.storage.defaults import all_losses
from coalition.storage.positions import Party
from coalition.storage.runs import BankAccount
from coalition.storage.settlement_entries import adopt_nettings, due, hold_dues, journal_balances
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
    hold_dues(connection)
    check_free(connection)
    windows = runs.windows_to_settle(connection, wish.calendar)
    check_none_older(connection, windows)
    if due(connection) != amounts:
        raise ChangedMeanwhile("what is due changed while it was being checked: run it again")
    known, parties = store.scheme(connection), folded.parties(connection)
    held = held_back(amounts, all_losses(connection))
    plan = planned(windows, amounts, parties, known.operator_id, wish.policy, held)
    accounts = runs.bank_accounts(connection)
    check_accounts(plan, parties, accounts, known.operator_id)
    time, run_id = store.now(connection), runs.next_run_id(connection)
    content = written(known, run_id, time, wish, plan, windows, parties, accounts)
    run = run_of(run_id, time, wish, plan, content, maker)
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
        content_hash=run.content_hash,
        amount_minor=max(plan.collected_minor, plan.paid_minor),
        maker=maker,
        time=time,
        summary=summary(run, windows, plan) + told_held(held, parties) + changed_accounts(connection, content),
    )
    return {
        "run_id": run_id,
        "windows": [[window.calendar, window.label] for window in windows],
        "collected_minor": plan.collected_minor,
        "paid_minor": plan.paid_minor,
        "advance_minor": plan.advance_minor,
        "content_hash": run.content_hash.hex(),
        "approval_id": approval_id,
        "parties": [[each.participant_id, each.due_minor, each.instructed_minor] for each in plan.parties],
    }


def planned(
    windows: list[store.Window],
    amounts: Mapping[int, int],
    parties: list[Party],
    operator_id: int,
    policy: RunPolicy,
    held: Mapping[int, int],
) -> RunPlan:
    """What is instructed of what is due; every participant is listed. NothingToDo, NeedsHuman where nothing can be."""
    if not windows and not amounts:
        raise NothingToDo("no netted window waits to be settled and nothing is due", {"run_id": None})
    everybody = {party.participant_id: amounts.get(party.participant_id, 0) for party in parties}
    try:
        plan = plan_run(everybody, operator_id, policy, held)
    except AdvanceAboveLimit as error:
        raise NeedsHuman(str(error)) from error
    if not windows and not plan.collected_minor + plan.paid_minor:
        raise NothingToDo(
            "no netted window waits to be settled, and what is due is below the minimum or held back", {"run_id": None}
        )
    return plan


def written(
    known: store.Scheme,
    run_id: int,
    time: datetime,
    wish: Wish,
    plan: RunPlan,
    windows: list[store.Window],
    parties: list[Party],
    accounts: Mapping[int, BankAccount],
) -> bytes:
    """All of the run that is approved and paid, as one content."""
    today = time.astimezone(ZoneInfo(known.zone)).date()
    return content_of(
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


def run_of(run_id: int, time: datetime, wish: Wish, plan: RunPlan, content: bytes, maker: str) -> Run:
    """The run as it begins."""
    return Run(
        run_id=run_id,
        state="PREPARED",
        maker=maker,
        prepare_time=time,
        collected_minor=plan.collected_minor,
        paid_minor=plan.paid_minor,
        advance_minor=plan.advance_minor,
        advance_limit_minor=wish.policy.advance_limit_minor,
        advanced_minor=0,
        content_hash=content_hash(content),
    )


def told_held(held: Mapping[int, int], parties: list[Party]) -> str:
    """For approvers: of which defaulters what is due is not paid out."""
    codes = {party.participant_id: party.code for party in parties}
    named = ", ".join(f"{major(amount, grouped=True)} of {codes[each]}" for each, amount in sorted(held.items()))
    return f"; held back for those who bear its default: {named}" if named else ""


def check_free(connection: Connection) -> None:
    """NothingToDo while a run is under way."""
    under_way = runs.run_under_way(connection)
    if under_way is not None:
        raise NothingToDo(
            f"run {under_way.run_id} is {under_way.state}: it is finished or aborted before the next is prepared",
            {"run_id": under_way.run_id, "state": under_way.state},
        )


def check_none_older(connection: Connection, windows: list[store.Window]) -> None:
    """NeedsHuman if a closed window is older than one to be settled: the oldest is paid first (SUMS section 4)."""
    newest = {window.calendar: window.window_id for window in windows}
    for other in store.windows(connection):
        if other.state == "CLOSED" and other.window_id < newest.get(other.calendar, 0):
            raise NeedsHuman(f"window {other.label} of calendar {other.calendar} is older and not netted: net it first")


def verified_due(connection: Connection) -> dict[int, int]:
    """What is due of everybody, if the journal says the same and all of it adds up with the bank; else BooksDiffer."""
    adopt_nettings(connection)
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


def changed_accounts(connection: Connection, content: bytes) -> str:
    """A warning for approvers: whose bank account is not what it was in the run before.

    A changed account is how payments are stolen: whoever approves has called the merchant first.
    """
    before = next(
        (run for run in runs.list_runs(connection, None, 2) if run.run_id < read_content(content).run_id), None
    )
    if before is None:
        return ""
    known = {party.code: party.account for party in read_content(runs.run_content(connection, before.run_id)).parties}
    changed = [
        party.code
        for party in read_content(content).parties
        if party.account and known.get(party.code) and known[party.code] != party.account
    ]
    return f"; bank accounts changed since run {before.run_id}: {', '.join(changed)}" if changed else ""
