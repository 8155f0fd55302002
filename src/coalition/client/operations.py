"""The operations of a terminal, as what they ask for; how each is stored, sent and heard, `AioTerminal` knows."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from coalition.client.arguments import name_original
from coalition.client.credentials import Credential, presented
from coalition.client.outbox_rows import Kind
from coalition.v1.operations_pb2 import (
    AuthorizeRequest,
    CaptureRequest,
    CashOutRequest,
    ConvertPointsRequest,
    Funding,
    PurchaseRequest,
    Receipt,
    RefundRequest,
    RepayPointsRequest,
    ReturnedGoods,
    ReturnPassRequest,
    ReturnPointsRequest,
    ReturnTopUpRequest,
    ReturnVisitRequest,
    ReverseTopUpRequest,
    SaleItem,
    SellPassRequest,
    SpendPointsRequest,
    Tender,
    TopUpRequest,
    VisitPassRequest,
    VoidRequest,
)

METHODS: Final = {
    Kind.TOP_UP: "TopUp",
    Kind.PURCHASE: "Purchase",
    Kind.REFUND: "Refund",
    Kind.AUTHORIZE: "Authorize",
    Kind.CAPTURE: "Capture",
    Kind.VOID: "Void",
    Kind.RETURN_TOP_UP: "ReturnTopUp",
    Kind.REVERSE_TOP_UP: "ReverseTopUp",
    Kind.CASH_OUT: "CashOut",
    Kind.SELL_PASS: "SellPass",
    Kind.VISIT_PASS: "VisitPass",
    Kind.RETURN_VISIT: "ReturnVisit",
    Kind.RETURN_PASS: "ReturnPass",
    Kind.SPEND_POINTS: "SpendPoints",
    Kind.RETURN_POINTS: "ReturnPoints",
    Kind.CONVERT_POINTS: "ConvertPoints",
    Kind.REPAY_POINTS: "RepayPoints",
}


class Operations(ABC):
    """What a till may ask for; each takes effect once, and raises what `AioTerminal` says of it."""

    _currency: str

    @abstractmethod
    async def _operate(self, kind: Kind, request: Any, pin: str | None = None) -> Receipt:
        """Run one operation. The request is complete but for its id, time, terminal and PIN."""

    async def top_up(
        self,
        card: Credential,
        amount_minor: int,
        *,
        issuer: str = "",
        terms: str = "",
        funding: Funding.ValueType = Funding.FUNDING_CASH,
        sale_reference: str = "",
    ) -> Receipt:
        """Sell stored value: the member pays `amount_minor` by `funding`, the bonus comes on top."""
        request = TopUpRequest(
            **presented(card),
            amount_minor=amount_minor,
            currency_code=self._currency,
            issuer=issuer,
            terms=terms,
            funding=funding,
            sale_reference=sale_reference,
        )
        return await self._operate(Kind.TOP_UP, request)

    async def purchase(
        self,
        card: Credential,
        amount_minor: int,
        *,
        sale_reference: str = "",
        pin: str | None = None,
        items: Sequence[SaleItem] = (),
        tenders: Sequence[Tender] = (),
    ) -> Receipt:
        """Spend stored value, the whole amount or nothing. `pin`: as the member typed it, where one is needed.

        `items` and `tenders` tell what was sold and what it was paid with.
        """
        request = PurchaseRequest(
            **presented(card),
            amount_minor=amount_minor,
            currency_code=self._currency,
            sale_reference=sale_reference,
            items=items,
            tenders=tenders,
        )
        return await self._operate(Kind.PURCHASE, request, pin)

    async def refund(
        self,
        original: Receipt | str | int,
        amount_minor: int,
        *,
        goods: ReturnedGoods.ValueType = ReturnedGoods.RETURNED_GOODS_UNSPECIFIED,
    ) -> Receipt:
        """Give `amount_minor` of a purchase back. `original`: its receipt, request_id or entry_id.

        `goods`: who has them, where they were bought at another participant; named by its entry_id then.
        """
        request = RefundRequest(amount_minor=amount_minor, currency_code=self._currency, returned_goods=goods)
        name_original(request, "original", original)
        return await self._operate(Kind.REFUND, request)

    async def authorize(
        self,
        card: Credential,
        amount_minor: int,
        *,
        hold_seconds: int = 0,
        sale_reference: str = "",
        pin: str | None = None,
    ) -> Receipt:
        """Keep `amount_minor` aside, for `hold_seconds` (0: seven days). `pin`: as for a purchase."""
        request = AuthorizeRequest(
            **presented(card),
            amount_minor=amount_minor,
            currency_code=self._currency,
            hold_seconds=hold_seconds,
            sale_reference=sale_reference,
        )
        return await self._operate(Kind.AUTHORIZE, request, pin)

    async def capture(self, hold: Receipt | str | int, amount_minor: int, *, sale_reference: str = "") -> Receipt:
        """Spend `amount_minor` of a hold, once; the rest is released. `hold`: its receipt, request_id or entry_id."""
        request = CaptureRequest(amount_minor=amount_minor, currency_code=self._currency, sale_reference=sale_reference)
        name_original(request, "hold", hold)
        return await self._operate(Kind.CAPTURE, request)

    async def void(self, hold: Receipt | str | int) -> Receipt:
        """Release a hold whole. `hold`: its receipt, request_id or entry_id."""
        request = VoidRequest()
        name_original(request, "hold", hold)
        return await self._operate(Kind.VOID, request)

    async def return_top_up(self, top_up: Receipt | str | int) -> Receipt:
        """Take an untouched top-up back; the receipt's amount is to be paid out. `top_up`: as for `refund`."""
        request = ReturnTopUpRequest()
        name_original(request, "original", top_up)
        return await self._operate(Kind.RETURN_TOP_UP, request)

    async def reverse_top_up(self, top_up: Receipt | str | int) -> Receipt:
        """The money of a top-up bounced: take what is left of it. `top_up`: as for `refund`."""
        request = ReverseTopUpRequest()
        name_original(request, "original", top_up)
        return await self._operate(Kind.REVERSE_TOP_UP, request)

    async def cash_out(self, card: Credential, *, close_wallet: bool = False, pin: str | None = None) -> Receipt:
        """Pay the member the receipt's amount, the principal of all lots; `close_wallet`: for good. `pin`: as above."""
        request = CashOutRequest(**presented(card), close_wallet=close_wallet)
        return await self._operate(Kind.CASH_OUT, request, pin)

    async def sell_pass(
        self,
        card: Credential,
        price_minor: int,
        *,
        issuer: str = "",
        name: str = "",
        funding: Funding.ValueType = Funding.FUNDING_CASH,
        sale_reference: str = "",
    ) -> Receipt:
        """Sell a pass for its price. `name`: which one, where the issuer (empty: this participant) sells several."""
        request = SellPassRequest(
            **presented(card),
            amount_minor=price_minor,
            currency_code=self._currency,
            issuer=issuer,
            funding=funding,
            sale_reference=sale_reference,
            pass_code=name,
        )
        return await self._operate(Kind.SELL_PASS, request)

    async def visit_pass(
        self,
        card: Credential,
        visit_count: int = 1,
        *,
        name: str = "",
        sale_reference: str = "",
        pin: str | None = None,
    ) -> Receipt:
        """Take visits of a pass; the receipt says what is left. `name`: of which, where the member has several."""
        request = VisitPassRequest(
            **presented(card), visit_count=visit_count, sale_reference=sale_reference, pass_code=name
        )
        return await self._operate(Kind.VISIT_PASS, request, pin)

    async def return_visit(self, visit: Receipt | str | int) -> Receipt:
        """Give the visits of an entry back to their pass. `visit`: as for `refund`."""
        request = ReturnVisitRequest()
        name_original(request, "original", visit)
        return await self._operate(Kind.RETURN_VISIT, request)

    async def return_pass(self, sale: Receipt | str | int) -> Receipt:
        """Pay the member the receipt's amount, what is left of a pass. `sale`: what sold it, as for `refund`."""
        request = ReturnPassRequest()
        name_original(request, "original", sale)
        return await self._operate(Kind.RETURN_PASS, request)

    async def spend_points(
        self,
        card: Credential,
        points: int,
        *,
        programme: str = "",
        sale_reference: str = "",
        pin: str | None = None,
    ) -> Receipt:
        """Take points in payment; the receipt says their worth. `programme`: whose, where several are taken here."""
        request = SpendPointsRequest(
            **presented(card), points=points, programme=programme, sale_reference=sale_reference
        )
        return await self._operate(Kind.SPEND_POINTS, request, pin)

    async def return_points(self, spend: Receipt | str | int, points: int = 0) -> Receipt:
        """Give spent points back, all that is left of them where none are said. `spend`: as for `refund`."""
        request = ReturnPointsRequest(points=points)
        name_original(request, "original", spend)
        return await self._operate(Kind.RETURN_POINTS, request)

    async def convert_points(
        self, card: Credential, points: int, *, programme: str = "", pin: str | None = None
    ) -> Receipt:
        """Turn points into value of the same wallet, as was agreed; the receipt's amount says how much."""
        request = ConvertPointsRequest(**presented(card), points=points, programme=programme)
        return await self._operate(Kind.CONVERT_POINTS, request, pin)

    async def repay_points(
        self, card: Credential, owed_programme: str, points: int = 0, *, programme: str = "", pin: str | None = None
    ) -> Receipt:
        """Repay points that are owed of a programme, all where none are said, with points of another (`programme`)."""
        request = RepayPointsRequest(
            **presented(card), owed_programme=owed_programme, points=points, programme=programme
        )
        return await self._operate(Kind.REPAY_POINTS, request, pin)
