"""A participant does not pay: its collateral, then the others bear it; what is recovered later goes back to them.

Declared and recovered while no run is under way, so that no instruction stands on what is due before. The shares are
computed from the windows that it did not pay, and are what is approved.
"""

from collections.abc import Sequence
from typing import Final
from uuid import uuid5

from coalition.domain.accounts import parties_of
from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.default import Default, cover_default, hand_on, unpaid_windows
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.domain.settlement_runs import payment
from coalition.storage import defaults, runs
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.defaults import Line
from coalition.storage.positions import Party
from coalition.storage.settlement_entries import Draft, hold_dues, journal_balances, post_entries
from settlement.collateral import check_line, check_not_posted, party_of
from settlement.confirming import bank_line_id
from settlement.errors import BooksDiffer, NeedsHuman, NothingToDo
from settlement.multilateral import major
from settlement.proposing import Proposal, Result, agreed
from settlement.runs import verified_due

SHARES_SHOWN: Final = 5


def owed_by(connection: Connection, code: str) -> tuple[Party, list[Line], int]:
    """A participant, how it came to its due, and what it owes; the books are held until the transaction ends.

    Raises NothingToDo if it owes nothing, NeedsHuman for who cannot owe, BooksDiffer as `verified_due`.
    """
    hold_dues(connection)
    party = party_of(connection, code)
    verified_due(connection)
    lines = defaults.lines_of(connection, party.participant_id)
    owed = -sum(line.amount_minor for line in lines)
    if owed <= 0:
        raise NothingToDo(f"{code} owes nothing that is due", {"participant": code, "owed_minor": 0})
    return party, lines, owed


def declare(connection: Connection, code: str, *, notary: Notary, maker: str = store.ACTOR) -> Result:
    """Ask for the approval of a default with its shares, or carry out what was approved. Needs autocommit.

    Carried out, the participant is SUSPENDED and owes nothing. Raises NothingToDo if it owes nothing or the approval
    waits already, NeedsHuman while a run is under way, BooksDiffer if what is due is not what the journal or the
    claims say.
    """
    known = store.scheme(connection)
    with connection.transaction():
        party, lines, owed = owed_by(connection, code)
        check_no_run(connection, code)
        default, unpaid = computed(connection, party, lines, known)
        body: dict[str, JSON] = {
            "participant_id": party.participant_id,
            "participant": code,
            "owed_minor": owed,
            "collateral_minor": default.collateral_minor,
            "windows": [[line.calendar, line.label] for line in unpaid],
            "weights": [[other, claim] for other, claim in sorted(default.weights.items())],
            "shares": [[other, share] for other, share in sorted(default.shares.items())],
            "due_entry_id": lines[-1].entry_id,
        }
        summary = (
            f"default of {code}: it owes {major(owed, grouped=True)}, its collateral covers "
            f"{major(default.collateral_minor, grouped=True)}, {told_shares(connection, default)}"
        )
        waits = agreed(connection, Proposal(f"default/{code}", body, owed, summary), maker)
        if waits is None:
            own = f"default/{lines[-1].entry_id}"
            drafts = [Draft(act_of(known, Kind.DEFAULT, own, body, maker), body, default.transfers, owed)]
            if defaults.suspend(connection, party.participant_id):
                told: dict[str, JSON] = {"participant": code, "state": "SUSPENDED"}
                act = act_of(known, Kind.PARTICIPANT_STATE_CHANGED, f"{own}/suspended", told, maker)
                drafts.append(Draft(act, told))
            post_entries(connection, drafts, lane_count=known.lane_count, zone=known.zone, notary=notary)
    return Result(waits, summary, body)


def recover(
    connection: Connection,
    code: str,
    amount_minor: int,
    reference: str | None,
    *,
    notary: Notary,
    maker: str = store.ACTOR,
) -> Result:
    """Hand on what came in of a defaulter: a line of the bank, or, without `reference`, what became due to it.

    Asks for the approval, or carries it out, as `declare`. Raises NothingToDo if nobody bears anything of it or the
    line is posted, NeedsHuman if the amount is more than came in or is borne, or while a run is under way.
    """
    check_line(amount_minor, reference, "--recovery")
    known = store.scheme(connection)
    with connection.transaction():
        hold_dues(connection)
        party = party_of(connection, code)
        if reference is not None:
            check_not_posted(connection, known, reference)
        verified_due(connection)
        lines = defaults.lines_of(connection, party.participant_id)
        borne = defaults.still_borne(connection, party.participant_id, [line.entry_id for line in lines])
        check_recovery(code, amount_minor, borne, None if reference else sum(line.amount_minor for line in lines))
        check_no_run(connection, code)
        legs = hand_on(party.participant_id, amount_minor, borne)
        body: dict[str, JSON] = {
            "participant_id": party.participant_id,
            "participant": code,
            "recovered_minor": amount_minor,
            "bank_reference": reference,
            "weights": [[other, loss] for other, loss in borne.items()],
            "shares": [[parties_of(leg.credit)[0], leg.amount_minor] for leg in legs],
            "due_entry_id": lines[-1].entry_id,
        }
        summary = (
            f"recovery from {code}: {major(amount_minor, grouped=True)} of {major(sum(borne.values()), grouped=True)} "
            f"that {len(borne)} bear goes back to them"
        )
        waits = agreed(connection, Proposal(f"recovery/{code}", body, amount_minor, summary), maker)
        if waits is None:
            act = act_of(known, Kind.DEFAULT, f"recovery/{lines[-1].entry_id}", body, maker)
            came_in = [] if reference is None else [payment_draft(known, party, amount_minor, reference, maker)]
            drafts = [*came_in, Draft(act, body, legs, amount_minor)]
            post_entries(connection, drafts, lane_count=known.lane_count, zone=known.zone, notary=notary)
    return Result(waits, summary, body)


