"""The coalition of the demo: which departments are alliance merchants, what was agreed, and how members top up.

The agreements and the top-up rule are the invented part of the demo; everything that is bought is in the data. Chosen
for this trade: half of the households spend less than 125.00 a month here, one in twenty more than 583.00.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from coalition.replay.trade import Agreement, Tier, TopUpRule

CHAIN_CODE: Final = "journey"
CHAIN: Final = f"chain:{CHAIN_CODE}"
CHAIN_TILLS: Final = f"/ts/{CHAIN_CODE}/tills"


@dataclass(frozen=True, slots=True)
class Alliance:
    """An alliance merchant and its terms: which part of the bonus the issuer bears there, what it pays whom."""

    code: str
    display_name: str
    departments: tuple[str, ...]
    issuer_bonus_share: str
    interchange: str
    operator_fee: str
    commission: str


ALLIANCES: Final = (
    Alliance("fuel", "Fuel stations", ("FUEL",), "1", "2/1000", "3/1000", "0"),
    Alliance("flowers", "Flowers and gardens", ("FLORAL", "GARDEN CENTER"), "1/2", "5/1000", "6/1000", "1/100"),
    Alliance("drugstore", "Drugstore", ("DRUG GM", "COSMETICS", "NUTRITION"), "1/2", "5/1000", "5/1000", "1/100"),
    Alliance(
        "restaurant", "Restaurant", ("RESTAURANT", "SALAD BAR", "CHEF SHOPPE"), "1/4", "8/1000", "6/1000", "15/1000"
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
TOP_UP_SENTENCE: Final = (
    "When its balance is short of a basket, a household pays in 50.00, 100.00 or 200.00, the least that covers what is"
    " missing (above 200.00: the next multiple of it), at the store of its first basket, for 2 %, 6 % or 10 % bonus."
)


def _agreements() -> tuple[Agreement, ...]:
    terms = Agreement(
        "stored-value",
        "TERMS",
        {
            "issuer": CHAIN,
            "custody": "ISSUER_HELD",
            "sellers": [CHAIN],
            "tiers": [{"from_minor": tier.from_minor, "bonus": str(tier.bonus)} for tier in TOP_UP_RULE.tiers],
            "minimum_minor": TOP_UP_RULE.steps_minor[0],
            "bonus_months": 24,
            "seller_commission": "0",
        },
    )
    among_stores = Agreement(
        "among-stores",
        "ACCEPTANCE",
        {"issuer": CHAIN, "acquirer": CHAIN, "accepted": True, "issuer_bonus_share": "1/2", "interchange": "3/1000"},
    )
    stores_pay = Agreement(
        "stores-pay",
        "ACQUIRING",
        {"acquirer": CHAIN, "operator_fee": "2/1000", "commission": "5/1000", "commission_to": "RECRUITER"},
    )
    accepted_at = [
        Agreement(
            f"accepted-at-{alliance.code}",
            "ACCEPTANCE",
            {
                "issuer": CHAIN,
                "acquirer": alliance.code,
                "accepted": True,
                "issuer_bonus_share": alliance.issuer_bonus_share,
                "interchange": alliance.interchange,
            },
        )
        for alliance in ALLIANCES
    ]
    pays = [
        Agreement(
            f"{alliance.code}-pays",
            "ACQUIRING",
            {
                "acquirer": alliance.code,
                "operator_fee": alliance.operator_fee,
                "commission": alliance.commission,
                "commission_to": "RECRUITER",
            },
        )
        for alliance in ALLIANCES
    ]
    return (terms, among_stores, stores_pay, *accepted_at, *pays)


AGREEMENTS: Final = _agreements()
