"""`coalition keys`: what the life of a key asks of the databases. The keys themselves: python -m keys."""

import time
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from coalition.cli.house import Var, house_errors
from coalition.cli.output import console, table
from coalition.config import Settings, load_settings

if TYPE_CHECKING:
    from coalition.bootstrap.rewrapping import Rewrapped

BROKEN_SHOWN: Final = 20
STRAGGLERS_SECONDS: Final = 2.0

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


@key_app.command(epilog="Example: python -m keys disable key-encryption 1 var/keys; coalition keys record")
def record(var: Var = None) -> None:
    """Tell the journal which key versions this ring has and in which states, so that auditors see every key's life.

    A server does so when it starts, with the ring it has; after a change that asks for no restart (a destruction, a key
    that is scheduled) do it by this command.
    """
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.key_events import record_on_attached
        from coalition.bootstrap.strongroom import existing_key_ring

        told = record_on_attached(settings, existing_key_ring(settings))
    for version in told:
        primary = ", primary" if version.is_primary else ""
        console().print(
            f"the journal knows now: {version.purpose} version {version.version} is {version.state}{primary}"
        )
    if not told:
        console().print("The journal knows every key version of this ring as it is.")


@key_app.command(epilog="Example: python -m keys rotate key-encryption var/keys; coalition keys rewrap")
def rewrap(var: Var = None) -> None:
    """Wrap every member key anew under the primary key-encryption key. Runs beside working servers.

    First rotate (`python -m keys rotate key-encryption DIR`), carry the directory to every server, and start the
    servers again one after the other, so that new members get the new version. Asked again after an interruption it
    goes on with what is left. When it says that no key needs an earlier version, that may be scheduled for destruction.
    Exit code 1: some keys do not open under this ring, and are named.
    """
    with house_errors():
        done = _wrap_anew(load_settings(var=var))
    say = console().print
    if set(done.counts) <= {done.kek_version}:
        say("No member key needs an earlier version. Next: python -m keys schedule-destroy key-encryption VERSION DIR")


@key_app.command(epilog="Example: coalition keys rotate --now")
def rotate(
    now: Annotated[bool, typer.Option("--now", help="End the epoch of the key-encryption key today.")] = False,
    carried: Annotated[
        bool,
        typer.Option("--carried", help="Every server's machine has the new ring. Asked for where there are several."),
    ] = False,
    custody: Annotated[
        str | None, typer.Option(metavar="URI", help="Where the new key is kept; a file.", show_default=False)
    ] = None,
    var: Var = None,
) -> None:
    """Let erased members be in no copy of the key database any more, today instead of within 35 days.

    Rotates the key-encryption key, wraps every member key anew, schedules the old versions for destruction, and says
    what two officers sign. Runs beside working servers; asked again after an interruption it goes on with what is left.
    One step at a time, for a yearly rotation: python -m keys rotate, coalition keys rewrap.
    """
    if not now:
        raise typer.BadParameter("say --now; for a rotation without destruction: python -m keys rotate key-encryption")
    settings = load_settings(var=var)
    say, directory = console().print, settings.keys_directory
    with house_errors():
        from coalition.bootstrap.epoch_end import begin_epoch, end_epoch
        from coalition.bootstrap.key_events import record_on_attached
        from coalition.bootstrap.strongroom import existing_key_ring

        made = begin_epoch(settings, custody)
        if made is not None:
            say(f"key-encryption key version {made.version} made, kept at {made.uri}.", soft_wrap=True)
        if not settings.is_embedded and (made is not None or not carried):
            say(
                f"Carry {directory} to every server's machine, then: coalition keys rotate --now --carried",
                soft_wrap=True,
            )
            return
        _wrap_anew(settings)
        time.sleep(STRAGGLERS_SECONDS)  # an enrolment that took its key before the rotation has kept it by now
        done = _wrap_anew(settings)
        if set(done.counts) - {done.kek_version}:
            console(stderr=True).print(
                "New members still get keys of an earlier version: a server works with the ring of before. Carry the "
                f"ring in {directory} to it, start it again, then run this again.",
                style="bold red",
                soft_wrap=True,
            )
            raise typer.Exit(1)
        waiting = end_epoch(settings)
        record_on_attached(settings, existing_key_ring(settings))
    if not waiting:
        say("No earlier version is left: nothing is to be destroyed.")
    for version in waiting:
        say(f"key-encryption key version {version.version} opens nothing any more and may be destroyed now.")
        command = f"key-encryption {version.version} {directory} --authority DIR"
        say(
            f"  two officers, each: python -m keys confirm-destroy {command} --certificate FILE --private-key FILE\n"
            f"  then: python -m keys destroy {command}; coalition keys record",
            soft_wrap=True,
        )


