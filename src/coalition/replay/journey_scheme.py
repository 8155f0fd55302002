"""The coalition of the demo: who sells value, who takes it, fees, caps, points, passes, and how it is settled.

All of it is invented; everything that is bought is in the data. Chosen for this trade: half of the households spend
less than 125.00 a month here, one in twenty more than 583.00. `INVENTED` says every rule, for the screen.
"""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from typing import Any, Final

from coalition.replay.trade import Agreement, PassRule, PointsRule, ReturnRule, Settling, Tier, TopUpRule

CHAIN_CODE: Final = "journey"
CHAIN: Final = f"chain:{CHAIN_CODE}"
CHAIN_TILLS: Final = f"/ts/{CHAIN_CODE}/tills"
DAILY: Final = "daily"


@dataclass(frozen=True, slots=True)
class Alliance:
    """An alliance merchant and its terms: which part of the bonus the issuer bears there, what it pays whom.

    `sells`: it sells stored value of its own, whose principal custody holds.
    """

    code: str
    display_name: str
    departments: tuple[str, ...]
    issuer_bonus_share: str
    interchange: str
    operator_fee: str
    commission: str
    sells: bool = False


ALLIANCES: Final = (
    Alliance("fuel", "Fuel stations", ("FUEL",), "1", "2/1000", "3/1000", "0"),
    Alliance(
        "flowers", "Flowers and gardens", ("FLORAL", "GARDEN CENTER"), "1/2", "5/1000", "6/1000", "1/100", sells=True
    ),
    Alliance("drugstore", "Drugstore", ("DRUG GM", "COSMETICS", "NUTRITION"), "1/2", "5/1000", "5/1000", "1/100"),
    Alliance(
        "restaurant",
        "Restaurant",
        ("RESTAURANT", "SALAD BAR", "CHEF SHOPPE"),
        "1/4",
        "8/1000",
        "6/1000",
        "15/1000",
        sells=True,
    ),
    Alliance("spirits", "Wines and spirits", ("SPIRITS",), "0", "8/1000", "6/1000", "1/100"),
    Alliance("travel", "Travel and motoring", ("TRAVEL & LEISURE", "AUTOMOTIVE"), "1/3", "1/100", "6/1000", "2/100"),
    Alliance("photo", "Photo and video", ("PHOTO & VIDEO",), "1/2", "5/1000", "6/1000", "1/100"),
)

# Three notes a household would hand over; two of them last the median household a month.
TOP_UP_RULE: Final = TopUpRule(
    steps_minor=(5_000, 10_000, 20_000),
    tiers=(Tier(5_000, Fraction(2, 100)), Tier(10_000, Fraction(6, 100)), Tier(20_000, Fraction(10, 100))),
)
RETURN_RULE: Final = ReturnRule(per_mille=20, days_max=14)

POINTS: Final = "drugstore-points"
POINTS_RULE: Final = PointsRule(programme=POINTS, spent_at="fuel", least=200, step=100)
# Seven visits for 23.00: 3.28 or 3.29 each, where a meal costs 3.66 on average.
MEALS: Final = "seven-meals"
PASS_PRICE_MINOR: Final = 2_300
PASS_VISITS: Final = 7
PASS_RULE: Final = PassRule(pass_code=MEALS, visited_at="restaurant", paid_out_one_in=4, paid_out_days=10)

RESTAURANT_CAP_MINOR: Final = 1_000_000
RESTAURANT_COLLATERAL_MINOR: Final = 300_000
FLOWERS_COLLATERAL_MINOR: Final = 400_000
SETTLING: Final = Settling(
    daily=DAILY,
    minimum_minor=2_000,
    advance_limit_minor=1_000_000,
    collateral_minor={"restaurant": RESTAURANT_COLLATERAL_MINOR, "flowers": FLOWERS_COLLATERAL_MINOR},
)

