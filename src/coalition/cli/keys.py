"""`coalition keys`: what the life of a key asks of the databases. The keys themselves: python -m keys."""

from typing import Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from coalition.cli.house import Var, house_errors
from coalition.cli.output import console, table
from coalition.config import load_settings

BROKEN_SHOWN: Final = 20

key_app = typer.Typer(
    no_args_is_help=True,
    help="Member keys under the key ring's versions. The ceremony of the keys themselves: python -m keys --help",
)


@key_app.command(epilog="Example: coalition keys status")
def status(var: Var = None) -> None:
    """Show how many member keys each version of the key-encryption key wraps."""
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.rewrapping import member_keys

        with member_keys(settings) as at_hand:
            counts, primary = at_hand.rows.counts(), at_hand.ring.kek_version
            known = {v.version: v.state.value for v in at_hand.ring.versions if v.purpose == "key-encryption"}
    rows = [
        (
            str(version),
            known.get(version, "unknown to this ring") + (", primary" if version == primary else ""),
            str(counts.get(version, 0)),
        )
        for version in sorted({*known, *counts})
    ]
    console().print(table("key-encryption key", ("version", "state", ">member keys"), rows))


@key_app.command(epilog="Example: python -m keys rotate key-encryption var/keys; coalition keys rewrap")
def rewrap(var: Var = None) -> None:
    """Wrap every member key anew under the primary key-encryption key. Runs beside working servers.

    First rotate (`python -m keys rotate key-encryption DIR`), carry the directory to every server, and start the
    servers again one after the other, so that new members get the new version. Asked again after an interruption it
    goes on with what is left. When it says that no key needs an earlier version, that may be scheduled for destruction.
    Exit code 1: some keys do not open under this ring, and are named.
    """
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.rewrapping import member_keys
        from coalition.bootstrap.rewrapping import rewrap as run

        with member_keys(settings) as at_hand, _bar() as bar:
            behind = sum(n for version, n in at_hand.rows.counts().items() if version != at_hand.ring.kek_version)
            task = bar.add_task("member keys", total=behind)
            done = run(at_hand.ring, at_hand.rows, lambda looked_at: bar.advance(task, looked_at))
    say = console().print
    say(f"{done.exchanged} member keys wrapped anew by version {done.kek_version}.")
    if done.broken:
        shown = ", ".join(str(member_id) for member_id in done.broken[:BROKEN_SHOWN])
        console(stderr=True).print(
            f"{len(done.broken)} member keys do not open under this ring and were left as they are: {shown}\n"
            "Enable the version that wrapped them (coalition keys status), or restore the right key ring.",
            style="bold red",
            soft_wrap=True,
        )
        raise typer.Exit(1)
    if set(done.counts) <= {done.kek_version}:
        say("No member key needs an earlier version. Next: python -m keys schedule-destroy key-encryption VERSION DIR")


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(stderr=True),
    )
