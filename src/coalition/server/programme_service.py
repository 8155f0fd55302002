"""ProgrammeService: what headquarters keeps. Turns messages into the office's acts and reads into pages.

The operator and the auditor read everything; a participant's headquarters and its till servers read their own.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from coalition.domain.acts import Act, ActAnswer
from coalition.domain.directory import AgreementRecord, ParticipantRecord, StoreRecord, TerminalRecord
from coalition.domain.errors import LedgerBroken, Refused
from coalition.domain.kinds import Kind
from coalition.domain.pages import page_limit, page_token, text_key
from coalition.domain.programme import Programme
from coalition.domain.reasons import Reason
from coalition.programme.office import Office
from coalition.server import convert_programme as convert
from coalition.server.acting import act_of, receipt
from coalition.server.identity import caller
from coalition.server.own import check_among, own_codes, own_parties
from coalition.server.page_keys import parts_key, parts_token
from coalition.server.request_ids import RequestIds
from coalition.v1 import operations_pb2, programme_pb2, programme_pb2_grpc

Within = Collection[str] | None
"""The participant codes (for agreements: party names) whose rows may be told; None for every row."""


class ProgrammeReads(Protocol):
    """Blocking reads, one snapshot each."""

    def participant(self, code: str) -> ParticipantRecord | None: ...

    def store(self, participant: str, code: str) -> StoreRecord | None: ...

    def terminal(self, participant: str, store: str, code: str) -> TerminalRecord | None: ...

    def agreement(self, code: str, version: int | None, parties: Within) -> AgreementRecord | None: ...

    def list_participants(self, after: str | None, limit: int, within: Within) -> list[ParticipantRecord]: ...

    def list_stores(
        self, participant: str | None, after: tuple[str, str] | None, limit: int, within: Within
    ) -> list[StoreRecord]: ...

    def list_terminals(
        self,
        participant: str | None,
        store: str | None,
        after: tuple[str, str, str] | None,
        limit: int,
        within: Within,
    ) -> list[TerminalRecord]: ...

    def list_agreements(self, after: str | None, limit: int, parties: Within) -> list[AgreementRecord]: ...


class Watch(Protocol):
    """The server's snapshot of the programme. `refresh` blocks."""

    @property
    def current(self) -> Programme: ...

    def refresh(self) -> None: ...


