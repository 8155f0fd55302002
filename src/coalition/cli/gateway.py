"""`coalition gateway`: the ISO 8583 door for tills that speak no gRPC, in a process of its own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from coalition.cli.house import Var, house_errors
from coalition.config import load_settings


class Encoding(StrEnum):
    """How messages lie on the wire."""

    ASCII = "ascii"
    BINARY = "binary"
    BCD = "bcd"


def gateway(
    tills: Annotated[
        Path,
        typer.Option(
            "--map",
            metavar="FILE",
            help="CSV: merchant_id,terminal_id,till,identity. Says which till DE41 of DE42 is, such as "
            "cafe/main/till-1; identity may be empty.",
            show_default=False,
        ),
    ],
    identity: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="IDENTITY",
            help="Who speaks for tills without an identity of their own: a till server, such as ts/cafe/gateway.",
            show_default=False,
        ),
    ],
    listen: Annotated[
        str,
        typer.Option(metavar="HOST:PORT", help="Where tills connect. Without TLS leave it inside the store's network."),
    ] = "127.0.0.1:8583",
    server: Annotated[
        str | None,
        typer.Option(
            "--server", metavar="HOST:PORT", help="The coalition's server; the configured one.", show_default=False
        ),
    ] = None,
    encoding: Annotated[
        Encoding,
        typer.Option(
            help="ascii: all characters. binary: the same with 8-byte bitmaps. bcd: digits packed two a byte.",
        ),
    ] = Encoding.ASCII,
    tpdu: Annotated[
        bool, typer.Option("--tpdu/--no-tpdu", help="Five bytes of TPDU stand before each message.")
    ] = False,
    answer_seconds: Annotated[
        float,
        typer.Option(
            min=0.5,
            max=60,
            help="How long the server may take. Then DE39 is 91 and the gateway reverses; a till waits longer.",
        ),
    ] = 8.0,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY",
            help="Where its notebook lies; gateway below --var. Never delete it while tills may repeat messages.",
            show_default=False,
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="PEM certificate to show to tills.", show_default=False)
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.", show_default=False)] = None,
    tls_clients: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="PEM authority whose certificates tills must show; each is then taken for its own till only.",
            show_default=False,
        ),
    ] = None,
    var: Var = None,
) -> None:
    """Serve existing POS terminals that speak ISO 8583:1987 over TCP, and call the coalition's server for them.

    0100 keeps value aside, 0220 captures it, 0200 pays (processing code 00), refunds (20), tops up (21) or asks for the
    balance (31), 0400 and 0420 reverse, 0800 asks whether the server is there. A repeated message is posted once: the
    request_id of each is kept in a notebook before it is sent, also through a crash of this process.

    docs/iso8583.md has the field table, the response codes and the mapping file.
    """
    settings = load_settings(var=var)
    if (tls_certificate is None) is not (tls_key is None) or (tls_clients and not tls_certificate):
        raise typer.BadParameter("TLS needs --tls-certificate and --tls-key; --tls-clients comes on top of both")
    if not listen.rpartition(":")[2].isdecimal():
        raise typer.BadParameter("--listen is HOST:PORT, such as 127.0.0.1:8583")
    with house_errors():
        from coalition.bootstrap import gateway as door

        plan = door.plan_of(
            settings,
            tills=tills,
            identity=identity,
            listen=listen,
            server=server,
            encoding=encoding.value,
            tpdu=tpdu,
            answer_seconds=answer_seconds,
            state=state,
            tls=(tls_certificate, tls_key, tls_clients) if tls_certificate and tls_key else None,
        )
        raise typer.Exit(door.gateway(settings, plan))
