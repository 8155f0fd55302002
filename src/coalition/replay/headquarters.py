"""Headquarters at the end of each day and month, over SettlementService: close, net, and pay in a run to the end.

A run is prepared by the operator, approved by three people with certificates of their own, exported as payment files,
and confirmed by what the bank says; the bank of the demo does what the files tell it. Decides nothing about money.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Self

from coalition.client import ClientCertificate, Connection, new_request_id
from coalition.v1 import settlement_pb2 as pb

OPERATOR: Final = "/op/demo"
OFFICES: Final = {
    "/ap/finance": pb.OFFICE_FINANCE,
    "/ap/ratifier": pb.OFFICE_RATIFIER,
    "/ap/chairman": pb.OFFICE_CHAIRMAN,
}
PAGE: Final = 1000
COLLECTIONS: Final = "collections.csv"
PAYMENTS: Final = "payments.csv"
RESULT: Final = ("bank_reference", "instruction_id", "direction", "amount", "currency", "result", "cause")
ACCOUNTS: Final = ("participant", "account", "bank", "holder", "mandate_id", "mandate_date")


class RunUnfinished(Exception):
    """A settlement run did not come to its end although the bank did everything it was told."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A closed window: the last batch that may hold its claims, and the business date on which it was closed."""

    number: int
    close_date: date


@dataclass(frozen=True, slots=True)
class Party:
    """What a run had for a participant, minor units with its sign: above zero it is paid."""

    participant: str
    due_minor: int
    instructed_minor: int
    settled_minor: int


@dataclass(frozen=True, slots=True)
class PaidRun:
    """A settlement run that is done; amounts in minor units."""

    run_id: int
    windows: tuple[str, ...]
    minimum_minor: int
    collected_minor: int
    paid_minor: int
    parties: tuple[Party, ...]

    @property
    def carried_minor(self) -> int:
        """What was due of anybody, in or out, and was carried forward."""
        return sum(abs(party.due_minor - party.instructed_minor) for party in self.parties)

    @property
    def left_minor(self) -> int:
        """What is still due of anybody after the run."""
        return sum(abs(party.due_minor - party.settled_minor) for party in self.parties)