def computed(
    connection: Connection, party: Party, lines: Sequence[Line], known: store.Scheme
) -> tuple[Default, list[Line]]:
    """Who bears what the participant owes, and the nettings of the windows that it did not pay, oldest first."""
    owed = -sum(line.amount_minor for line in lines)
    netted = [(line.window_id, line.amount_minor) for line in lines if line.window_id is not None]
    unpaid_ids = unpaid_windows(owed, netted)
    unpaid = [line for line in lines if line.window_id in unpaid_ids]
    claims = []
    for line in unpaid:
        own = defaults.claims_on(connection, party.participant_id, line.window_id or 0)
        net = sum(amount if creditor == party.participant_id else -amount for _, creditor, amount in own)
        if net != line.amount_minor:
            raise BooksDiffer(
                "what was netted does not agree with the claims",
                [f"{line.calendar}/{line.label}: {party.code} has {net} by its claims, {line.amount_minor} was netted"],
            )
        claims += own
    pools = {other.participant_id for other in folded.parties(connection) if other.role == "CUSTODY"}
    there = journal_balances(connection).collateral.get(party.participant_id, 0)
    default = cover_default(party.participant_id, owed, there, claims, exempt=pools, operator_id=known.operator_id)
    return default, unpaid


def check_no_run(connection: Connection, code: str) -> None:
    """NeedsHuman while a run is under way: its instructions, of this participant or to others, stand on what is due."""
    run = runs.run_under_way(connection)
    if run is None:
        return
    how = f"abort {run.run_id} --rest" if run.state == "SETTLING" else f"abort {run.run_id}"
    waiting = any(each.code == code and each.state == "WAITING" for each in runs.run_parties(connection, run.run_id))
    what = f"holds an instruction of {code} that waits" if waiting else "instructs what is due before the default"
    raise NeedsHuman(f"run {run.run_id} is {run.state} and {what}: end it first, with `python -m settlement {how}`")


def check_recovery(code: str, amount_minor: int, borne: dict[int, int], due_minor: int | None) -> None:
    """NeedsHuman for more than others still bear, or, where no line of the bank brings it, than is due to `code`.

    NothingToDo where nobody bears anything of it.
    """
    left = sum(borne.values())
    if not left:
        raise NothingToDo(f"nobody bears a loss of {code}", {"participant": code, "borne_minor": 0})
    if amount_minor > left:
        raise NeedsHuman(f"--recovery is more than others still bear of {code}, {major(left, grouped=True)}")
    if due_minor is not None and amount_minor > due_minor:
        raise NeedsHuman(
            f"--recovery is more than is due to {code}, {major(max(due_minor, 0), grouped=True)}: "
            "name the line of the bank that brought it, with --reference"
        )


def payment_draft(known: store.Scheme, party: Party, amount_minor: int, reference: str, maker: str) -> Draft:
    """The bank's line that brought a recovery, `BANK->DUE(p)`."""
    body: dict[str, JSON] = {
        "participant_id": party.participant_id,
        "amount_minor": amount_minor,
        "bank_reference": reference,
    }
    kind = Kind.SETTLEMENT_PAYMENT
    act = Act(kind, known.operator_id, bank_line_id(known, reference), body_hash(kind, body), maker)
    return Draft(act, body, [payment(party.participant_id, -amount_minor)], amount_minor)


def act_of(known: store.Scheme, kind: Kind, own: str, body: dict[str, JSON], maker: str) -> Act:
    """The operator's act, whose id follows from what it stands on: the same twice collides."""
    return Act(kind, known.operator_id, uuid5(known.deployment_id, own), body_hash(kind, body), maker)


def told_shares(connection: Connection, default: Default) -> str:
    """Who bears the rest, for approvers."""
    if not default.shares:
        return "nobody else bears anything"
    codes = {party.participant_id: party.code for party in folded.parties(connection)}
    largest = sorted(default.shares.items(), key=lambda each: (-each[1], each[0]))
    shown = ", ".join(f"{codes[other]} {major(share, grouped=True)}" for other, share in largest[:SHARES_SHOWN])
    more = len(largest) - SHARES_SHOWN
    return f"the rest is borne by {shown}" + (f" and {more} more" if more > 0 else "")
