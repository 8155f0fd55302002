"""The terminal for threads and scripts: the same one, on an event loop of its own in the background.

One implementation: every method hands the call to `AioTerminal` and waits. Never touches a request itself.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from coalition.client.aio_terminal import AioTerminal
from coalition.client.certificate import ClientCertificate
from coalition.client.credentials import Credential
from coalition.client.day_end import ClosedDay, DayTotals
from coalition.client.day_statement import DaySigner
from coalition.client.errors import TerminalClosed
from coalition.client.line import LineState
from coalition.client.offline_queue import OfflineLimits
from coalition.client.outbox_file import OutboxFile
from coalition.client.outbox_rows import OutboxRow
from coalition.client.pins import PinSealer
from coalition.client.receipts import KeptReceipts
from coalition.client.surroundings import Surroundings
from coalition.client.tries import TryRules
from coalition.v1.audit_pb2 import GetSealedReceiptResponse
from coalition.v1.operations_pb2 import Funding, Receipt, ReturnedGoods, SaleItem, Tender
from coalition.v1.terminal_pb2 import Balance

Answer = TypeVar("Answer")


class Terminal:
    """A terminal that cannot get it wrong: it never pays twice, and never leaves a sale half paid.

    Every operation is on disk before it is sent, sent again by the same request_id when its answer is lost, and undone
    when no answer can be had: by this run, or first thing by the next.

        certificate = ClientCertificate.load(Path("var/certificates"), "t/cafe/main/till-1")
        with Terminal("127.0.0.1:7443", certificate, outbox=Path("till-1.outbox")) as till:
            try:
                receipt = till.purchase(card_number, 12_30, sale_reference="S-1")
            except Declined as no:
                print(no.reason, no.cure)          # not paid
            except NotDone as nothing:
                print(nothing.cure)                # not paid, nothing was sent
            except OutcomeUnknown as lost:
                print(lost)                        # not paid: its reversal is on its way

    `outbox` is this terminal's own file, kept between runs; it never holds a card number or a PIN. A till server gives
    its terminals one open `OutboxFile`: together they need few syncs of the disk. `offline` is what it may approve by
    itself while there is no line: such a sale lies beside the outbox, with its card number, until it is told. `at`
    names the terminal ("cafe/main/till-1") where the certificate is a till server's or the outbox is shared. Amounts
    are minor units. What is declined for PIN_REQUIRED is asked for anew with a `pin`; `pin_sealer` seals it
    (docs/pins.md). Safe to share between threads. An operation raises Declined, NotDone (and its kinds) or
    OutcomeUnknown, and nothing else.
    """

    def __init__(
        self,
        server: str,
        certificate: ClientCertificate,
        *,
        outbox: Path | OutboxFile,
        at: str | None = None,
        currency_code: str = "CNY",
        offline: OfflineLimits | None = None,
        rules: TryRules | None = None,
        surroundings: Surroundings | None = None,
        pin_sealer: PinSealer | None = None,
    ) -> None:
        self._aio = AioTerminal(
            server,
            certificate,
            outbox=outbox,
            at=at,
            currency_code=currency_code,
            offline=offline,
            rules=rules,
            surroundings=surroundings,
            pin_sealer=pin_sealer,
        )
        self._loop: asyncio.AbstractEventLoop | None = None

    def top_up(
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
        return self._run(
            self._aio.top_up(
                card, amount_minor, issuer=issuer, terms=terms, funding=funding, sale_reference=sale_reference
            )
        )

    def purchase(
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
        return self._run(
            self._aio.purchase(card, amount_minor, sale_reference=sale_reference, pin=pin, items=items, tenders=tenders)
        )

    def approve_offline(
        self,
        card_number: str,
        amount_minor: int,
        *,
        sale_reference: str = "",
        items: Sequence[SaleItem] = (),
        tenders: Sequence[Tender] = (),
    ) -> str:
        """Approve a sale without the service, which is told of it in its order once the line is back; its request_id.

        For when a purchase ended in Offline, UndoneFirst or OutcomeUnknown. Raises OfflineRefused beyond `offline`.
        """
        return self._run(
            self._aio.approve_offline(
                card_number, amount_minor, sale_reference=sale_reference, items=items, tenders=tenders
            )
        )

    def refund(
        self,
        original: Receipt | str | int,
        amount_minor: int,
        *,
        goods: ReturnedGoods.ValueType = ReturnedGoods.RETURNED_GOODS_UNSPECIFIED,
    ) -> Receipt:
        """Give `amount_minor` of a purchase back. `original`: its receipt, request_id or entry_id.

        `goods`: who has them, where they were bought at another participant; named by its entry_id then.
        """
        return self._run(self._aio.refund(original, amount_minor, goods=goods))

    def authorize(
        self,
        card: Credential,
        amount_minor: int,
        *,
        hold_seconds: int = 0,
        sale_reference: str = "",
        pin: str | None = None,
    ) -> Receipt:
        """Keep `amount_minor` aside, for `hold_seconds` (0: seven days). `pin`: as for a purchase."""
        return self._run(
            self._aio.authorize(card, amount_minor, hold_seconds=hold_seconds, sale_reference=sale_reference, pin=pin)
        )

    def capture(self, hold: Receipt | str | int, amount_minor: int, *, sale_reference: str = "") -> Receipt:
        """Spend `amount_minor` of a hold, once; the rest is released. `hold`: its receipt, request_id or entry_id."""
        return self._run(self._aio.capture(hold, amount_minor, sale_reference=sale_reference))

    def void(self, hold: Receipt | str | int) -> Receipt:
        """Release a hold whole. `hold`: its receipt, request_id or entry_id."""
        return self._run(self._aio.void(hold))

    def return_top_up(self, top_up: Receipt | str | int) -> Receipt:
        """Take an untouched top-up back; the receipt's amount is to be paid out. `top_up`: as for `refund`."""
        return self._run(self._aio.return_top_up(top_up))

    def reverse_top_up(self, top_up: Receipt | str | int) -> Receipt:
        """The money of a top-up bounced: take what is left of it. `top_up`: as for `refund`."""
        return self._run(self._aio.reverse_top_up(top_up))

    def cash_out(self, card: Credential, *, close_wallet: bool = False, pin: str | None = None) -> Receipt:
        """Pay the member the receipt's amount, the principal of all lots; `close_wallet`: for good. `pin`: as above."""
        return self._run(self._aio.cash_out(card, close_wallet=close_wallet, pin=pin))

    def sell_pass(
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
        return self._run(
            self._aio.sell_pass(
                card, price_minor, issuer=issuer, name=name, funding=funding, sale_reference=sale_reference
            )
        )

    def visit_pass(
        self,
        card: Credential,
        visit_count: int = 1,
        *,
        name: str = "",
        sale_reference: str = "",
        pin: str | None = None,
    ) -> Receipt:
        """Take visits of a pass; the receipt says what is left. `name`: of which, where the member has several."""
        return self._run(self._aio.visit_pass(card, visit_count, name=name, sale_reference=sale_reference, pin=pin))

    def return_visit(self, visit: Receipt | str | int) -> Receipt:
        """Give the visits of an entry back to their pass. `visit`: as for `refund`."""
        return self._run(self._aio.return_visit(visit))

    def return_pass(self, sale: Receipt | str | int) -> Receipt:
        """Pay the member the receipt's amount, what is left of a pass. `sale`: what sold it, as for `refund`."""
        return self._run(self._aio.return_pass(sale))

    def spend_points(
        self,
        card: Credential,
        points: int,
        *,
        programme: str = "",
        sale_reference: str = "",
        pin: str | None = None,
    ) -> Receipt:
        """Take points in payment; the receipt says their worth. `programme`: whose, where several are taken here."""
        return self._run(
            self._aio.spend_points(card, points, programme=programme, sale_reference=sale_reference, pin=pin)
        )

    def return_points(self, spend: Receipt | str | int, points: int = 0) -> Receipt:
        """Give spent points back, all that is left of them where none are said. `spend`: as for `refund`."""
        return self._run(self._aio.return_points(spend, points))

    def convert_points(self, card: Credential, points: int, *, programme: str = "", pin: str | None = None) -> Receipt:
        """Turn points into value of the same wallet, as was agreed; the receipt's amount says how much."""
        return self._run(self._aio.convert_points(card, points, programme=programme, pin=pin))

    def repay_points(
        self, card: Credential, owed_programme: str, points: int = 0, *, programme: str = "", pin: str | None = None
    ) -> Receipt:
        """Repay points that are owed of a programme, all where none are said, with points of another (`programme`)."""
        return self._run(self._aio.repay_points(card, owed_programme, points, programme=programme, pin=pin))

    def balance(self, card: Credential) -> Balance:
        """What the wallet of a card holds, and how much of it is accepted here."""
        return self._run(self._aio.balance(card))

    def resolve(self, request_id: str) -> Receipt:
        """The stored answer of an operation: its receipt, or Declined. One that never arrived is killed (KILLED)."""
        return self._run(self._aio.resolve(request_id))

    @property
    def state(self) -> LineState:
        """How the line stands, and what waits."""
        return self._run(self._state())

    def recent(self, limit: int = 20) -> list[OutboxRow]:
        """The last operations of this outbox, newest first: what became of a sale before a crash."""
        return self._run(self._aio.recent(limit))

    def dismiss(self, request_id: str) -> bool:
        """A person has seen to an operation in `state.needs_help`. Answers whether there was one such."""
        return self._run(self._dismiss(request_id))

    def day_totals(self) -> DayTotals:
        """What this terminal counts since its last close beside what the journal counts."""
        return self._run(self._aio.day_totals())

    def close_day(self, sign: DaySigner, *, business_date: str = "", leave_waiting: bool = False) -> ClosedDay:
        """Close the day: tell the journal this terminal's own signed count, and hear every difference.

        `sign` signs the statement by the private key of the certificate. Operations wait meanwhile. Raises
        DayNotSettled while some wait to be undone or uploaded, unless `leave_waiting` leaves them to the next close;
        Declined, NotDone: nothing was closed; CloseWaits: stored, and sent until it is answered: ask again.
        """
        return self._run(self._aio.close_day(sign, business_date=business_date, leave_waiting=leave_waiting))

    def keep_receipts(self) -> KeptReceipts:
        """Fetch and store the sealed receipts of all that was answered and has none yet; `close_day` does so too.

        Whoever holds a sealed receipt can show that the coalition gave the answer, whatever becomes of its log.
        """
        return self._run(self._aio.keep_receipts())

    def receipts(self) -> list[GetSealedReceiptResponse]:
        """The sealed receipts that are kept, in the order of their entries."""
        return self._run(self._aio.receipts())

    def settled(self, timeout_s: float) -> bool:
        """Wait until nothing waits to be undone, uploaded or recorded; False where something does after `timeout_s`."""
        return self._run(self._aio.settled(timeout_s))

    def open(self) -> Self:
        """Open the outbox and begin to undo what an earlier run left. Raises OutboxInUse, OutboxFailed."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="terminal", daemon=True)
        self._thread.start()
        try:
            self._run(self._aio.open())
        except BaseException:
            self._end(self._loop)
            raise
        return self

    def close(self) -> None:
        """End; what is not answered or undone is, at the next start."""
        if self._loop is not None:
            try:
                self._run(self._aio.close())
            finally:
                self._end(self._loop)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _state(self) -> LineState:
        return self._aio.state

    async def _dismiss(self, request_id: str) -> bool:
        return self._aio.dismiss(request_id)

    def _run(self, call: Coroutine[Any, Any, Answer]) -> Answer:
        if self._loop is None:
            call.close()
            raise TerminalClosed
        waiting = asyncio.run_coroutine_threadsafe(call, self._loop)
        try:
            return waiting.result()
        except BaseException:
            # Ctrl-C while the service thinks: the call counts as unanswered and is undone. Else it has ended already.
            waiting.cancel()
            raise

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = None
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()