class Headquarters:
    """Open connections of the operator and of the three approvers to the settlement server at `address`."""

    def __init__(
        self,
        address: str,
        certificates: Callable[[str], ClientCertificate],
        business_date: Callable[[pb.Window], date],
    ) -> None:
        self._address = address
        self._certificates = certificates
        self._business_date = business_date
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._operator = self._open(OPERATOR)
        self._approvers = {approver: self._open(approver) for approver in OFFICES}
        for approver, office in OFFICES.items():
            request = pb.SetOfficesRequest(request_id=new_request_id(), approver=approver, offices=[office])
            self._operator.call(self._operator.settlement.SetOffices, request)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def close(self, calendar: str, label: str) -> Cut:
        """Close the open window and open the next."""
        request = pb.CloseWindowRequest(request_id=new_request_id(), calendar=calendar, label=label)
        window = self._operator.call(self._operator.settlement.CloseWindow, request).window
        return Cut(window.cut_number, self._business_date(window))

    def net(self, calendar: str, label: str) -> None:
        """Net a closed window."""
        request = pb.NetWindowRequest(request_id=new_request_id(), calendar=calendar, label=label)
        self._operator.call(self._operator.settlement.NetWindow, request)

    def positions(self, calendar: str, label: str) -> Iterator[tuple[str, int, int, int]]:
        """(participant, received, sent, unit) as a window was netted."""
        request = pb.ListNetPositionsRequest(calendar=calendar, label=label, page_size=PAGE)
        while True:
            answer = self._operator.call(self._operator.settlement.ListNetPositions, request)
            for each in answer.net_positions:
                yield each.participant, each.received_minor, each.sent_minor, int(each.unit)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def approve_all(self) -> None:
        """Every approver agrees to what waits for it, in the order of the offices."""
        for approver in self._approvers.values():
            for waiting in approver.call(
                approver.settlement.ListApprovals, pb.ListApprovalsRequest(page_size=PAGE)
            ).approvals:
                approver.call(
                    approver.settlement.DecideApproval,
                    pb.DecideApprovalRequest(
                        request_id=new_request_id(),
                        approval_id=waiting.approval_id,
                        content_hash=waiting.content_hash,
                        decision=pb.APPROVAL_DECISION_APPROVED,
                    ),
                )

    def pay(self, minimum_minor: int, advance_limit_minor: int, directory: Path) -> PaidRun:
        """Settle every netted window in a run; the payment files and the bank's results lie in `directory`.

        Raises RunUnfinished if something that was instructed is not paid in the end.
        """
        service = self._operator.settlement
        wanted = pb.PrepareRunRequest(
            request_id=new_request_id(), minimum_minor=minimum_minor, advance_limit_minor=advance_limit_minor
        )
        prepared = self._operator.call(service.PrepareRun, wanted).run
        self.approve_all()
        directory.mkdir(parents=True, exist_ok=True)
        # Collections first: payments are handed out once they are covered.
        for suffix, direction in ((COLLECTIONS, "IN"), (PAYMENTS, "OUT")):
            request = pb.ExportRunRequest(request_id=new_request_id(), run_id=prepared.run_id)
            files = {file.file_name: file.content for file in self._operator.call(service.ExportRun, request).files}
            for name, content in files.items():
                (directory / name).write_bytes(content)
            instructions = next((content for name, content in files.items() if name.endswith(suffix)), b"")
            result = bank_result(instructions, direction)
            if result is not None:
                (directory / f"bank-{direction.lower()}.csv").write_bytes(result)
                self._operator.call(
                    service.ImportBankResult, pb.ImportBankResultRequest(request_id=new_request_id(), file=result)
                )
        parties = tuple(self._parties(prepared.run_id))
        unpaid = [party.participant for party in parties if party.settled_minor != party.instructed_minor]
        if unpaid:
            raise RunUnfinished(f"run {prepared.run_id}: {', '.join(unpaid)} did not pay or were not paid")
        return PaidRun(
            prepared.run_id,
            tuple(prepared.windows),
            minimum_minor,
            prepared.collected_minor,
            prepared.paid_minor,
            parties,
        )

    def _parties(self, run_id: int) -> Iterator[Party]:
        request = pb.ListRunPartiesRequest(run_id=run_id, page_size=PAGE)
        while True:
            answer = self._operator.call(self._operator.settlement.ListRunParties, request)
            for each in answer.parties:
                yield Party(each.participant, each.due_minor, each.instructed_minor, each.settled_minor)
            if not answer.next_page_token:
                return
            request.page_token = answer.next_page_token

    def _open(self, identity: str) -> Connection:
        return self._stack.enter_context(Connection(self._address, self._certificates(identity)))


def bank_result(instructions: bytes, direction: str) -> bytes | None:
    """What a bank says that booked every instruction of a plain payment file; None of a file without any."""
    rows = list(csv.DictReader(io.StringIO(instructions.decode())))
    booked = [
        (f"{direction}/{row['instruction_id']}", row["instruction_id"], direction, row["amount"], row["currency"])
        for row in rows
    ]
    return _csv(RESULT, [(*row, "BOOKED", "") for row in booked]) if booked else None


def bank_accounts(participants: Mapping[str, str], signed: str) -> bytes:
    """Made-up accounts and mandates of `participants` (code to name), as the command `accounts` takes them."""
    return _csv(
        ACCOUNTS,
        [
            (code, f"ACCOUNT{number:06d}", "DEMOBANK", name, f"M-{number:06d}", signed)
            for number, (code, name) in enumerate(sorted(participants.items()))
        ],
    )


def _csv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().encode()
