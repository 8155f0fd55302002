"""`coalition witness`: a witness of audit logs, in a process of its own, with keys of its own."""

from pathlib import Path
from typing import Annotated

import typer

from coalition.cli.house import house_errors


def witness(
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Its name, such as witness.example/w1.")],
    policy: Annotated[
        Path, typer.Option("--policy", metavar="FILE", help="A tlog-policy file whose log lines are witnessed.")
    ],
    directory: Annotated[
        Path, typer.Option("--directory", metavar="DIR", help="Of its keys and its memory; made when missing.")
    ] = Path("var/witness"),
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Address to serve.")] = "127.0.0.1:7445",
    log_level: Annotated[str, typer.Option(metavar="LEVEL", help="debug, info, warning, error.")] = "info",
) -> None:
    """Witness audit logs: cosign what has only grown since the last look, and nothing else (C2SP tlog-witness).

    Meant for others than the log's operator: an auditor, a merchants' council, a bank. Put a TLS proxy in front when it
    is reached over a network. Its memory must not be lost: a witness that forgets would cosign a fork.
    """
    if not listen.rpartition(":")[2].isdecimal():
        raise typer.BadParameter("--listen is HOST:PORT, such as 127.0.0.1:7445")
    with house_errors():
        from coalition.bootstrap.policies import read_policy
        from coalition.bootstrap.witness import run

        raise typer.Exit(run(directory, name, read_policy(policy), listen, log_level, typer.echo))
