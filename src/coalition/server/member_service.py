"""MemberService: members and their cards, for counter staff. Turns messages into reception's acts.

A card number opens the card it names to whoever may call; members and cards are the coalition's. What is somebody's own
is in whose name a member is enrolled or a card issued. Nothing personal is logged here.
"""

import asyncio
from typing import Any
from uuid import UUID

from coalition.clearing.queue import Ticket
from coalition.domain.errors import Refused
from coalition.domain.kinds import Kind
from coalition.domain.reasons import Reason
from coalition.membership.device_desk import DeviceDesk
from coalition.membership.reception import Reception
from coalition.server import convert_member as convert
from coalition.server import opening_lots
from coalition.server.acting import act_of, receipt
from coalition.server.identity import HasProgramme, Role, caller
from coalition.server.member_exports import MemberExportCalls
from coalition.server.own import acting_for
from coalition.server.request_ids import RequestIds, parse_request_id
from coalition.server.sinks import Gathering
from coalition.server.terminal import DeskDoor
from coalition.v1 import member_pb2


class MemberService(MemberExportCalls):
    """Acts block, so each runs in a worker thread."""

    def __init__(
        self,
        reception: Reception[Any],
        devices: DeviceDesk[Any],
        programme: HasProgramme,
        request_ids: RequestIds,
        desk: DeskDoor,
    ) -> None:
        super().__init__(reception, request_ids)
        self._devices = devices
        self._programme = programme
        self._desk = desk

    async def EnrolMember(self, request: member_pb2.EnrolMemberRequest, context: Any) -> member_pb2.EnrolMemberResponse:
        recruiter = acting_for(caller(context), self._programme.current, request.recruiter, "recruiter")
        if request.real_name_verified and caller(context).role is Role.TERMINAL:
            # As VerifyMember: who may top up without bounds is not for a single till to say.
            raise Refused(Reason.PERMISSION_DENIED, "real_name_verified")
        act = await act_of(caller(context), Kind.MEMBER_ENROLLED, request, self._request_ids)
        profile = convert.profile_of(request.profile)
        enrolled = await asyncio.to_thread(
            lambda: self._reception.enrol(act, profile, recruiter, real_name_verified=request.real_name_verified)
        )
        return member_pb2.EnrolMemberResponse(
            member_id=str(enrolled.member_id),
            wallet_id=enrolled.wallet_id,
            receipt=receipt(act, enrolled.entry_id, enrolled.time, replayed=enrolled.replayed),
        )

    async def ImportMembers(
        self, request: member_pb2.ImportMembersRequest, context: Any
    ) -> member_pb2.ImportMembersResponse:
        recruiter = acting_for(caller(context), self._programme.current, request.recruiter, "recruiter")
        act = await act_of(caller(context), Kind.MEMBERS_IMPORTED, request, self._request_ids)
        arrivals = [convert.arrival_of(line) for line in request.members]
        answer, lines = await asyncio.to_thread(self._reception.intake.take, act, recruiter, arrivals)
        return member_pb2.ImportMembersResponse(
            lines=[
                member_pb2.ImportedLine(
                    member_id=str(line.member_id) if line.member_id else "", reason=line.reason.name, field=line.field
                )
                for line in lines
            ],
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed),
        )

    async def OpenLots(self, request: member_pb2.OpenLotsRequest, context: Any) -> member_pb2.OpenLotsResponse:
        present, request_id = caller(context), parse_request_id(request.request_id)
        await self._request_ids.check(present.participant_id, opening_lots.lot_request_id(request_id, 0))
        wallets = await asyncio.to_thread(self._reception.holders.wallets, opening_lots.holders_of(request))
        commands, answers = opening_lots.commands_of(request, request_id, wallets, present, self._programme.current)
        if commands:
            # Not taken back when the caller hangs up: what is opened once is opened, and told again when asked.
            sink = Gathering(len(commands))
            self._desk.submit([Ticket(command, sink, context=place) for place, command in commands.items()])
            await sink.complete
            answers |= sink.answers
        return member_pb2.OpenLotsResponse(lots=opening_lots.ended([answers[place] for place in range(len(wallets))]))

    async def IssueCard(self, request: member_pb2.IssueCardRequest, context: Any) -> member_pb2.IssueCardResponse:
        issuer = acting_for(caller(context), self._programme.current, request.issuer, "issuer")
        act = await act_of(caller(context), Kind.CARD_ISSUED, request, self._request_ids)
        number, limits = request.card_number or None, convert.limits_of(request.limits)
        answer = await asyncio.to_thread(self._reception.issue_card, act, issuer, number, limits)
        return member_pb2.IssueCardResponse(
            card=convert.card_message(answer.card),
            card_number=answer.number or "",
            receipt=convert.card_receipt(act, answer),
        )

    async def LinkCard(self, request: member_pb2.LinkCardRequest, context: Any) -> member_pb2.LinkCardResponse:
        act = await act_of(caller(context), Kind.CARD_LINKED, request, self._request_ids)
        member_id = UUID(request.member_id)
        answer = await asyncio.to_thread(self._reception.link_card, act, request.card_number, member_id)
        return member_pb2.LinkCardResponse(
            card=convert.card_message(answer.card), receipt=convert.card_receipt(act, answer)
        )

    async def FreezeCard(self, request: member_pb2.FreezeCardRequest, context: Any) -> member_pb2.FreezeCardResponse:
        act = await act_of(caller(context), Kind.CARD_FROZEN, request, self._request_ids)
        answer = await asyncio.to_thread(self._reception.freeze_card, act, convert.card_of(request))
        return member_pb2.FreezeCardResponse(
            card=convert.card_message(answer.card), receipt=convert.card_receipt(act, answer)
        )

    async def UnfreezeCard(
        self, request: member_pb2.UnfreezeCardRequest, context: Any
    ) -> member_pb2.UnfreezeCardResponse:
        act = await act_of(caller(context), Kind.CARD_UNFROZEN, request, self._request_ids)
        answer = await asyncio.to_thread(self._reception.unfreeze_card, act, convert.card_of(request))
        return member_pb2.UnfreezeCardResponse(
            card=convert.card_message(answer.card), receipt=convert.card_receipt(act, answer)
        )

    async def ReplaceCard(self, request: member_pb2.ReplaceCardRequest, context: Any) -> member_pb2.ReplaceCardResponse:
        act = await act_of(caller(context), Kind.CARD_REPLACED, request, self._request_ids)
        new_number = request.new_card_number or None
        answer = await asyncio.to_thread(self._reception.replace_card, act, convert.card_of(request), new_number)
        return member_pb2.ReplaceCardResponse(
            card=convert.card_message(answer.card),
            card_number=answer.number or "",
            receipt=convert.card_receipt(act, answer),
        )

    async def SetPin(self, request: member_pb2.SetPinRequest, context: Any) -> member_pb2.SetPinResponse:
        # What is kept for ever of what was asked must not hold a PIN, sealed or not.
        asked = member_pb2.SetPinRequest(request_id=request.request_id, member_id=request.member_id)
        act = await act_of(caller(context), Kind.PIN_SET, asked, self._request_ids)
        answer = await asyncio.to_thread(self._reception.set_pin, act, UUID(request.member_id), request.sealed_pin)
        return member_pb2.SetPinResponse(receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed))

    async def EnrolDevice(self, request: member_pb2.EnrolDeviceRequest, context: Any) -> member_pb2.EnrolDeviceResponse:
        issuer = acting_for(caller(context), self._programme.current, request.issuer, "issuer")
        act = await act_of(caller(context), Kind.DEVICE_ENROLLED, request, self._request_ids)
        answer = await asyncio.to_thread(
            self._devices.enrol, act, issuer, UUID(request.member_id), request.device_public_key
        )
        return member_pb2.EnrolDeviceResponse(
            card=convert.card_message(answer.card.card),
            sealed_seed=answer.sealed_seed,
            receipt=convert.card_receipt(act, answer.card),
        )

    async def AddVirtualId(
        self, request: member_pb2.AddVirtualIdRequest, context: Any
    ) -> member_pb2.AddVirtualIdResponse:
        issuer = acting_for(caller(context), self._programme.current, request.issuer, "issuer")
        act = await act_of(caller(context), Kind.CREDENTIAL_ADDED, request, self._request_ids)
        named = request.virtual_id
        answer = await asyncio.to_thread(
            self._reception.add_virtual_id, act, issuer, UUID(request.member_id), named.namespace, named.subject
        )
        return member_pb2.AddVirtualIdResponse(
            card=convert.card_message(answer.card), receipt=convert.card_receipt(act, answer)
        )

    async def AddPhone(self, request: member_pb2.AddPhoneRequest, context: Any) -> member_pb2.AddPhoneResponse:
        issuer = acting_for(caller(context), self._programme.current, request.issuer, "issuer")
        act = await act_of(caller(context), Kind.CREDENTIAL_ADDED, request, self._request_ids)
        answer = await asyncio.to_thread(self._reception.add_phone, act, issuer, UUID(request.member_id))
        return member_pb2.AddPhoneResponse(
            card=convert.card_message(answer.card), receipt=convert.card_receipt(act, answer)
        )

    async def RemoveCredential(
        self, request: member_pb2.RemoveCredentialRequest, context: Any
    ) -> member_pb2.RemoveCredentialResponse:
        act = await act_of(caller(context), Kind.CREDENTIAL_REMOVED, request, self._request_ids)
        answer = await asyncio.to_thread(
            self._reception.remove_credential, act, UUID(request.member_id), request.card_id
        )
        return member_pb2.RemoveCredentialResponse(
            card=convert.card_message(answer.card), receipt=convert.card_receipt(act, answer)
        )

    async def SetCardLimits(
        self, request: member_pb2.SetCardLimitsRequest, context: Any
    ) -> member_pb2.SetCardLimitsResponse:
        act = await act_of(caller(context), Kind.CARD_LIMITS_SET, request, self._request_ids)
        card, limits = convert.card_of(request), convert.limits_of(request.limits)
        answer = await asyncio.to_thread(self._reception.set_card_limits, act, card, limits)
        return member_pb2.SetCardLimitsResponse(
            card=convert.card_message(answer.card), receipt=convert.card_receipt(act, answer)
        )

    async def VerifyMember(
        self, request: member_pb2.VerifyMemberRequest, context: Any
    ) -> member_pb2.VerifyMemberResponse:
        act = await act_of(caller(context), Kind.MEMBER_VERIFIED, request, self._request_ids)
        answer = await asyncio.to_thread(self._reception.verify, act, UUID(request.member_id))
        return member_pb2.VerifyMemberResponse(
            receipt=receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
        )

    async def GetCard(self, request: member_pb2.GetCardRequest, context: Any) -> member_pb2.GetCardResponse:
        view = await asyncio.to_thread(self._reception.get_card, request.card_number)
        return member_pb2.GetCardResponse(card=convert.card_message(view))
