"""PortalService: a member's own wallet and data, for the gateway that has authenticated the member. Reads only."""

import asyncio
from typing import Any, Protocol
from uuid import UUID

from coalition.domain.errors import Refused
from coalition.domain.pages import number_key, page_limit, page_token
from coalition.domain.reasons import Reason
from coalition.domain.wallet_lines import WalletLine
from coalition.domain.wallet_records import WalletRecord
from coalition.membership.reading_room import ReadingRoom
from coalition.server.convert import wallet_entry_of
from coalition.server.convert_portal import access_message, export_json, wallet_message
from coalition.server.identity import HasProgramme, caller
from coalition.server.member_data import reader_of
from coalition.v1 import portal_pb2, portal_pb2_grpc


class PortalReads(Protocol):
    """Blocking reads."""

    def wallet(self, member_id: UUID) -> WalletRecord | None: ...


class LineReads(Protocol):
    """Blocking reads of a wallet's lines, newest first."""

    def lines(
        self, lane: int, wallet_id: int, *, participant_id: int | None, before: int | None, limit: int
    ) -> list[WalletLine]: ...


class PortalService(portal_pb2_grpc.PortalServiceServicer):
    """The gateway answers for which member asks; here any member may be named."""

    def __init__(
        self, reads: PortalReads, lines: LineReads, reading: ReadingRoom[Any], programme: HasProgramme
    ) -> None:
        self._reading = reading
        self._reads = reads
        self._lines = lines
        self._programme = programme

    async def GetWallet(self, request: portal_pb2.GetWalletRequest, context: Any) -> portal_pb2.GetWalletResponse:
        wallet = await self._wallet(request.member_id)
        currency_code = self._programme.current.scheme.currency_code
        return portal_pb2.GetWalletResponse(wallet=wallet_message(wallet, currency_code))

    async def ListWalletEntries(
        self, request: portal_pb2.ListWalletEntriesRequest, context: Any
    ) -> portal_pb2.ListWalletEntriesResponse:
        wallet = await self._wallet(request.member_id)
        scope, limit = f"wallet-entries/{wallet.wallet_id}", page_limit(request.page_size)
        before = number_key(scope, request.page_token)
        lines = await asyncio.to_thread(
            self._lines.lines, wallet.lane, wallet.wallet_id, participant_id=None, before=before, limit=limit + 1
        )
        programme = self._programme.current
        return portal_pb2.ListWalletEntriesResponse(
            entries=[wallet_entry_of(line, programme) for line in lines[:limit]],
            next_page_token=page_token(scope, lines[limit - 1].entry_id) if len(lines) > limit else "",
        )

    async def GetOwnData(self, request: portal_pb2.GetOwnDataRequest, context: Any) -> portal_pb2.GetOwnDataResponse:
        member_id, reader = UUID(request.member_id), reader_of(caller(context))
        row, opened, cards = await asyncio.to_thread(self._reading.own, reader, member_id)
        wallet = await self._wallet(request.member_id)
        told = export_json(row, opened, cards, wallet_message(wallet, self._programme.current.scheme.currency_code))
        return portal_pb2.GetOwnDataResponse(export_json=told)

    async def ListAccesses(
        self, request: portal_pb2.ListAccessesRequest, context: Any
    ) -> portal_pb2.ListAccessesResponse:
        member_id = UUID(request.member_id)
        scope, limit = f"accesses/{member_id}", page_limit(request.page_size)
        before = number_key(scope, request.page_token)
        found = await asyncio.to_thread(self._reading.accesses, member_id, before, limit + 1)
        return portal_pb2.ListAccessesResponse(
            accesses=[access_message(access) for access in found[:limit]],
            next_page_token=page_token(scope, found[limit - 1].entry_id) if len(found) > limit else "",
        )

    async def _wallet(self, member_id: str) -> WalletRecord:
        wallet = await asyncio.to_thread(self._reads.wallet, UUID(member_id))
        if wallet is None:
            raise Refused(Reason.MEMBER_UNKNOWN, "member_id")
        return wallet
