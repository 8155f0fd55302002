"""The auditor's commands alone, for a laptop: verify, check-receipt and sample load no SQL and no gRPC."""

from collections.abc import Callable
from typing import Final

import typer

from coalition.cli.sampling import sample
from coalition.cli.verifying import OK, check_receipt, verify

COMMANDS: Final[dict[str, Callable[..., None]]] = {"verify": verify, "check-receipt": check_receipt, "sample": sample}


def run(arguments: list[str]) -> int:
    """Run one of them; its exit code."""
    app = typer.Typer(
        name="coalition audit", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
    )
    for name, command in COMMANDS.items():
        app.command(name)(command)
    try:
        app(args=arguments, prog_name="coalition audit")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else OK
    return OK