_RULES: Final = """
Invented, top-ups: short of a basket, a household pays in 50.00, 100.00 or 200.00, the least that covers what is
missing (above 200.00: the next multiple of it), for 2 %, 6 % or 10 % bonus.

Invented, sellers: the store of its first basket, which holds the principal itself; where the restaurants or the flower
shops sold a part of that basket, they, and custody holds it. Custody's windows are daily.

Invented, refunds: by SHA-256 of their numbers 2 % of the baskets come back 1 to 14 days later, a third of them whole,
else half of each part; the panel has none. What would come back after the last month stays.

Invented, fees of a window: stores pay 0.5 % of sales to 1,000.00, 0.3 % to 3,000.00, 0.1 % above, at least 2.00, at
most 12.00 (from July 0.4, 0.3, 0.1 %, at least 1.00), and 0.40 for each new member beyond five; the drugstore 0.4 % of
all, 0.3 % of all from 53,000.00 on; the fuel stations pay the restaurants 1.00 for each member they activate.

Invented, caps: the restaurants may owe 10,000.00 and the 3,000.00 they paid in before, the flower shops the 4,000.00
they paid in; months end with a warning, some of them with declines. Who is capped is taken nowhere else and sells
nothing whose cash is another's; households pay otherwise then. Caps are minded behind the trade: which sale meets one
first differs from run to run.

Invented, points: the drugstore owes them; of 5.00 on a purchase at a store or the drugstore earns two a dollar, of
50.00 on (from July 40.00) three, rounded down, and stores pay for what they give. A point is worth 3/4 of a cent, from
16 January 5/8, from July 2/3; each window values them once. Who buys fuel and began the day with 200 or more spends as
many hundreds as are worth less than the fuel. What comes back takes its points along and brings spent ones back.

Invented, passes: the restaurants owe seven visits for 23.00, custody holds the money, stores sell them for 2.5 %. Who
eats there without one buys one with that basket, where a store sold a part of it; what it buys there from then on is a
visit each. By SHA-256 of their baskets' numbers a quarter of the passes are paid out after 10 days. A visit comes back
whole or not at all.

Invented, payment: a run each month; what is below 20.00 is carried forward, in the last run nothing; the operator
stands for up to 10,000.00 of what others carry; the bank does what it is told.
"""
INVENTED: Final = tuple(rule.strip().replace("\n", " ") for rule in _RULES.split("\n\n"))


def _terms(code: str, issuer: str, custody: str, calendar: str) -> Agreement:
    return Agreement(
        code,
        "TERMS",
        {
            "issuer": issuer,
            "custody": custody,
            "sellers": [issuer],
            "tiers": [{"from_minor": tier.from_minor, "bonus": str(tier.bonus)} for tier in TOP_UP_RULE.tiers],
            "minimum_minor": TOP_UP_RULE.steps_minor[0],
            "bonus_months": 24,
            "seller_commission": "0",
            "calendar": calendar,
        },
    )


def _acceptance(code: str, issuer: str, acquirer: str, issuer_bonus_share: str, interchange: str) -> Agreement:
    return Agreement(
        code,
        "ACCEPTANCE",
        {
            "issuer": issuer,
            "acquirer": acquirer,
            "accepted": True,
            "issuer_bonus_share": issuer_bonus_share,
            "interchange": interchange,
        },
    )


def _acquiring(code: str, acquirer: str, operator_fee: str, commission: str) -> Agreement:
    return Agreement(
        code,
        "ACQUIRING",
        {
            "acquirer": acquirer,
            "operator_fee": operator_fee,
            "commission": commission,
            "commission_to": "RECRUITER",
        },
    )


def _fees(code: str, bands: dict[int, str], since: date | None = None, **content: Any) -> Agreement:
    rows = [{"from_volume": start, "rate": rate} for start, rate in bands.items()]
    return Agreement(code, "FEES", {"payee": "OPERATOR", "bands": rows, **content}, since)


