"""Proposed agreements over netted windows: who would have gained and who would have lost. Writes no entry.

What is told are net positions by participant and code: as they were netted, and as the same sales, refunds and window
fees would have made them. Top-ups, cash-outs, adjustments and what bounced stay as they were: no proposal that is taken
here decides them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from coalition.domain.accounts import TransferCode, Unit
from coalition.domain.agreements import Terms
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.domain.refund import REFUNDABLE
from coalition.domain.simulation import Pair, Proposal, Simulation, pair
from coalition.domain.simulation_records import NET, Declined, Float, Line, Outcome
from coalition.domain.simulation_sums import Claims, Floats, claims_in
from coalition.domain.window_fees import assess
from coalition.followers.follower import Follower
from coalition.storage import positions as folded
from coalition.storage import settlement as store
from coalition.storage.connect import Connection
from coalition.storage.programme import load
from coalition.storage.simulation_reads import cash_entries, floats_at, posted_entries, successions
from settlement.assessment import fee_transfers, last_day, measured
from settlement.cells import write_csv
from settlement.errors import BooksDiffer, WindowNotNetted
from settlement.labels import period_start
from settlement.multilateral import major
from settlement.netting import code_text, cut_of
from settlement.proposals import check_proposals
from settlement.rederiving import own_numbers, verify_positions

COLUMNS: Final = (
    *("window", "participant", "code", "real_minor", "simulated_minor", "difference_minor"),
    *("real", "simulated", "difference"),
)


def simulate(
    connection: Connection, follower: Follower, calendar: str, labels: Sequence[str], proposals: Sequence[Proposal]
) -> Outcome:
    """The windows named, all of one calendar, as if the proposals had been in force on every day of them.

    Raises WindowNotNetted, ProposalRefused for a proposal that could not be made, BooksDiffer or
    LedgerBroken where the figures of the past do not follow from the agreements of the past.
    """
    windows = store.windows(connection, calendar)
    chosen = sorted(
        (_netted(windows, calendar, label) for label in dict.fromkeys(labels)), key=lambda each: each.window_id
    )
    programme = load(connection)
    check_proposals(programme, proposals, min(_first_day(each, programme.scheme.zone) for each in chosen))
    known = [(since, pair(programme, proposals, standing)) for since, standing in successions(connection, programme)]

    def programmes(number: int) -> Pair:
        return next(each for since, each in reversed(known) if since <= number)

    numbers = [range(after + 1, up_to + 1) for each in chosen for after, up_to in own_numbers(windows, each)]
    lines: list[Line] = []
    declined: list[Declined] = []
    floats: list[Float] = []
    custody = moved_custody(programme, proposals)
    shifted: Floats = Counter()
    codes = {each.participant_id: each.code for each in programme.participants.values()}
    for window in chosen:
        simulation = Simulation(programmes, window.calendar_id, window.window_id, numbers)
        real, proposed, refused, moved = _window(
            connection, follower, windows, window, simulation, known[0][1], custody
        )
        shifted.update(moved)
        lines += _lines(window.label, codes, real, proposed)
        if custody:
            floats += _floats(window.label, codes, floats_at(connection, cut_of(window)), shifted)
        declined += [
            Declined(window.label, codes[participant], reason, *refused[participant, reason])
            for participant, reason in sorted(refused, key=lambda each: (codes[each[0]], each[1]))
        ]
    return Outcome(lines, declined, floats)


def write_lines(path: Path, lines: Iterable[Line], floats: Iterable[Float] = ()) -> None:
    """Every line as CSV, amounts in minor and in major units; then where principal lies, code FLOAT(issuer)."""
    lying = (Line(each.label, each.custodian, f"FLOAT({each.issuer})", each.real_minor, each.simulated_minor)
             for each in floats)  # fmt: skip
    write_csv(path, COLUMNS, (_cells(line) for line in (*lines, *lying)))


def totals(lines: Iterable[Line]) -> list[Line]:
    """Each participant's NET over all windows, by code of the participant; the differences add up to zero."""
    real: Counter[str] = Counter()
    simulated: Counter[str] = Counter()
    for line in lines:
        if line.code == NET:
            real[line.participant] += line.real_minor
            simulated[line.participant] += line.simulated_minor
    return [Line("", each, NET, real[each], simulated[each]) for each in sorted({*real, *simulated})]


def _first_day(window: store.Window, zone: str) -> date:
    return period_start(window.cadence, window.label) or last_day(window, zone)


def _netted(windows: Sequence[store.Window], calendar: str, label: str) -> store.Window:
    window = next((each for each in windows if each.label == label), None)
    if window is None:
        raise WindowNotNetted(label, f"calendar {calendar} has no window {label}: see `python -m settlement status`")
    if window.state not in {"NETTED", "SETTLED"}:
        raise WindowNotNetted(
            label, f"window {label} of calendar {calendar} is {window.state}: it is simulated once it is netted"
        )
    return window


