"""`coalition follow`: the folds of the journal in a process of their own, beside the servers."""

import typer

from coalition.cli.house import Var, house_errors
from coalition.config import load_settings


def follow(var: Var = None) -> None:
    """Keep positions, day totals and day limits up to date until stopped; what --attach leaves to this.

    It keeps the audit tree, too, where it finds the key ring. Any number may run at once: each range of the journal is
    folded by one of them, once.
    """
    settings = load_settings(var=var)
    with house_errors():
        from coalition.bootstrap import serving

        raise typer.Exit(serving.follow(settings))
