"""The call about proposed agreements, for SettlementService: who would have gained and lost in past windows.

Headquarters of a participant propose what it is a party of, and are told its own lines: what others would have gained
is theirs to ask.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

from coalition.domain.accounts import TransferCode
from coalition.domain.agreements import Content, parse_content
from coalition.domain.errors import Refused
from coalition.domain.reasons import Reason
from coalition.domain.simulation import Proposal
from coalition.domain.simulation_records import NET, Declined, Float, Line, Outcome
from coalition.programme.agreement_rules import parties_of
from coalition.server.convert_programme import KIND_OF_FIELD, content_of, with_content_field
from coalition.server.identity import Caller, HasProgramme
from coalition.server.own import own_codes, own_parties
from coalition.v1 import operations_pb2, settlement_pb2

CALENDAR_DEFAULT: Final = "monthly"


class Simulations(Protocol):
    """Blocking. Raises Refused: CALLS_EXCEEDED, WINDOW_UNKNOWN, WINDOW_STATE_CONFLICT, FIELD_INVALID."""

    def simulate(self, calendar: str, labels: Sequence[str], proposals: Sequence[Proposal]) -> Outcome: ...


class SimulationCalls:
    """It blocks for long, so it runs in a worker thread."""

    def __init__(self, simulations: Simulations, programme: HasProgramme) -> None:
        self._simulations = simulations
        self._programme = programme

    async def find(
        self, request: settlement_pb2.FindWhoWouldGainRequest, present: Caller
    ) -> settlement_pb2.FindWhoWouldGainResponse:
        """For headquarters of a participant, and for the operator and auditors in anybody's name."""
        programme = self._programme.current
        proposals = [_proposal(each) for each in request.proposals]
        own = own_parties(present, programme)
        if own is not None and any(own.isdisjoint(parties_of(each.content)) for each in proposals):
            raise Refused(Reason.PERMISSION_DENIED, "proposals")
        if len({each.code for each in proposals}) < len(proposals):
            raise Refused(Reason.FIELD_INVALID, "proposals", {"expected": "one version of each agreement"})
        outcome = await asyncio.to_thread(
            self._simulations.simulate, request.calendar or CALENDAR_DEFAULT, list(request.labels), proposals
        )
        told, currency_code = outcome.of(own_codes(present, programme)), programme.scheme.currency_code
        return settlement_pb2.FindWhoWouldGainResponse(
            lines=[_line(line, currency_code) for line in told.lines],
            declined=[_declined(each, currency_code) for each in told.declined],
            floats=[_float(each, currency_code) for each in told.floats],
        )


def _proposal(message: settlement_pb2.ProposedAgreement) -> Proposal:
    field: Any = message.WhichOneof("content")  # validation has made sure that one is set
    kind = KIND_OF_FIELD[field]
    try:
        content: Content = parse_content(kind, content_of(getattr(message, field)))
    except Refused as refused:
        raise with_content_field(refused, f"proposals.{field}") from None
    return Proposal(message.code, kind, content)


def _line(line: Line, currency_code: str) -> settlement_pb2.SimulatedLine:
    return settlement_pb2.SimulatedLine(
        label=line.label,
        participant=line.participant,
        code=operations_pb2.TRANSFER_CODE_UNSPECIFIED
        if line.code == NET
        else operations_pb2.TransferCode.ValueType(TransferCode[line.code]),
        real_minor=line.real_minor,
        simulated_minor=line.simulated_minor,
        currency_code=currency_code,
    )


def _float(lies: Float, currency_code: str) -> settlement_pb2.SimulatedFloat:
    return settlement_pb2.SimulatedFloat(
        label=lies.label,
        custodian=lies.custodian,
        issuer=lies.issuer,
        real_minor=lies.real_minor,
        simulated_minor=lies.simulated_minor,
        currency_code=currency_code,
    )


def _declined(declined: Declined, currency_code: str) -> settlement_pb2.DeclinedSales:
    return settlement_pb2.DeclinedSales(
        label=declined.label,
        participant=declined.participant,
        reason=declined.reason.name,
        count=declined.count,
        amount_minor=declined.amount_minor,
        currency_code=currency_code,
    )
