"""Settlement once more, by SUMS.md section 4: what netting made due, what each run instructed, what the bank moved.

From the second hand's own positions it follows what is due of everybody; what was posted on DUE and what the runs told
of themselves is only compared with it. Money is minor units with the participant's sign: above zero it is paid.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from coalition.replay.facts import Facts
from coalition.replay.posting import Books, Window

# (code, window, participant) of every change of what is due; who pays in is credited, who is paid is debited.
DUES: Final = """
SELECT code, window_label, regexp_extract(account, '^DUE[(](.*)[)]$', 1), sum(amount)::BIGINT
FROM (SELECT code, window_label, unnest([debit, credit]) AS account, unnest([-amount_minor, amount_minor]) AS amount
      FROM transfers WHERE debit LIKE 'DUE(%' OR credit LIKE 'DUE(%')
WHERE account LIKE 'DUE(%' GROUP BY ALL ORDER BY ALL
"""
# BANK + sum of DUE + COLLATERAL = 0, always.
BANK: Final = """
SELECT coalesce(sum(amount), 0)::BIGINT
FROM (SELECT unnest([debit, credit]) AS account, unnest([-amount_minor, amount_minor]) AS amount FROM transfers)
WHERE account = 'BANK' OR account LIKE 'DUE(%' OR account LIKE 'COLLATERAL(%'
"""
NETTING: Final = "NETTING"


@dataclass(frozen=True, slots=True)
class Settled:
    """How many payments were computed again, what is still due of anybody in the end, and every difference."""

    payments: int
    left: Mapping[str, int]
    differences: tuple[str, ...]


def settle(facts: Facts, books: Books) -> Settled:
    """Compute what was due and paid from `books` and hold it against the journal and the runs."""
    found: list[str] = []
    netted, paid = _posted(facts)
    for window in sorted(netted.keys() | {f"{calendar}/{label}" for calendar, label in facts.netted_windows()}):
        told, nets = netted.get(window, Counter()), _nets(books, window)
        found += [
            f"{window}: {participant}: netting made {told[participant]} due, computed {nets[participant]}"
            for participant in sorted(told.keys() | nets.keys())
            if told[participant] != nets[participant]
        ]
    due, moved = Counter[str](), Counter[str]()
    payments = 0
    for run_id, minimum, windows, parties in _runs(facts):
        for window in windows:
            due.update(_nets(books, window))
        instructed = _instructed(due, minimum, facts.operator)
        payments += sum(1 for amount in instructed.values() if amount)
        for participant in sorted(due.keys() | parties.keys()):
            computed = (due[participant], instructed[participant], instructed[participant])
            if parties.get(participant, (0, 0, 0)) != computed:
                found.append(
                    f"run {run_id}: {participant}: (due, instructed, settled) was {parties.get(participant)}, "
                    f"computed {computed}"
                )
        due.subtract(instructed)
        moved.update(instructed)
    found += [
        f"{participant}: the bank moved {paid[participant]}, computed {moved[participant]}"
        for participant in sorted(paid.keys() | moved.keys())
        if paid[participant] != moved[participant]
    ]
    ((held,),) = facts.rows(BANK)
    if held:
        found.append(f"BANK, DUE and COLLATERAL add up to {held}, not to 0")
    return Settled(payments, {party: amount for party, amount in due.items() if amount}, tuple(found))


def _posted(facts: Facts) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """What netting made due of each, by "calendar/label"; what the bank moved of each, with its sign."""
    netted, paid = dict[str, Counter[str]](), Counter[str]()
    for code, window, participant, amount in facts.rows(DUES):
        if code == NETTING:
            netted.setdefault(window, Counter())[participant] += amount
        else:
            paid[participant] -= amount
    return netted, paid


def _nets(books: Books, window: str) -> Counter[str]:
    calendar, _, label = window.partition("/")
    key: Window = (calendar, label)
    return Counter({party: each.net for party, each in books.positions.get(key, {}).items() if each.net})


def _runs(facts: Facts) -> list[tuple[int, int, list[str], dict[str, tuple[int, int, int]]]]:
    """(run, minimum, its windows, (due, instructed, settled) by participant), oldest first."""
    parties: dict[int, dict[str, tuple[int, int, int]]] = {}
    for run_id, participant, *amounts in facts.rows("SELECT * FROM run_parties"):
        if any(amounts):
            parties.setdefault(run_id, {})[participant] = (amounts[0], amounts[1], amounts[2])
    return [
        (run_id, minimum, windows.split(), parties.get(run_id, {}))
        for run_id, minimum, windows in facts.rows("SELECT run_id, minimum_minor, windows FROM runs ORDER BY 1")
    ]


def _instructed(due: Mapping[str, int], minimum: int, operator: str) -> Counter[str]:
    """What is instructed: all that reaches the minimum. Where that would take more out of the bank than comes in, the
    operator leaves as much of its own due, or pays it in; nobody else ever does.
    """
    instructed = Counter({party: amount for party, amount in due.items() if amount and abs(amount) >= minimum})
    short = sum(instructed.values()) - sum(due.values())
    if short > 0:
        instructed[operator] -= short
    return instructed