def _agreements() -> tuple[Agreement, ...]:
    sellers = [alliance for alliance in ALLIANCES if alliance.sells]
    sold = [
        _terms("stored-value", CHAIN, "ISSUER_HELD", "monthly"),
        *(_terms(f"{seller.code}-value", seller.code, "OPERATOR_HELD", DAILY) for seller in sellers),
    ]
    taken = [
        _acceptance("among-stores", CHAIN, CHAIN, "1/2", "3/1000"),
        *(
            _acceptance(f"accepted-at-{each.code}", CHAIN, each.code, each.issuer_bonus_share, each.interchange)
            for each in ALLIANCES
        ),
        *(_acceptance(f"{seller.code}-at-stores", seller.code, CHAIN, "1/2", "3/1000") for seller in sellers),
        *(
            _acceptance(
                f"{seller.code}-at-{each.code}", seller.code, each.code, each.issuer_bonus_share, each.interchange
            )
            for seller in sellers
            for each in ALLIANCES
            if each is not seller
        ),
    ]
    paid = [
        _acquiring("stores-pay", CHAIN, "2/1000", "5/1000"),
        *(_acquiring(f"{each.code}-pays", each.code, each.operator_fee, each.commission) for each in ALLIANCES),
    ]
    return (*sold, *taken, *paid, *_fees_of_windows(), *_caps(), *_points(), _pass())


def _fees_of_windows() -> tuple[Agreement, ...]:
    stores: dict[str, Any] = {"payer": CHAIN, "base": "PURCHASES", "banding": "MARGINAL", "maximum_minor": 1_200}
    upper = {100_000: "3/1000", 300_000: "1/1000"}
    return (
        _fees("store-fees", {0: "5/1000", **upper}, minimum_minor=200, **stores),
        _fees("store-fees", {0: "4/1000", **upper}, date(2017, 7, 1), minimum_minor=100, **stores),
        _fees("new-members", {5: "40"}, payer=CHAIN, base="NEW_MEMBERS", banding="MARGINAL"),
        _fees(
            "drugstore-fees",
            {0: "4/1000", 5_300_000: "3/1000"},
            payer="drugstore",
            base="PURCHASES",
            banding="WHOLE",
        ),
        _fees(
            "fuel-rewards-restaurants",
            {0: "100"},
            payer="fuel",
            payee="restaurant",
            base="ACTIVATED_MEMBERS",
            measured="PAYEE",
            banding="MARGINAL",
        ),
    )


def _caps() -> tuple[Agreement, ...]:
    return (
        Agreement("restaurant-cap", "CAPS", {"participant": "restaurant", "net_debit_minor": RESTAURANT_CAP_MINOR}),
        Agreement("flowers-cap", "CAPS", {"participant": "flowers"}),
    )


def _points() -> tuple[Agreement, ...]:
    def version(value: str, upper: int, since: date | None = None) -> Agreement:
        content = {
            "debtor": "drugstore",
            "earned_at": [CHAIN, "drugstore"],
            "steps": [{"from_minor": 500, "rate": "1/50"}, {"from_minor": upper, "rate": "3/100"}],
            "value": value,
            "borne_by": "ACQUIRER",
            "spent_at": [POINTS_RULE.spent_at],
        }
        return Agreement(POINTS, "POINTS", content, since)

    return (
        version("3/4", 5_000),
        version("5/8", 5_000, date(2017, 1, 16)),
        version("2/3", 4_000, date(2017, 7, 1)),
    )


def _pass() -> Agreement:
    return Agreement(
        MEALS,
        "PASSES",
        {
            "issuer": "restaurant",
            "custody": "OPERATOR_HELD",
            "sellers": [CHAIN],
            "price_minor": PASS_PRICE_MINOR,
            "visits": PASS_VISITS,
            "months": 12,
            "honoured_at": ["restaurant"],
            "seller_commission": "25/1000",
            "calendar": DAILY,
        },
    )


AGREEMENTS: Final = _agreements()
