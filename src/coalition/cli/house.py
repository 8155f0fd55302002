"""`coalition serve`, `migrate`, `check`, `certificate`: the house itself, put together by bootstrap."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from coalition.bootstrap.addresses import SERVER, address_of
from coalition.cli.certificates import issue, own_certificate, read_identity
from coalition.cli.output import console
from coalition.cli.session import OPERATOR
from coalition.client import CertificateMissing, Connection, ServerUnreachable, certificate_folder
from coalition.config import Settings, load_settings

READY_SECONDS = 5.0
SERVER_IDENTITY = "server"

Var = Annotated[
    Path | None,
    typer.Option(help="Directory of databases, keys and certificates; var or COALITION_VAR.", show_default=False),
]


class HouseRefused(Exception):
    """The house cannot do what was asked; the message names the cause and its cure."""


def serve(
    var: Var = None,
    listen: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Address to serve; 127.0.0.1:7443.", show_default=False)
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            help="PostgreSQL of the ledger instead of the embedded one; keep a password in a service file, not here.",
            show_default=False,
        ),
    ] = None,
    attach: Annotated[
        bool, typer.Option("--attach", help="Join the embedded databases of a server that runs already.")
    ] = False,
    settlement: Annotated[
        bool, typer.Option("--settlement/--no-settlement", help="Run the settlement server beside it.")
    ] = True,
) -> None:
    """Start a server and print what to type next; Ctrl-C stops it.

    The first start makes databases, keys and development certificates below --var. Every setting may also be given as
    COALITION_NAME in the environment or in var/coalition.toml; the README lists them.
    """
    settings = load_settings(var=var, listen=listen, database_url=database_url)
    with house_errors():
        from coalition.bootstrap import serving

        raise typer.Exit(serving.serve(settings, attach=attach, with_settlement=settlement))


def migrate(var: Var = None) -> None:
    """Bring both databases to the schema of this release. A server of another schema version refuses to start."""
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.databases import migrate_databases

        migrate_databases(settings)
    typer.echo("both databases have the schema of this release")


def certificate(
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="Such as op/admin or t/cafe/main/till-1.")],
    var: Var = None,
) -> None:
    """Issue a development certificate and print where its three files are.

    The development authority is made by the first call or the first coalition serve. Its key is a file: fine for
    development, not for production.
    """
    settings = load_settings(var=var)
    identity = identity if identity.strip("/") == SERVER_IDENTITY else read_identity(identity)
    issue(settings, identity)
    typer.echo(str(certificate_folder(settings.certificates_directory, identity)))


def check(var: Var = None) -> None:
    """Look whether settings, databases, key ring, certificate and server are in order; exit code 1 when one is not."""
    settings = load_settings(var=var)
    looks: list[tuple[str, Callable[[Settings], str]]] = [
        ("databases", look_at_databases),
        ("key ring", look_at_keys),
        ("certificate", look_at_certificate),
        ("server", look_at_server),
    ]
    typer.echo(f"settings     ok: below {settings.var}, currency {settings.currency}, zone {settings.zone}")
    trouble = False
    for name, look in looks:
        try:
            typer.echo(f"{name:<12} ok: {look(settings)}")
        except (HouseRefused, CertificateMissing, ServerUnreachable) as error:
            trouble = True
            console().print(f"{name:<12} TROUBLE: {error}", style="bold red", soft_wrap=True)
    raise typer.Exit(1 if trouble else 0)


def look_at_databases(settings: Settings) -> str:
    """Both databases answer and have the schema of this release."""
    with house_errors():
        from coalition.bootstrap.databases import databases

        with databases(settings, attach=True) as opened:
            strays = opened.stray_partitions()
    if strays:
        raise HouseRefused(f"rows lie in default partitions ({', '.join(strays)}); run `coalition migrate` more often")
    return "embedded, running" if settings.is_embedded else "both answer"


def look_at_keys(settings: Settings) -> str:
    """The key ring is there, whole, and private to its owner."""
    directory = settings.keys_directory
    if not directory.exists():
        raise HouseRefused(f"{directory} does not exist; the first coalition serve makes it, or restore its backup")
    with house_errors():
        from coalition.bootstrap.strongroom import key_ring

        key_ring(settings)
    return str(directory)


def look_at_certificate(settings: Settings) -> str:
    """There is a certificate to speak as the operator with."""
    own_certificate(settings, OPERATOR)
    return f"{OPERATOR} in {settings.certificates_directory}"


def look_at_server(settings: Settings) -> str:
    """The server takes a connection over mutual TLS."""
    address = address_of(settings, SERVER, settings.listen)
    with Connection(address, own_certificate(settings, OPERATOR)) as connection:
        connection.wait_until_ready(READY_SECONDS)
    return address


@contextmanager
def house_errors() -> Iterator[None]:
    """Turn the errors of rooms that the command line does not know into one that it prints."""
    from coalition.bootstrap.errors import HouseError

    try:
        yield
    except HouseError as error:
        raise HouseRefused(str(error)) from error
