"""Who may call what: one table, deny by default. A server does not start when an RPC is missing from it.

Says which roles may call an RPC at all; on whose objects is each servicer's check (`Caller.speaks_for`), and it comes
before any look whether the object exists.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from google.protobuf.descriptor import ServiceDescriptor

from coalition.domain.errors import CoalitionError, Refused
from coalition.domain.reasons import Reason
from coalition.server.identity import Role
from coalition.v1 import audit_pb2, events_pb2, member_pb2, portal_pb2, programme_pb2, settlement_pb2, terminal_pb2

Roles = frozenset[Role]

TILLS: Final = frozenset({Role.TERMINAL, Role.TILL_SERVER})
OPERATOR: Final = frozenset({Role.OPERATOR})
HEADQUARTERS: Final = frozenset({Role.OPERATOR, Role.PARTICIPANT_HQ})
COUNTER: Final = TILLS | HEADQUARTERS
AUDITORS: Final = frozenset({Role.AUDITOR, Role.OPERATOR})
STAFF: Final = HEADQUARTERS | {Role.TILL_SERVER}
PROGRAMME_READERS: Final = STAFF | AUDITORS
SETTLEMENT_READERS: Final = HEADQUARTERS | AUDITORS
GATEWAYS: Final = frozenset({Role.MEMBER_GATEWAY})
APPROVERS: Final = frozenset({Role.APPROVER})
EVERYONE: Final = frozenset(Role)
VISITORS: Final = EVERYONE - {Role.SERVER}

RULES: Final[Mapping[str, Roles]] = MappingProxyType(
    {
        "/coalition.v1.TerminalService/TopUp": TILLS,
        "/coalition.v1.TerminalService/Purchase": TILLS,
        "/coalition.v1.TerminalService/Refund": TILLS,
        "/coalition.v1.TerminalService/Authorize": TILLS,
        "/coalition.v1.TerminalService/Capture": TILLS,
        "/coalition.v1.TerminalService/Void": TILLS,
        "/coalition.v1.TerminalService/Upload": TILLS,
        "/coalition.v1.TerminalService/ReturnTopUp": TILLS,
        "/coalition.v1.TerminalService/ReverseTopUp": TILLS | HEADQUARTERS,
        "/coalition.v1.TerminalService/CashOut": TILLS,
        "/coalition.v1.TerminalService/SellPass": TILLS,
        "/coalition.v1.TerminalService/VisitPass": TILLS,
        "/coalition.v1.TerminalService/ReturnVisit": TILLS,
        "/coalition.v1.TerminalService/ReturnPass": TILLS,
        "/coalition.v1.TerminalService/SpendPoints": TILLS,
        "/coalition.v1.TerminalService/ReturnPoints": TILLS,
        "/coalition.v1.TerminalService/ConvertPoints": TILLS,
        "/coalition.v1.TerminalService/RepayPoints": TILLS,
        "/coalition.v1.TerminalService/Reverse": TILLS,
        "/coalition.v1.TerminalService/Resolve": TILLS,
        "/coalition.v1.TerminalService/GetBalance": TILLS,
        "/coalition.v1.TerminalService/ListEntries": TILLS,
        "/coalition.v1.TerminalService/GetDayTotals": TILLS,
        "/coalition.v1.TerminalService/CloseDay": TILLS,
        "/coalition.v1.TerminalService/GetPinKey": COUNTER,
        "/coalition.v1.TerminalService/SubmitBatch": TILLS,
        "/coalition.v1.TerminalService/Stream": TILLS,
        "/coalition.v1.ProgrammeService/CreateParticipant": OPERATOR,
        "/coalition.v1.ProgrammeService/SetParticipantState": OPERATOR,
        "/coalition.v1.ProgrammeService/ListParticipants": PROGRAMME_READERS,
        "/coalition.v1.ProgrammeService/CreateStore": OPERATOR,
        "/coalition.v1.ProgrammeService/ListStores": PROGRAMME_READERS,
        "/coalition.v1.ProgrammeService/CreateTerminal": OPERATOR,
        "/coalition.v1.ProgrammeService/SetStoreState": OPERATOR,
        "/coalition.v1.ProgrammeService/SetTerminalState": OPERATOR,
        "/coalition.v1.ProgrammeService/ListTerminals": PROGRAMME_READERS,
        "/coalition.v1.ProgrammeService/CreateAgreement": OPERATOR,
        "/coalition.v1.ProgrammeService/ReviseAgreement": OPERATOR,
        "/coalition.v1.ProgrammeService/SignAgreement": OPERATOR,
        "/coalition.v1.ProgrammeService/RequireAgreementApproval": OPERATOR,
        "/coalition.v1.ProgrammeService/GetAgreement": PROGRAMME_READERS,
        "/coalition.v1.ProgrammeService/ListAgreements": PROGRAMME_READERS,
        "/coalition.v1.MemberService/EnrolMember": COUNTER,
        "/coalition.v1.MemberService/FindMember": STAFF,
        "/coalition.v1.MemberService/GetMember": STAFF,
        "/coalition.v1.MemberService/IssueCard": COUNTER,
        "/coalition.v1.MemberService/LinkCard": COUNTER,
        "/coalition.v1.MemberService/FreezeCard": STAFF,
        "/coalition.v1.MemberService/UnfreezeCard": STAFF,
        "/coalition.v1.MemberService/ReplaceCard": STAFF,
        "/coalition.v1.MemberService/SetPin": STAFF,
        "/coalition.v1.MemberService/SetCardLimits": STAFF,
        "/coalition.v1.MemberService/VerifyMember": STAFF,
        "/coalition.v1.MemberService/GetCard": COUNTER,
        "/coalition.v1.MemberService/EnrolDevice": STAFF,
        "/coalition.v1.MemberService/AddVirtualId": STAFF,
        "/coalition.v1.MemberService/AddPhone": STAFF,
        "/coalition.v1.MemberService/RemoveCredential": STAFF,
        "/coalition.v1.MemberService/ReviseMember": STAFF | GATEWAYS,
        "/coalition.v1.MemberService/SetConsent": STAFF | GATEWAYS,
        "/coalition.v1.MemberService/ImportMembers": HEADQUARTERS,
        "/coalition.v1.MemberService/MergeMembers": OPERATOR,
        "/coalition.v1.MemberService/RequestExport": OPERATOR,
        "/coalition.v1.MemberService/ApproveExport": APPROVERS,
        "/coalition.v1.MemberService/GetExportPage": OPERATOR,
        "/coalition.v1.MemberService/OpenLots": OPERATOR,
        "/coalition.v1.MemberService/SetMemberState": OPERATOR,
        "/coalition.v1.MemberService/RequestErasure": OPERATOR | GATEWAYS,
        "/coalition.v1.MemberService/ApproveErasure": APPROVERS,
        "/coalition.v1.MemberService/ListErasures": OPERATOR | APPROVERS,
        "/coalition.v1.MemberService/RequestDisclosure": HEADQUARTERS,
        "/coalition.v1.MemberService/ApproveDisclosure": APPROVERS,
        "/coalition.v1.MemberService/GetDisclosure": HEADQUARTERS,
        "/coalition.v1.SettlementService/ListWindows": SETTLEMENT_READERS,
        "/coalition.v1.SettlementService/ListPositions": SETTLEMENT_READERS,
        "/coalition.v1.SettlementService/CloseWindow": OPERATOR,
        "/coalition.v1.SettlementService/NetWindow": OPERATOR,
        "/coalition.v1.SettlementService/ListNetPositions": SETTLEMENT_READERS,
        "/coalition.v1.SettlementService/ListClaims": SETTLEMENT_READERS,
        "/coalition.v1.SettlementService/PrepareRun": OPERATOR,
        "/coalition.v1.SettlementService/AbortRun": OPERATOR,
        "/coalition.v1.SettlementService/ExportRun": OPERATOR,
        "/coalition.v1.SettlementService/ImportBankResult": OPERATOR,
        "/coalition.v1.SettlementService/ListRuns": SETTLEMENT_READERS | APPROVERS,
        "/coalition.v1.SettlementService/ListRunParties": SETTLEMENT_READERS | APPROVERS,
        "/coalition.v1.SettlementService/ListApprovals": AUDITORS | APPROVERS,
        "/coalition.v1.SettlementService/DecideApproval": APPROVERS,
        "/coalition.v1.SettlementService/SetOffices": OPERATOR,
        "/coalition.v1.SettlementService/ProposeHandOver": OPERATOR,
        "/coalition.v1.SettlementService/HandOver": OPERATOR,
        "/coalition.v1.SettlementService/ProposeWriteOff": OPERATOR,
        "/coalition.v1.SettlementService/WriteOff": OPERATOR,
        "/coalition.v1.SettlementService/OpenDispute": HEADQUARTERS,
        "/coalition.v1.SettlementService/WithdrawDispute": HEADQUARTERS,
        "/coalition.v1.SettlementService/ProposeDispute": OPERATOR,
        "/coalition.v1.SettlementService/SettleDispute": OPERATOR,
        "/coalition.v1.SettlementService/ListDisputes": SETTLEMENT_READERS,
        "/coalition.v1.SettlementService/ListDebts": SETTLEMENT_READERS,
        "/coalition.v1.SettlementService/RepayDebt": HEADQUARTERS,
        "/coalition.v1.SettlementService/ProposeDebtWriteOff": HEADQUARTERS,
        "/coalition.v1.SettlementService/WriteOffDebt": HEADQUARTERS,
        "/coalition.v1.SettlementService/FindDifferences": SETTLEMENT_READERS,
        "/coalition.v1.SettlementService/FindWhoWouldGain": SETTLEMENT_READERS,
        "/coalition.v1.EventService/GetEvents": SETTLEMENT_READERS | GATEWAYS,
        "/coalition.v1.AuditService/ListBatches": AUDITORS,
        "/coalition.v1.AuditService/ListJournal": AUDITORS,
        "/coalition.v1.AuditService/GetCheckpoint": VISITORS,
        "/coalition.v1.AuditService/ListCheckpoints": VISITORS,
        "/coalition.v1.AuditService/GetTile": VISITORS,
        "/coalition.v1.AuditService/GetInclusionProof": VISITORS,
        "/coalition.v1.AuditService/GetConsistencyProof": VISITORS,
        "/coalition.v1.AuditService/GetLeaves": AUDITORS,
        "/coalition.v1.AuditService/GetNames": AUDITORS,
        "/coalition.v1.AuditService/GetSealedReceipt": COUNTER | AUDITORS,
        "/coalition.v1.AuditService/ListState": AUDITORS,
        "/coalition.v1.PortalService/GetWallet": GATEWAYS,
        "/coalition.v1.PortalService/ListWalletEntries": GATEWAYS,
        "/coalition.v1.PortalService/GetOwnData": GATEWAYS,
        "/coalition.v1.PortalService/ListAccesses": GATEWAYS,
        "/grpc.health.v1.Health/Check": EVERYONE,
        "/grpc.health.v1.Health/List": EVERYONE,
        "/grpc.health.v1.Health/Watch": EVERYONE,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": EVERYONE,
    }
)
OURS: Final = "/coalition.v1."

READS_AT_HEADQUARTERS: Final = frozenset({"attributes", "refund_account"})
"""Field groups of a member that a counter does not need: FindMember and GetMember show them to headquarters only."""

ALL_SERVICES: Final[Mapping[str, ServiceDescriptor]] = MappingProxyType(
    {
        service.full_name: service
        for file in (audit_pb2, events_pb2, member_pb2, portal_pb2, programme_pb2, settlement_pb2, terminal_pb2)
        for service in file.DESCRIPTOR.services_by_name.values()
    }
)


class RulesIncomplete(CoalitionError):
    """RPCs without a permission rule, or rules without an RPC; the server does not start."""

    def __init__(self, without_rule: list[str], without_rpc: list[str]) -> None:
        super().__init__(
            "coalition/server/permissions.py: "
            + (f"add a rule for {', '.join(without_rule)}; " if without_rule else "")
            + (f"remove the rule of {', '.join(without_rpc)}, no such RPC" if without_rpc else "")
        )


def check_permission(method: str, role: Role, rules: Mapping[str, Roles] = RULES) -> None:
    """Raise Refused(PERMISSION_DENIED) unless the table lets the role call the method."""
    if role not in rules.get(method, ()):
        raise Refused(Reason.PERMISSION_DENIED)


def check_field_groups(groups: Iterable[str], role: Role) -> None:
    """Raise Refused(PERMISSION_DENIED) unless the role may see all these field groups of a member, masked."""
    if role not in HEADQUARTERS and not READS_AT_HEADQUARTERS.isdisjoint(groups):
        raise Refused(Reason.PERMISSION_DENIED, "field_groups")


def method_names(service: ServiceDescriptor) -> list[str]:
    """The full names of a service's RPCs as they travel."""
    return [f"/{service.full_name}/{method.name}" for method in service.methods]


def check_complete(
    services: Iterable[ServiceDescriptor],
    rules: Mapping[str, Roles] = RULES,
    known: Iterable[ServiceDescriptor] = tuple(ALL_SERVICES.values()),
) -> None:
    """Raise RulesIncomplete unless every RPC of `services` has a rule and every rule of ours an RPC in `known`."""
    served = {name for service in services for name in method_names(service)}
    exist = {name for service in known for name in method_names(service)} | served
    without_rule = sorted(name for name in served if not rules.get(name))
    without_rpc = sorted(name for name in rules if name.startswith(OURS) and name not in exist)
    if without_rule or without_rpc:
        raise RulesIncomplete(without_rule, without_rpc)
