"""The command line's frame: its help, and how a refusal is said. The commands themselves stand beside it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from keys.errors import KeysError

RING: Final = "Key ring"
CEREMONIES: Final = "A key's life"
CERTIFICATES: Final = "Certificates"

app = typer.Typer(
    name="keys",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Make and inspect the keys and certificates of a coalition.

A **key ring** seals member records, hashes look-ups and signs batches. An **authority** issues the certificates that
say who calls, renews them, and revokes them. Keep each in a directory of its own, outside the source tree.

Start here:

- python -m keys init var/keys
- python -m keys authority var/authority --trust-domain coalition.example
- python -m keys certificate var/authority spiffe://coalition.example/server
- python -m keys issued var/authority

Exit codes: 0 done, 1 refused (the message says what to do), 2 wrong command line.
""",
)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn a refusal, or trouble with the disk, into one sentence and exit code 1."""
    try:
        yield
    except KeysError as refusal:
        typer.echo(f"refused: {refusal}", err=True)
        raise typer.Exit(1) from None
    except OSError as trouble:
        typer.echo(f"refused: {trouble.filename}: {trouble.strerror}", err=True)
        raise typer.Exit(1) from None


def say(sentence: str) -> None:
    """Print a sentence plainly, so that long paths stay whole and can be copied."""
    typer.echo(sentence)