class ProgrammeService(programme_pb2_grpc.ProgrammeServiceServicer):
    """What an act made is in force here when it is answered: the snapshot that identities go by is renewed first."""

    def __init__(self, office: Office, reads: ProgrammeReads, watch: Watch, request_ids: RequestIds) -> None:
        self._office = office
        self._reads = reads
        self._watch = watch
        self._request_ids = request_ids

    async def CreateParticipant(
        self, request: programme_pb2.CreateParticipantRequest, context: Any
    ) -> programme_pb2.CreateParticipantResponse:
        role, chain = convert.role_word(request.role), request.chain_code or None

        def work(act: Act) -> ActAnswer:
            return self._office.create_participant(act, request.code, request.display_name, role, chain)

        act, answer = await self._perform(Kind.PARTICIPANT_CREATED, request, work)
        made = await asyncio.to_thread(self._participant, request.code, str(answer.answer["state"]))
        return programme_pb2.CreateParticipantResponse(participant=made, receipt=_receipt(act, answer))

    async def SetParticipantState(
        self, request: programme_pb2.SetParticipantStateRequest, context: Any
    ) -> programme_pb2.SetParticipantStateResponse:
        state = convert.state_word(request.state)

        def work(act: Act) -> ActAnswer:
            return self._office.set_participant_state(act, request.participant, state)

        act, answer = await self._perform(Kind.PARTICIPANT_STATE_CHANGED, request, work)
        changed = await asyncio.to_thread(self._participant, request.participant, state)
        return programme_pb2.SetParticipantStateResponse(participant=changed, receipt=_receipt(act, answer))

    async def ListParticipants(
        self, request: programme_pb2.ListParticipantsRequest, context: Any
    ) -> programme_pb2.ListParticipantsResponse:
        scope, limit, own = "participants", page_limit(request.page_size), self._own()
        after = text_key(scope, request.page_token)
        rows = await asyncio.to_thread(self._reads.list_participants, after, limit + 1, own)
        return programme_pb2.ListParticipantsResponse(
            participants=[convert.participant_message(row) for row in rows[:limit]],
            next_page_token=page_token(scope, rows[limit - 1].code) if len(rows) > limit else "",
        )

    async def CreateStore(
        self, request: programme_pb2.CreateStoreRequest, context: Any
    ) -> programme_pb2.CreateStoreResponse:
        def work(act: Act) -> ActAnswer:
            return self._office.create_store(act, request.participant, request.code, request.display_name)

        act, answer = await self._perform(Kind.STORE_CREATED, request, work)
        row = _found(await asyncio.to_thread(self._reads.store, request.participant, request.code))
        made = convert.store_message(row, str(answer.answer["state"]))
        return programme_pb2.CreateStoreResponse(store=made, receipt=_receipt(act, answer))

    async def SetStoreState(
        self, request: programme_pb2.SetStoreStateRequest, context: Any
    ) -> programme_pb2.SetStoreStateResponse:
        state = convert.state_word(request.state)

        def work(act: Act) -> ActAnswer:
            return self._office.set_store_state(act, request.participant, request.store, state)

        act, answer = await self._perform(Kind.STORE_STATE_CHANGED, request, work)
        row = _found(await asyncio.to_thread(self._reads.store, request.participant, request.store))
        changed = convert.store_message(row, state)
        return programme_pb2.SetStoreStateResponse(store=changed, receipt=_receipt(act, answer))

    async def ListStores(
        self, request: programme_pb2.ListStoresRequest, context: Any
    ) -> programme_pb2.ListStoresResponse:
        scope, limit, own = f"stores/{request.participant}", page_limit(request.page_size), self._own()
        check_among(own, request.participant, "participant")
        key = parts_key(scope, request.page_token, 2)
        after = (key[0], key[1]) if key else None
        await asyncio.to_thread(self._check_place, request.participant, "")
        rows = await asyncio.to_thread(self._reads.list_stores, request.participant or None, after, limit + 1, own)
        last = rows[limit - 1] if len(rows) > limit else None
        return programme_pb2.ListStoresResponse(
            stores=[convert.store_message(row) for row in rows[:limit]],
            next_page_token=parts_token(scope, last.participant, last.code) if last else "",
        )

    async def CreateTerminal(
        self, request: programme_pb2.CreateTerminalRequest, context: Any
    ) -> programme_pb2.CreateTerminalResponse:
        def work(act: Act) -> ActAnswer:
            return self._office.create_terminal(act, request.participant, request.store, request.code)

        act, answer = await self._perform(Kind.TERMINAL_CREATED, request, work)
        state = str(answer.answer["state"])
        made = await asyncio.to_thread(self._terminal, request.participant, request.store, request.code, state)
        return programme_pb2.CreateTerminalResponse(terminal=made, receipt=_receipt(act, answer))

    async def SetTerminalState(
        self, request: programme_pb2.SetTerminalStateRequest, context: Any
    ) -> programme_pb2.SetTerminalStateResponse:
        place, state = request.terminal, convert.state_word(request.state)

        def work(act: Act) -> ActAnswer:
            return self._office.set_terminal_state(act, place.participant, place.store, place.terminal, state)

        act, answer = await self._perform(Kind.TERMINAL_STATE_CHANGED, request, work)
        changed = await asyncio.to_thread(self._terminal, place.participant, place.store, place.terminal, state)
        return programme_pb2.SetTerminalStateResponse(terminal=changed, receipt=_receipt(act, answer))

    async def ListTerminals(
        self, request: programme_pb2.ListTerminalsRequest, context: Any
    ) -> programme_pb2.ListTerminalsResponse:
        participant, store = request.participant, request.store
        if store and not participant:
            raise Refused(Reason.FIELD_INVALID, "participant", {"expected": "the participant of the store"})
        scope, limit, own = f"terminals/{participant}/{store}", page_limit(request.page_size), self._own()
        check_among(own, participant, "participant")
        key = parts_key(scope, request.page_token, 3)
        after = (key[0], key[1], key[2]) if key else None
        await asyncio.to_thread(self._check_place, participant, store)
        rows = await asyncio.to_thread(
            self._reads.list_terminals, participant or None, store or None, after, limit + 1, own
        )
        last = rows[limit - 1] if len(rows) > limit else None
        return programme_pb2.ListTerminalsResponse(
            terminals=[convert.terminal_message(row) for row in rows[:limit]],
            next_page_token=parts_token(scope, last.participant, last.store, last.code) if last else "",
        )

    async def CreateAgreement(
        self, request: programme_pb2.CreateAgreementRequest, context: Any
    ) -> programme_pb2.CreateAgreementResponse:
        field = _content_field(request)
        content, kind = convert.content_of(getattr(request, field)), convert.KIND_OF_FIELD[field]
        begin = convert.business_date(request.effective_from, "effective_from")
        until = convert.business_date(request.effective_until, "effective_until") if request.effective_until else None

        def work(act: Act) -> ActAnswer:
            try:
                return self._office.create_agreement(act, request.code, kind, content, begin, until)
            except Refused as refused:
                raise convert.with_content_field(refused, field) from None

        act, answer = await self._perform(Kind.AGREEMENT_CREATED, request, work)
        made = await asyncio.to_thread(self._version, answer.answer)
        return programme_pb2.CreateAgreementResponse(
            agreement=made, receipt=_receipt(act, answer), approval_id=_approval(answer)
        )

    async def ReviseAgreement(
        self, request: programme_pb2.ReviseAgreementRequest, context: Any
    ) -> programme_pb2.ReviseAgreementResponse:
        field = _content_field(request)
        content = convert.content_of(getattr(request, field))
        begin = convert.business_date(request.effective_from, "effective_from")
        until = convert.business_date(request.effective_until, "effective_until") if request.effective_until else None

        def work(act: Act) -> ActAnswer:
            try:
                return self._office.revise_agreement(act, request.code, request.expected_version, content, begin, until)
            except Refused as refused:
                raise convert.with_content_field(refused, field) from None

        act, answer = await self._perform(Kind.AGREEMENT_REVISED, request, work)
        made = await asyncio.to_thread(self._version, answer.answer)
        return programme_pb2.ReviseAgreementResponse(
            agreement=made, receipt=_receipt(act, answer), approval_id=_approval(answer)
        )

    async def SignAgreement(
        self, request: programme_pb2.SignAgreementRequest, context: Any
    ) -> programme_pb2.SignAgreementResponse:
        act, answer = await self._perform(
            Kind.AGREEMENT_SIGNED, request, lambda act: self._office.sign_agreement(act, request.code, request.version)
        )
        made = await asyncio.to_thread(self._version, answer.answer)
        return programme_pb2.SignAgreementResponse(agreement=made, receipt=_receipt(act, answer))

    async def RequireAgreementApproval(
        self, request: programme_pb2.RequireAgreementApprovalRequest, context: Any
    ) -> programme_pb2.RequireAgreementApprovalResponse:
        act, answer = await self._perform(Kind.AGREEMENT_APPROVAL_REQUIRED, request, self._office.require_approval)
        return programme_pb2.RequireAgreementApprovalResponse(receipt=_receipt(act, answer))

    async def GetAgreement(
        self, request: programme_pb2.GetAgreementRequest, context: Any
    ) -> programme_pb2.GetAgreementResponse:
        parties, version = own_parties(caller(context), self._watch.current), request.version or None
        record = await asyncio.to_thread(self._reads.agreement, request.code, version, parties)
        if record is None and parties is None:
            raise Refused(Reason.AGREEMENT_UNKNOWN, "code", {"agreement": request.code})
        if record is None:
            # Not there, or another's: who does not read everything is not told which.
            raise Refused(Reason.PERMISSION_DENIED, "code")
        return programme_pb2.GetAgreementResponse(agreement=convert.agreement_message(record))

    async def ListAgreements(
        self, request: programme_pb2.ListAgreementsRequest, context: Any
    ) -> programme_pb2.ListAgreementsResponse:
        scope, limit = "agreements", page_limit(request.page_size)
        parties = own_parties(caller(context), self._watch.current)
        after = text_key(scope, request.page_token)
        rows = await asyncio.to_thread(self._reads.list_agreements, after, limit + 1, parties)
        return programme_pb2.ListAgreementsResponse(
            agreements=[convert.agreement_message(row) for row in rows[:limit]],
            next_page_token=page_token(scope, rows[limit - 1].code) if len(rows) > limit else "",
        )

    async def _perform(self, kind: Kind, request: Any, work: Callable[[Act], ActAnswer]) -> tuple[Act, ActAnswer]:
        act = await act_of(caller(None), kind, request, self._request_ids)

        def perform() -> ActAnswer:
            answer = work(act)
            self._watch.refresh()
            return answer

        return act, await asyncio.to_thread(perform)

    def _own(self) -> frozenset[str] | None:
        return own_codes(caller(None), self._watch.current)

    def _check_place(self, participant: str, store: str) -> None:
        """Raise Refused(PARTICIPANT_UNKNOWN or STORE_UNKNOWN) where a list is asked for of what does not exist."""
        if participant and self._reads.participant(participant) is None:
            raise Refused(Reason.PARTICIPANT_UNKNOWN, "participant", {"participant": participant})
        if store and self._reads.store(participant, store) is None:
            raise Refused(Reason.STORE_UNKNOWN, "store", {"participant": participant, "store": store})

    def _participant(self, code: str, state: str) -> programme_pb2.Participant:
        return convert.participant_message(_found(self._reads.participant(code)), state)

    def _terminal(self, participant: str, store: str, code: str, state: str) -> programme_pb2.Terminal:
        return convert.terminal_message(_found(self._reads.terminal(participant, store, code)), state)

    def _version(self, answer: Mapping[str, Any]) -> programme_pb2.Agreement:
        record = self._reads.agreement(str(answer["agreement"]), int(answer["version"]), None)
        return convert.agreement_message(_found(record))


def _content_field(request: Any) -> str:
    """Which of the oneof is set; validation has made sure that one is."""
    return str(request.WhichOneof("content"))


def _found(row: Any) -> Any:
    if row is None:
        raise LedgerBroken("what an act has just made is not there")
    return row


def _approval(answer: ActAnswer) -> int:
    """The approval that an act asked for, 0 where none is needed."""
    approval = answer.answer.get("approval", 0)
    return approval if isinstance(approval, int) else 0


def _receipt(act: Act, answer: ActAnswer) -> operations_pb2.ActReceipt:
    return receipt(act, answer.entry_id, answer.time, replayed=answer.replayed)
