"""Collateral of a participant paid in at the bank, or paid back: `BANK->COLLATERAL(p)` and the inverse.

It secures what the participant owes and adds to its cap (decision 0026). No run pays with it: what is due of all adds
up to what lies in the bank besides collateral (SUMS section 2).
"""

from coalition.domain.acts import JSON, Act, body_hash
from coalition.domain.default import collateral_payment
from coalition.domain.journal import Notary
from coalition.domain.kinds import Kind
from coalition.storage import defaults
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.positions import Party
from coalition.storage.settlement_entries import Draft, due, hold_dues, journal_balances, post_entries
from settlement.bank_files import REFERENCE_MAX
from settlement.confirming import bank_line_id
from settlement.errors import NeedsHuman, NothingToDo, PartyUnknown
from settlement.multilateral import major
from settlement.proposing import Proposal, Result, agreed

WITHOUT_COLLATERAL = frozenset({"OPERATOR", "CUSTODY"})


def move(
    connection: Connection,
    code: str,
    amount_minor: int,
    reference: str,
    *,
    back: bool,
    notary: Notary,
    maker: str = store.ACTOR,
) -> Result:
    """Ask for the approval of a line of the bank, or post it once it is approved. Needs an autocommit connection.

    Raises NeedsHuman for what may not be moved, NothingToDo if this line is posted or waits already.
    """
    check_line(amount_minor, reference, "--amount")
    known = store.scheme(connection)
    with connection.transaction():
        hold_dues(connection)
        party = party_of(connection, code)
        check_not_posted(connection, known, reference)
        if back:
            check_free_to_go(connection, party, amount_minor)
        body: dict[str, JSON] = {
            "participant_id": party.participant_id,
            "participant": code,
            "amount_minor": amount_minor,
            "back": back,
            "bank_reference": reference,
        }
        summary = f"collateral of {code} {'paid back' if back else 'paid in'}: {major(amount_minor, grouped=True)}"
        proposal = Proposal(f"collateral/{reference}", body, amount_minor, f"{summary}, line {reference} of the bank")
        waits = agreed(connection, proposal, maker)
        if waits is None:
            kind = Kind.COLLATERAL_MOVED
            act = Act(kind, known.operator_id, bank_line_id(known, reference), body_hash(kind, body), maker)
            leg = collateral_payment(party.participant_id, amount_minor, back=back)
            post_entries(
                connection,
                [Draft(act, body, [leg], amount_minor)],
                lane_count=known.lane_count,
                zone=known.zone,
                notary=notary,
            )
    return Result(waits, proposal.summary, body)


def check_line(amount_minor: int, reference: str | None, option: str) -> None:
    """NeedsHuman for an amount, given as `option`, or a reference that no line of a bank has."""
    if amount_minor <= 0:
        raise NeedsHuman(f"{option} must be above 0")
    if reference is not None and not 0 < len(reference.strip()) <= len(reference) <= REFERENCE_MAX:
        raise NeedsHuman(f"--reference is the bank's own for this line, 1 to {REFERENCE_MAX} characters")


def check_not_posted(connection: Connection, known: store.Scheme, reference: str) -> None:
    """NothingToDo if a line of the bank is in the books, as whatever it was posted."""
    entry = defaults.posted(connection, known.operator_id, bank_line_id(known, reference))
    if entry is not None:
        raise NothingToDo(f"line {reference} of the bank is in the books as entry {entry}", {"entry_id": entry})


def check_free_to_go(connection: Connection, party: Party, amount_minor: int) -> None:
    """NeedsHuman if so much is not there, or the participant owes something that it secures."""
    there = journal_balances(connection).collateral.get(party.participant_id, 0)
    if there < amount_minor:
        raise NeedsHuman(f"--amount is more than the collateral of {party.code}, {major(there, grouped=True)}")
    owed = -due(connection).get(party.participant_id, 0)
    if owed > 0:
        raise NeedsHuman(
            f"{party.code} owes {major(owed, grouped=True)}: its collateral is paid back when that is paid"
        )


def party_of(connection: Connection, code: str) -> Party:
    """The participant; NeedsHuman for one that is not there, and for operator and custody, which give no collateral."""
    found = next((party for party in folded.parties(connection) if party.code == code), None)
    if found is None:
        raise PartyUnknown(code, f"there is no participant {code}: see `python -m settlement status`")
    if found.role in WITHOUT_COLLATERAL:
        raise PartyUnknown(code, f"{code} is {found.role}: name a participant other than the operator and the custody")
    return found
