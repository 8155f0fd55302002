"""`coalition agreement simulate`: proposals over past windows, who would have gained and who would have lost."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from coalition.cli.agreement_content import KINDS, content_message
from coalition.cli.agreements import agreement_app
from coalition.cli.money import format_number
from coalition.cli.output import table
from coalition.cli.session import Session, client_command
from coalition.v1.operations_pb2 import TRANSFER_CODE_UNSPECIFIED
from coalition.v1.settlement_pb2 import FindWhoWouldGainRequest, FindWhoWouldGainResponse, ProposedAgreement

SIMULATED = ("acceptance", "acquiring", "fees", "terms")
BAR = 20  # characters of the longest bar


@agreement_app.command("simulate", epilog="Example: coalition agreement simulate proposed.json 2017-01 2017-02")
@client_command
def simulate(
    session: Session,
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON: an object with code, kind (acceptance, acquiring, fees, terms) and content, or a list of them.",
            show_default=False,
        ),
    ],
    labels: Annotated[
        list[str], typer.Argument(metavar="LABEL...", help="Netted windows, such as 2017-01.", show_default=False)
    ],
    calendar: Annotated[str, typer.Option(metavar="CODE", help="Settlement calendar.")] = "monthly",
) -> None:
    """Play proposed agreements over past windows: who would have gained and who would have lost. Changes nothing.

    Headquarters of a participant (--as hq/...) propose what it is a party of, and see their own figures.
    """
    request = FindWhoWouldGainRequest(
        calendar=calendar,
        labels=[label.removeprefix(f"{calendar}/") for label in labels],
        proposals=read_proposals(file),
    )
    with session.settlement() as connection:
        answer = connection.call(connection.settlement.FindWhoWouldGain, request)
    floats = [float_table(session, answer)] if answer.floats else []
    session.say(answer, outcome_table(session, answer), *floats, *declined_lines(session, answer))


def read_proposals(path: Path) -> list[ProposedAgreement]:
    """What the file proposes; trouble ends the command with exit code 2."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise typer.BadParameter(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise typer.BadParameter(f"{path} is no JSON: {error}") from None
    rows: list[Any] = loaded if isinstance(loaded, list) else [loaded]
    return [_proposal(row, number) for number, row in enumerate(rows, 1)]


def _proposal(row: Any, number: int) -> ProposedAgreement:
    if not isinstance(row, dict) or set(row) != {"code", "kind", "content"} or not isinstance(row["content"], dict):
        raise typer.BadParameter(f"proposal {number} must be an object with code, kind and content, and nothing else")
    kind = str(row["kind"]).lower()
    if kind not in SIMULATED or kind not in KINDS:
        raise typer.BadParameter(f"proposal {number}: kind is one of {', '.join(SIMULATED)}")
    try:
        content: dict[str, Any] = {kind: content_message(kind, row["content"])}
        return ProposedAgreement(code=str(row["code"]), **content)
    except ValueError as error:
        raise typer.BadParameter(f"proposal {number}: {error}") from None


def outcome_table(session: Session, answer: FindWhoWouldGainResponse) -> Any:
    """Each participant's net over all windows, and a bar for what it would have gained (right) or lost (left)."""
    real: Counter[str] = Counter()
    simulated: Counter[str] = Counter()
    for line in answer.lines:
        if line.code == TRANSFER_CODE_UNSPECIFIED:
            real[line.participant] += line.real_minor
            simulated[line.participant] += line.simulated_minor
    rows = [(each, real[each], simulated[each]) for each in sorted(real)]
    widest = max((abs(after - before) for _, before, after in rows), default=0)
    return table(
        f"who would have gained and lost, {session.settings.currency}",
        ("participant", ">real net", ">simulated net", ">difference", ">lost", "gained"),
        (
            (
                each,
                *(format_number(amount) for amount in (before, after, after - before)),
                bar(before - after, widest),
                bar(after - before, widest),
            )
            for each, before, after in rows
        ),
    )


def float_table(session: Session, answer: FindWhoWouldGainResponse) -> Any:
    """Where members' money lay at the end of each window, and would have lain."""
    return table(
        f"where members' money would have lain, {session.settings.currency}",
        ("window", "with", "value of", ">real", ">simulated", ">difference"),
        (
            (
                *(each.label, each.custodian, each.issuer),
                *(
                    format_number(amount)
                    for amount in (each.real_minor, each.simulated_minor, each.simulated_minor - each.real_minor)
                ),
            )
            for each in answer.floats
        ),
    )


def bar(amount: int, widest: int) -> str:
    """A bar of the amount; none for what is not above zero, at least one stroke for what is."""
    return "█" * max(1, amount * BAR // widest) if amount > 0 else ""


def declined_lines(session: Session, answer: FindWhoWouldGainResponse) -> list[str]:
    """A sentence for each kind of sale that would not have been."""
    return [
        f"{each.label} {each.participant}: {each.count:,} sales of {session.money(each.amount_minor)} would have been "
        f"declined, {each.reason}; they are counted as they were"
        for each in answer.declined
    ]