@key_app.command(epilog="Example: python -m keys set-primary blind-index 2 var/keys; coalition keys reindex")
def reindex(var: Var = None) -> None:
    """Index every member anew under the primary version of the blind index. Runs beside working servers.

    In this order: `python -m keys rotate blind-index DIR --members N`, carry the directory to every server and start
    them again one after the other (they look under both versions from then on); `python -m keys set-primary blind-index
    VERSION DIR`, carry and start them again; this command, until it finds nothing more to do; `python -m keys disable
    blind-index OLD DIR`. Exit code 1: some records do not open under this ring, and their members are named.
    """
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.key_events import record_on_attached, record_reindexed
        from coalition.bootstrap.reindexing import member_indexes
        from coalition.bootstrap.reindexing import reindex as run

        with member_indexes(settings) as at_hand, _bar() as bar:
            count = at_hand.rows.count("phone")
            # Without an end: a member whose value is exchanged may be met once more, further on.
            task = bar.add_task("members looked at", total=None)
            done = run(at_hand.ring, at_hand.rows, at_hand.member_keys, lambda seen: bar.advance(task, seen))
            if done.exchanged or not done.broken:
                record_on_attached(settings, at_hand.ring)
                record_reindexed(settings, at_hand.ring, done.version, done.exchanged, done.keyless, len(done.broken))
    say = console().print
    say(f"{done.exchanged} of {count} members indexed anew by version {done.version}.")
    if done.keyless:
        say(f"{done.keyless} members without a key, erased, keep the value they had.")
    if done.broken:
        _refuse_broken("members", done.broken)
    if not done.exchanged:
        say("No member needs an earlier version. Next: python -m keys disable blind-index VERSION DIR")


@key_app.command("phone-checks", epilog="Example: coalition keys phone-checks")
def phone_checks(var: Var = None) -> None:
    """Give members of a release before phones' checks theirs, so that a look need not open them.

    Runs beside working servers, once the key database is migrated (0002). Members whose phone has changed since get
    theirs, too. Asked again after an interruption it goes on with what is left. Exit code 1: some
    records do not open under this ring, and their members are named.
    """
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap.check_filling import fill_checks, unchecked_keys

        with unchecked_keys(settings) as at_hand, _bar() as bar:
            task = bar.add_task("members", total=at_hand.keys.count())
            done = fill_checks(at_hand.ring, at_hand.ledger, at_hand.keys, lambda seen: bar.advance(task, seen))
            left = at_hand.keys.count()
    console().print(f"{done.filled} members got a check of their phone; {left} have none.")
    if done.broken:
        _refuse_broken("members", done.broken)


def _wrap_anew(settings: Settings) -> "Rewrapped":
    """Wrap every member key by the primary version and tell the journal. Exit code 1 where some do not open."""
    from coalition.bootstrap.key_events import record_on_attached, record_rewrapped
    from coalition.bootstrap.rewrapping import member_keys
    from coalition.bootstrap.rewrapping import rewrap as run

    with member_keys(settings) as at_hand, _bar() as bar:
        behind = sum(n for version, n in at_hand.rows.counts().items() if version != at_hand.ring.kek_version)
        task = bar.add_task("member keys", total=behind)
        done = run(at_hand.ring, at_hand.rows, lambda looked_at: bar.advance(task, looked_at))
        if done.exchanged or not done.broken:  # else this is not the house's ring, whose life nobody asked about
            record_on_attached(settings, at_hand.ring)
            record_rewrapped(settings, at_hand.ring, done.exchanged, len(done.broken), done.counts)
    console().print(f"{done.exchanged} member keys wrapped anew by version {done.kek_version}.")
    if done.broken:
        _refuse_broken("member keys", done.broken)
    return done


def _refuse_broken(what: str, broken: list[UUID]) -> None:
    shown = ", ".join(str(member_id) for member_id in broken[:BROKEN_SHOWN])
    console(stderr=True).print(
        f"{len(broken)} {what} do not open under this ring and were left as they are: {shown}\n"
        "Enable the version that is missing (coalition keys status), or restore the right key ring.",
        style="bold red",
        soft_wrap=True,
    )
    raise typer.Exit(1)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(stderr=True),
    )
