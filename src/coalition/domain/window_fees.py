"""Fees on a whole window: bands of its volume, or so much a member; with a flat part, a minimum and a maximum.

They are an agreement in versions, and written once by netting between CLOSED and NETTED (SUMS section 3). What holds is
the version in force on the last business date of the window. Exact rationals, rounded half to even once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple

from coalition.domain.agreement_fields import MINOR_MAX, Fields
from coalition.domain.rates import Rate

OPERATOR: Final = "OPERATOR"
"""Stands for the operator as the payee."""
MEMBER_FEE_MAX: Final = 10_000_000
BANDS_MAX: Final = 100


class WindowBase(Enum):
    """What a fee is measured by, minor units or members."""

    PURCHASES = "PURCHASES"
    """What it sold: purchases, captures and uploads less what was given back of them, whole amounts; also on-us."""
    TOP_UPS = "TOP_UPS"
    """Top-ups it sold less what was taken back of them."""
    NEW_MEMBERS = "NEW_MEMBERS"
    """Members it recruited that were enrolled in the window."""
    ACTIVATED_MEMBERS = "ACTIVATED_MEMBERS"
    """Members it recruited whose first purchase lies in the window."""

    @property
    def counts_members(self) -> bool:
        return self in {WindowBase.NEW_MEMBERS, WindowBase.ACTIVATED_MEMBERS}


class Bands(Enum):
    """What a band's rate is taken of: the part of the volume within it, or all of the volume that has reached it."""

    MARGINAL = "MARGINAL"
    WHOLE = "WHOLE"


class Measured(Enum):
    """Whose volume it is."""

    PAYER = "PAYER"
    PAYEE = "PAYEE"


@dataclass(frozen=True, slots=True)
class Band:
    """From a volume of `start` on: `rate` of the volume, or minor units a member."""

    start: int
    rate: Rate


@dataclass(frozen=True, slots=True)
class WindowFees:
    """What `payer` owes `payee` for each window. Amounts are minor units of the scheme's currency, None binds not."""

    payer: str
    payee: str
    base: WindowBase
    measured: Measured
    bands: tuple[Band, ...]
    banding: Bands
    flat_minor: int
    minimum_minor: int | None
    maximum_minor: int | None
    calendar: str

    def fee(self, volume: int) -> int:
        """The fee of a window. A volume below 0 (more given back than sold) counts as 0: nothing is paid back."""
        exact = self.flat_minor + self._banded(max(volume, 0))
        amount = round(exact)  # of a Fraction: half to even
        if self.minimum_minor is not None:
            amount = max(amount, self.minimum_minor)
        return amount if self.maximum_minor is None else min(amount, self.maximum_minor)

    def _banded(self, volume: int) -> Fraction:
        if self.banding is Bands.WHOLE:
            reached = [band for band in self.bands if band.start <= volume]
            return _of(reached[-1].rate, volume) if reached else Fraction(0)
        ends = [*(band.start for band in self.bands[1:]), volume][: len(self.bands)]
        within = (max(min(end, volume) - band.start, 0) for band, end in zip(self.bands, ends, strict=True))
        return sum((_of(band.rate, part) for band, part in zip(self.bands, within, strict=True)), Fraction(0))


class AgreedFee(NamedTuple):
    """A schedule that holds for one payer; the version it is."""

    agreement_id: int
    version: int
    code: str
    payer_id: int
    payee_id: int
    fees: WindowFees

    @property
    def measured_id(self) -> int:
        """Whose volume it is taken of."""
        return self.payer_id if self.fees.measured is Measured.PAYER else self.payee_id


class Assessed(NamedTuple):
    """What one schedule asks of one payer for one window; `volume` in minor units or members."""

    agreed: AgreedFee
    volume: int
    fee_minor: int


def assess(agreed: Iterable[AgreedFee], volumes: Mapping[tuple[int, WindowBase], int]) -> list[Assessed]:
    """The fees of a window, by payer, payee and base; also those of 0, which say why."""
    ordered = sorted(agreed, key=lambda each: (each.payer_id, each.payee_id, each.fees.base.value, each.agreement_id))
    measured = [(each, volumes.get((each.measured_id, each.fees.base), 0)) for each in ordered]
    return [Assessed(each, volume, each.fees.fee(volume)) for each, volume in measured]


def window_fees(fields: Fields) -> WindowFees:
    """The typed content. Raises Refused(AGREEMENT_INVALID) naming the first wrong field."""
    payer = fields.party("payer")
    payee = fields.code("payee", OPERATOR, also=OPERATOR)
    base = WindowBase(fields.choice("base", tuple(each.value for each in WindowBase)))
    bands: list[Band] = []
    for row in fields.rows("bands", "bands with from_volume and rate"):
        start = row.whole("from_volume", None) or 0
        if bands and start <= bands[-1].start:
            raise row.bad("from_volume", "volumes in rising order")
        bands.append(Band(start, row.rate("rate", "0", MEMBER_FEE_MAX if base.counts_members else 1)))
        row.finish()
    if len(bands) > BANDS_MAX:
        raise fields.bad("bands", f"at most {BANDS_MAX} bands")
    parsed = WindowFees(
        payer=payer,
        payee=payee,
        base=base,
        measured=Measured(fields.choice("measured", tuple(each.value for each in Measured))),
        bands=tuple(bands),
        banding=Bands(fields.choice("banding", tuple(each.value for each in Bands))),
        flat_minor=fields.whole("flat_minor", None) or 0,
        minimum_minor=fields.whole("minimum_minor", None),
        maximum_minor=fields.whole("maximum_minor", None, MINOR_MAX),
        calendar=fields.code("calendar", "monthly"),
    )
    if (parsed.minimum_minor or 0) > (parsed.maximum_minor or MINOR_MAX):
        raise fields.bad("maximum_minor", "at least minimum_minor")
    return parsed


def _of(rate: Rate, amount: int) -> Fraction:
    return Fraction(amount * rate.numerator, rate.denominator)