def _window(
    connection: Connection,
    follower: Follower,
    windows: Sequence[store.Window],
    window: store.Window,
    simulation: Simulation,
    known: Pair,
    custody: Sequence[int],
) -> tuple[Claims, Claims, dict[tuple[int, Reason], tuple[int, int]], Floats]:
    """The claims as they are and as they would be; count and sum of what would have been declined, by whose and why;
    and how much more principal would lie with each custodian. `custody` are the terms whose custody would be another.
    """
    ranges = own_numbers(windows, window)
    follower.catch_up(ranges[-1][1])
    stored = folded.bilateral(connection, window.window_id)
    verify_positions(stored, store.net_positions(connection, window.window_id), window.label)
    real: Claims = Counter()
    for claim in stored:
        if claim.unit == Unit.MONEY:
            real[claim.debtor_id, claim.creditor_id, TransferCode(claim.code)] += claim.amount_minor
    proposed = Counter(real)
    refused: dict[tuple[int, Reason], tuple[int, int]] = {}
    moved: Floats = Counter()
    for cash in cash_entries(connection, ranges, custody) if custody else ():
        each = simulation.simulate_cash(cash)
        _exchange(proposed, each.real, each.proposed)
        moved.update(each.moved)
    for posted in posted_entries(connection, ranges):
        each = simulation.simulate(posted)
        _exchange(proposed, each.real, each.proposed)
        moved.update(each.moved)
        if each.declined is not None and posted.kind in REFUNDABLE:
            key = posted.sale.participant_id, each.declined
            count, amount = refused.get(key, (0, 0))
            refused[key] = count + 1, amount + posted.amount_minor
    was, would_be = _fees(connection, follower, window, known)
    charged = Counter({key: amount for key, amount in real.items() if key[2] is TransferCode.WINDOW_FEE})
    if was != charged:
        raise BooksDiffer(
            f"fees of {window.label} as posted and as the agreements of its last day ask for",
            [
                f"{debtor} to {creditor}: posted {charged[debtor, creditor, code]}, asked {was[debtor, creditor, code]}"
                for debtor, creditor, code in sorted({*was, *charged})
                if was[debtor, creditor, code] != charged[debtor, creditor, code]
            ],
        )
    _exchange(proposed, was, would_be)
    check_taken_from(proposed, window.label)
    return real, proposed, refused, moved


def check_taken_from(proposed: Claims, label: str) -> None:
    """BooksDiffer where more was taken from a claim than the window has: a payment that posted something else."""
    wrong = [f"{debtor} to {creditor}, {code.name}: {amount}" for (debtor, creditor, code), amount in proposed.items()
             if amount < 0]  # fmt: skip
    if wrong:
        raise BooksDiffer(f"claims of {label} do not follow from what was paid at counters", wrong)


def moved_custody(programme: Programme, proposals: Iterable[Proposal]) -> list[int]:
    """The terms, by number, that a proposal puts into other custody."""
    found = []
    for proposal in proposals:
        known = [version for version in programme.versions.values() if version.code == proposal.code]
        latest = max(known, key=lambda each: each.version, default=None)
        if latest is None or not isinstance(latest.content, Terms) or not isinstance(proposal.content, Terms):
            continue
        if latest.content.custody != proposal.content.custody:
            found.append(latest.agreement_id)
    return sorted(found)


def _floats(label: str, codes: dict[int, str], real: dict[tuple[int, int], int], moved: Floats) -> list[Float]:
    """Where principal lies and would lie, of the issuers of whose lots any would lie elsewhere."""
    issuers = {issuer for _, issuer in moved}
    places = sorted(place for place in {*real, *moved} if place[1] in issuers)
    return [
        Float(label, codes[place[0]], codes[place[1]], real.get(place, 0), real.get(place, 0) + moved[place])
        for place in places
    ]


def _fees(connection: Connection, follower: Follower, window: store.Window, known: Pair) -> tuple[Claims, Claims]:
    """The claims of the window's fees, as agreed and as proposed."""
    day = last_day(window, known.real.scheme.zone)
    agreed = [each.window_fees(window.calendar, day) for each in known]
    volumes = measured(connection, follower, window, cut_of(window), [fee for fees in agreed for fee in fees])
    real, proposed = (
        claims_in(fee_transfers(assess(fees, volumes), window.window_id), window.window_id) for fees in agreed
    )
    return real, proposed


def _exchange(claims: Claims, taken: Claims, put: Claims) -> None:
    claims.subtract(taken)
    claims.update(put)


def _lines(label: str, codes: dict[int, str], real: Claims, proposed: Claims) -> list[Line]:
    before, after = _nets(real), _nets(proposed)
    lines = []
    for participant, name in sorted(codes.items(), key=lambda each: each[1]):
        own = sorted({code for whose, code in {*before, *after} if whose == participant})
        by_code = [(code_text(code), before[participant, code], after[participant, code]) for code in own]
        lines += [Line(label, name, code, was, would_be) for code, was, would_be in by_code if was or would_be]
        lines.append(Line(label, name, NET, sum(each[1] for each in by_code), sum(each[2] for each in by_code)))
    return lines


def _nets(claims: Claims) -> Counter[tuple[int, TransferCode]]:
    nets: Counter[tuple[int, TransferCode]] = Counter()
    for (debtor, creditor, code), amount in claims.items():
        nets[debtor, code] -= amount
        nets[creditor, code] += amount
    return nets


def _cells(line: Line) -> tuple[object, ...]:
    amounts = (line.real_minor, line.simulated_minor, line.difference_minor)
    return (line.label, line.participant, line.code, *amounts, *(major(amount) for amount in amounts))
