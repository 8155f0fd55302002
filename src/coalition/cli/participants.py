"""`coalition participant`, `store`, `terminal`: who settles, where they sell, and on which devices."""

from typing import Annotated, Final

import typer

from coalition.cli.options import RequestId, read_request_id, read_till
from coalition.cli.output import enum_name, table
from coalition.cli.session import Session, client_command, pages
from coalition.v1.programme_pb2 import (
    CreateParticipantRequest,
    CreateStoreRequest,
    CreateTerminalRequest,
    ListParticipantsRequest,
    ListStoresRequest,
    ListTerminalsRequest,
    OperatingState,
    ParticipantRole,
    SetParticipantStateRequest,
    SetStoreStateRequest,
    SetTerminalStateRequest,
)

ROLES: Final = {
    "chain": ParticipantRole.PARTICIPANT_ROLE_CHAIN,
    "store": ParticipantRole.PARTICIPANT_ROLE_STORE,
    "alliance": ParticipantRole.PARTICIPANT_ROLE_ALLIANCE,
}

participant_app = typer.Typer(no_args_is_help=True, help="Settling parties: chains, stores of their own, merchants.")
store_app = typer.Typer(no_args_is_help=True, help="Shops of the participants.")
terminal_app = typer.Typer(no_args_is_help=True, help="Devices in the stores.")

Code = Annotated[str, typer.Argument(metavar="CODE", help="Code to know it by, for ever: a-z, 0-9 and -.")]
DisplayName = Annotated[
    str | None, typer.Option("--name", help="Name for people; by default the code.", show_default=False)
]
ParticipantCode = Annotated[str, typer.Argument(metavar="PARTICIPANT", help="Code of the participant.")]
StoreCode = Annotated[str, typer.Argument(metavar="STORE", help="Code of the store.")]
TillPath = Annotated[str, typer.Argument(metavar="TILL", help="Such as cafe/main/till-1.")]
OfParticipant = Annotated[
    str, typer.Option("--participant", metavar="CODE", help="Only of this participant.", show_default=False)
]


@participant_app.command("add", epilog='Example: coalition participant add cafe --role alliance --name "Corner Cafe"')
@client_command
def participant_add(
    session: Session,
    code: Code,
    role: Annotated[str, typer.Option(help="chain, store or alliance.")] = "store",
    name: DisplayName = None,
    chain: Annotated[str, typer.Option(metavar="CODE", help="Chain it belongs to.", show_default=False)] = "",
    request_id: RequestId = None,
) -> None:
    """Let a participant join.

    A store that settles for itself is a participant; so is a chain's headquarters, and an alliance merchant of another
    trade. Stores and terminals come below it. Needs the operator's identity.
    """
    if role not in ROLES:
        raise typer.BadParameter(f"--role is one of {', '.join(ROLES)}")
    with session.coalition() as connection:
        answer = connection.call(
            connection.programme.CreateParticipant,
            CreateParticipantRequest(
                request_id=read_request_id(request_id),
                code=code,
                display_name=name or code,
                role=ROLES[role],
                chain_code=chain,
            ),
        )
    session.say(
        answer,
        f"Participant {answer.participant.code} has joined. Next: coalition store add {answer.participant.code} STORE",
    )


@participant_app.command("list", epilog="Example: coalition participant list --as hq/cafe")
@client_command
def participant_list(session: Session) -> None:
    """List the participants."""
    with session.coalition() as connection:
        rows = list(pages(connection, connection.programme.ListParticipants, ListParticipantsRequest(), "participants"))
    session.say(
        rows,
        table(
            f"{len(rows)} participants",
            ("code", "name", "role", "chain", "state"),
            (
                (row.code, row.display_name, enum_name(row, "role"), row.chain_code, enum_name(row, "state"))
                for row in rows
            ),
        ),
    )


def set_participant_state(session: Session, code: str, state: OperatingState.ValueType, request_id: str | None) -> None:
    """Set the state and print it."""
    with session.coalition() as connection:
        answer = connection.call(
            connection.programme.SetParticipantState,
            SetParticipantStateRequest(request_id=read_request_id(request_id), participant=code, state=state),
        )
    session.say(answer, f"Participant {code} is {enum_name(answer.participant, 'state')}.")


@participant_app.command("suspend", epilog="Example: coalition participant suspend cafe")
@client_command
def participant_suspend(session: Session, code: ParticipantCode, request_id: RequestId = None) -> None:
    """Suspend a participant with all its stores and terminals: none of them may operate. Needs the operator."""
    set_participant_state(session, code, OperatingState.OPERATING_STATE_SUSPENDED, request_id)


@participant_app.command("resume", epilog="Example: coalition participant resume cafe")
@client_command
def participant_resume(session: Session, code: ParticipantCode, request_id: RequestId = None) -> None:
    """Let a suspended participant back in. Needs the operator."""
    set_participant_state(session, code, OperatingState.OPERATING_STATE_ACTIVE, request_id)


