"""What every client command shares: who it speaks as, to whom, and how it prints. Opens connections, keeps none."""

import functools
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar, get_type_hints

import typer
from google.protobuf.message import Message
from rich.console import RenderableType

from coalition.bootstrap.addresses import SERVER, SETTLEMENT, address_of
from coalition.cli import money
from coalition.cli.certificates import own_certificate, read_identity
from coalition.cli.output import console, print_json, to_json
from coalition.client import Connection
from coalition.config import Settings, load_settings

OPERATOR: Final = "op/admin"
"""Who the commands of headquarters speak as, unless --as says otherwise."""

Row = TypeVar("Row", bound=Message)


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command. `identity` and `server` are None unless --as and --server were given."""

    identity: str | None
    server: str | None
    as_json: bool
    field: str | None
    settings: Settings

    @contextmanager
    def coalition(self, identity: str = OPERATOR) -> Iterator[Connection]:
        """The coalition's server, as --as or `identity`. Raises CertificateMissing."""
        with self._connect(
            self.server or address_of(self.settings, SERVER, self.settings.listen), identity
        ) as connection:
            yield connection

    @contextmanager
    def settlement(self, identity: str = OPERATOR) -> Iterator[Connection]:
        """The settlement's server, as --as or `identity`. Raises CertificateMissing."""
        address = self.server or address_of(self.settings, SETTLEMENT, self.settings.settlement_listen)
        with self._connect(address, identity) as connection:
            yield connection

    def _connect(self, server: str, identity: str) -> Connection:
        return Connection(server, own_certificate(self.settings, self.identity or identity))

    def amount(self, text: str) -> int:
        """Minor units of an amount on the command line; a malformed one ends the command with exit code 2."""
        try:
            return money.parse_amount(text, self.settings.currency)
        except ValueError as error:
            raise typer.BadParameter(f"amount: {error}") from None

    def money(self, amount_minor: int) -> str:
        """An amount with the currency of this coalition."""
        return money.format_amount(amount_minor, self.settings.currency)

    def say(self, answer: Message | Sequence[Message], *lines: RenderableType) -> None:
        """Print the answer: for people, as JSON, or one field of it."""
        if self.as_json or self.field:
            facts = to_json(answer) if isinstance(answer, Message) else [to_json(row) for row in answer]
            if self.field:
                for value in found(facts, self.field):
                    sys.stdout.write(f"{value}\n")
            else:
                print_json(facts)
            return
        out = console()
        for line in lines:
            out.print(line, soft_wrap=isinstance(line, str))


def read_server(text: str | None) -> str | None:
    """The address of --server; without a port it would be looked for at 443."""
    if text is not None and not text.rpartition(":")[2].isdecimal():
        raise typer.BadParameter("--server is HOST:PORT, such as 127.0.0.1:7443")
    return text


def found(facts: Any, field: str) -> list[Any]:
    """The values of a field in an answer, one per row of a list; a typo ends the command with exit code 2."""
    if isinstance(facts, list):
        return [value for row in facts for value in found(row, field)]
    value = facts
    for name in field.split("."):
        if not isinstance(value, dict) or name not in value:
            known = ", ".join(value) if isinstance(value, dict) else "none below it"
            raise typer.BadParameter(f"--field {field}: the answer has no {name}; it has {known}")
        value = value[name]
    return [value]


SHARED: Final = (
    inspect.Parameter(
        "identity",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                "--as", metavar="IDENTITY", help="Who to speak as, such as op/admin or hq/cafe.", show_default=False
            ),
        ],
    ),
    inspect.Parameter(
        "server",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                "--server", metavar="HOST:PORT", help="Server to ask; the configured one.", show_default=False
            ),
        ],
    ),
    inspect.Parameter(
        "as_json",
        inspect.Parameter.KEYWORD_ONLY,
        default=False,
        annotation=Annotated[bool, typer.Option("--json", help="Print JSON; amounts are in minor units.")],
    ),
    inspect.Parameter(
        "field",
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[
            str | None,
            typer.Option(
                "--field",
                metavar="NAME",
                help="Print one field of the JSON, such as receipt.entry_id.",
                show_default=False,
            ),
        ],
    ),
)


def client_command(function: Callable[..., None]) -> Callable[..., None]:
    """Turn a function whose first parameter is a Session into a command with the options that every one has.

    A parameter that is a NamedTuple stands for an option a field, those that several commands share.
    """
    signature = inspect.signature(function, eval_str=True)
    named = list(signature.parameters.values())[1:]
    groups = {each.name: each.annotation for each in named if hasattr(each.annotation, "_fields")}
    own = [
        # typer passes every argument by name, and Python wants the shared ones last.
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for each in named
        for parameter in (options_of(groups[each.name]) if each.name in groups else [each])
    ]
    parameters = [*own, *SHARED]

    @functools.wraps(function)
    def command(
        *, identity: str | None, server: str | None, as_json: bool, field: str | None, **arguments: Any
    ) -> None:
        settings = load_settings()
        session = Session(read_identity(identity) if identity else None, read_server(server), as_json, field, settings)
        for name, group in groups.items():
            arguments[name] = group(*(arguments.pop(each) for each in group._fields))
        function(session, **arguments)

    # What typer reads instead of the Session.
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return command


def options_of(group: Any) -> list[inspect.Parameter]:
    """The options of a NamedTuple, in its order."""
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            each, inspect.Parameter.KEYWORD_ONLY, default=group._field_defaults[each], annotation=hints[each]
        )
        for each in group._fields
    ]


def pages(
    connection: Connection, method: Any, request: Message, rows: str, *, limit: int | None = None
) -> Iterator[Any]:
    """Yield the rows of a paged list, asking for page after page; at most `limit` of them."""
    asked: Any = request
    left = limit
    while True:
        asked.page_size = 1000 if left is None else min(left, 1000)
        answer: Any = connection.call(method, asked)
        yield from getattr(answer, rows)
        if left is not None:
            left -= len(getattr(answer, rows))
        if not answer.next_page_token or left == 0:
            return
        asked.page_token = answer.next_page_token
