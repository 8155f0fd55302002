"""The reserve and liability report: what issuers owe members, what the policy wants kept aside, what custody covers.

Principal that custody holds is set aside already and covers the reserve in full; bonus needs none. What was paid for
passes and is not used up is principal as that of lots is. A reserve is rounded up to the minor unit. Reads only; the
same snapshot gives the same bytes.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Final

from coalition.storage.liability import AGE_DAYS, Liability
from coalition.storage.positions import Party
from settlement.cells import guarded, write_csv
from settlement.errors import NeedsHuman
from settlement.multilateral import major

POLICIES: Final[Mapping[str, Fraction]] = {
    "20": Fraction(20, 100),
    "30": Fraction(30, 100),
    "40": Fraction(40, 100),
    "full": Fraction(1),
}
"""Parts of the outstanding principal: by scale of the issuer, its group, its brand; or all of it."""

DEFAULT_POLICY: Final = "40"
AGE_NAMES: Final = tuple(
    [f"below {days} days" for days in AGE_DAYS] + [f"{AGE_DAYS[-1]} days and more"],
)


@dataclass(frozen=True, slots=True)
class Reserve:
    """What one issuer must keep aside, minor units."""

    issuer: Party
    policy: str
    lots: int
    principal_minor: int
    bonus_minor: int
    custody_minor: int
    required_minor: int

    @property
    def missing_minor(self) -> int:
        """What custody does not cover of the required reserve: to be kept in a bank, or insured."""
        return max(0, self.required_minor - self.custody_minor)


def reserves(found: Liability, parties: Sequence[Party], default: str, policies: Mapping[str, str]) -> list[Reserve]:
    """One for each issuer that owes anything, in order of its number; `policies` are by the issuer's code.

    Raises NeedsHuman for a policy or an issuer that does not exist.
    """
    codes = {party.code for party in parties}
    for code, policy in {**policies, "": default}.items():
        if policy not in POLICIES:
            raise NeedsHuman(f"--policy {policy}: policies are {', '.join(POLICIES)}")
        if code and code not in codes:
            raise NeedsHuman(f"--policy {code}={policy}: no participant has this code")
    custodians = {party.participant_id for party in parties if party.role == "CUSTODY"}
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for row in found.outstanding:
        total = sums[row.issuer_id]
        total[0] += row.lots
        total[1] += row.principal_minor
        total[2] += row.bonus_minor
        total[3] += row.principal_minor if row.custodian_id in custodians else 0
    for held in found.passes:
        total = sums[held.issuer_id]
        total[1] += held.principal_minor
        total[3] += held.principal_minor if held.custodian_id in custodians else 0
    by_number = {party.participant_id: party for party in parties}
    answer = []
    for issuer_id, (lots, principal, bonus, custody) in sorted(sums.items()):
        issuer = by_number[issuer_id]
        policy = policies.get(issuer.code, default)
        required = ceil(principal * POLICIES[policy])
        answer.append(Reserve(issuer, policy, lots, principal, bonus, custody, required))
    return answer


def write_reserve(directory: Path, found: Liability, parties: Sequence[Party], wanted: Sequence[Reserve]) -> None:
    """reserve.csv, outstanding.csv, passes.csv, expiring.csv and dormant.csv in `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    codes = {party.participant_id: party.code for party in parties}
    write_csv(
        directory / "reserve.csv",
        ("issuer", "display_name", "policy", "lots", *both("principal", "bonus", "custody", "required", "missing")),
        (
            (
                *(each.issuer.code, guarded(each.issuer.display_name), each.policy, each.lots),
                *figures(
                    each.principal_minor, each.bonus_minor, each.custody_minor, each.required_minor, each.missing_minor
                ),
            )
            for each in wanted
        ),
    )
    write_csv(
        directory / "outstanding.csv",
        ("issuer", "custodian", "age", "lots", *both("face", "principal", "bonus")),
        (
            (
                *(codes[row.issuer_id], codes[row.custodian_id], AGE_NAMES[row.age], row.lots),
                *figures(row.face_minor, row.principal_minor, row.bonus_minor),
            )
            for row in found.outstanding
        ),
    )
    write_csv(
        directory / "passes.csv",
        ("issuer", "custodian", "passes", "visits", *both("principal")),
        (
            (codes[row.issuer_id], codes[row.custodian_id], row.passes, row.visits, *figures(row.principal_minor))
            for row in found.passes
        ),
    )
    write_csv(
        directory / "expiring.csv",
        ("issuer", "expiry", "lots", *both("bonus")),
        ((codes[row.issuer_id], row.expiry, row.lots, *figures(row.bonus_minor)) for row in found.expiring),
    )
    write_csv(
        directory / "dormant.csv",
        ("issuer", "wallets", *both("face", "principal")),
        ((codes[row.issuer_id], row.wallets, *figures(row.face_minor, row.principal_minor)) for row in found.dormant),
    )


def both(*names: str) -> tuple[str, ...]:
    """Columns in minor units, then the same in major ones."""
    return (*(f"{name}_minor" for name in names), *names)


def figures(*amounts: int) -> tuple[int | str, ...]:
    """Cells for `both`."""
    return (*amounts, *map(major, amounts))