@store_app.command("add", epilog='Example: coalition store add cafe main --name "Corner Cafe, Main Street"')
@client_command
def store_add(
    session: Session, participant: ParticipantCode, code: Code, name: DisplayName = None, request_id: RequestId = None
) -> None:
    """Register a store of a participant. Needs the operator's identity."""
    with session.coalition() as connection:
        answer = connection.call(
            connection.programme.CreateStore,
            CreateStoreRequest(
                request_id=read_request_id(request_id), participant=participant, code=code, display_name=name or code
            ),
        )
    session.say(
        answer, f"Store {participant}/{code} is registered. Next: coalition terminal add {participant} {code} TERMINAL"
    )


@store_app.command("list", epilog="Example: coalition store list --participant cafe")
@client_command
def store_list(session: Session, participant: OfParticipant = "") -> None:
    """List the stores of a participant, or of all."""
    with session.coalition() as connection:
        request = ListStoresRequest(participant=participant)
        rows = list(pages(connection, connection.programme.ListStores, request, "stores"))
    session.say(
        rows,
        table(
            f"{len(rows)} stores",
            ("participant", "store", "name", "state"),
            ((row.participant, row.code, row.display_name, enum_name(row, "state")) for row in rows),
        ),
    )


@store_app.command("suspend", epilog="Example: coalition store suspend cafe main")
@client_command
def store_suspend(
    session: Session, participant: ParticipantCode, store: StoreCode, request_id: RequestId = None
) -> None:
    """Suspend a store, such as one that was broken into: none of its terminals may operate. Needs the operator."""
    set_store_state(session, participant, store, OperatingState.OPERATING_STATE_SUSPENDED, request_id)


@store_app.command("resume", epilog="Example: coalition store resume cafe main")
@client_command
def store_resume(
    session: Session, participant: ParticipantCode, store: StoreCode, request_id: RequestId = None
) -> None:
    """Let a suspended store back in; terminals that are suspended themselves stay so. Needs the operator."""
    set_store_state(session, participant, store, OperatingState.OPERATING_STATE_ACTIVE, request_id)


def set_store_state(
    session: Session, participant: str, store: str, state: OperatingState.ValueType, request_id: str | None
) -> None:
    """Set the state and print it."""
    with session.coalition() as connection:
        answer = connection.call(
            connection.programme.SetStoreState,
            SetStoreStateRequest(
                request_id=read_request_id(request_id), participant=participant, store=store, state=state
            ),
        )
    session.say(answer, f"Store {participant}/{store} is {enum_name(answer.store, 'state')}.")


@terminal_app.command("add", epilog="Example: coalition terminal add cafe main till-1")
@client_command
def terminal_add(
    session: Session,
    participant: ParticipantCode,
    store: StoreCode,
    code: Code,
    request_id: RequestId = None,
) -> None:
    """Register a terminal of a store. Needs the operator's identity.

    The device needs a certificate too: coalition certificate t/PARTICIPANT/STORE/CODE
    """
    with session.coalition() as connection:
        answer = connection.call(
            connection.programme.CreateTerminal,
            CreateTerminalRequest(
                request_id=read_request_id(request_id), participant=participant, store=store, code=code
            ),
        )
    session.say(answer, f"Terminal {participant}/{store}/{code} is registered.")


@terminal_app.command("list", epilog="Example: coalition terminal list --participant cafe")
@client_command
def terminal_list(session: Session, participant: OfParticipant = "") -> None:
    """List the terminals of a participant, or of all."""
    with session.coalition() as connection:
        request = ListTerminalsRequest(participant=participant)
        rows = list(pages(connection, connection.programme.ListTerminals, request, "terminals"))
    session.say(
        rows,
        table(
            f"{len(rows)} terminals",
            ("participant", "store", "terminal", "state"),
            ((row.participant, row.store, row.code, enum_name(row, "state")) for row in rows),
        ),
    )


@terminal_app.command("suspend", epilog="Example: coalition terminal suspend cafe/main/till-1")
@client_command
def terminal_suspend(session: Session, till: TillPath, request_id: RequestId = None) -> None:
    """Suspend a terminal, such as one that was stolen: it may not operate. Needs the operator."""
    set_terminal_state(session, till, OperatingState.OPERATING_STATE_SUSPENDED, request_id)


@terminal_app.command("resume", epilog="Example: coalition terminal resume cafe/main/till-1")
@client_command
def terminal_resume(session: Session, till: TillPath, request_id: RequestId = None) -> None:
    """Let a suspended terminal back in. Needs the operator."""
    set_terminal_state(session, till, OperatingState.OPERATING_STATE_ACTIVE, request_id)


def set_terminal_state(session: Session, till: str, state: OperatingState.ValueType, request_id: str | None) -> None:
    """Set the state and print it."""
    with session.coalition() as connection:
        answer = connection.call(
            connection.programme.SetTerminalState,
            SetTerminalStateRequest(
                request_id=read_request_id(request_id), terminal=read_till(session, till).ref, state=state
            ),
        )
    session.say(answer, f"Terminal {till} is {enum_name(answer.terminal, 'state')}.")
