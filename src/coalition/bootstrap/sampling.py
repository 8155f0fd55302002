"""Drawing a sample on an auditor's laptop, beside the tool that verifies. Opens `audit` and nothing else."""

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from coalition.audit.bundle import Bundle
from coalition.audit.errors import EvidenceMalformed
from coalition.audit.sampling import Method, Sample, draw

AT_ONCE: Final = 20
"""So many members can be disclosed at once (membership/disclosure_desk.py)."""
RISK: Final = 0.05
COLUMNS: Final = ("number", "disclosure", "entry_id", "member_id", "wallet_id", "amount_minor", "hits")


def draw_sample(
    directory: Path, method: str, size: int, seed: str, progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """The sample of a bundle: its facts, its rows in order, each with the disclosure it would be part of.

    Raises EvidenceMalformed for what is no bundle, size or seed.
    """
    bundle = Bundle.open(directory, progress)
    try:
        sample = draw(bundle, Method(method), size, seed)
    except ValueError as error:
        raise EvidenceMalformed(f"the bundle has not as many payloads as leaves: {error}") from error
    finally:
        bundle.close()
    rows = [
        dict(zip(COLUMNS, (place + 1, place // AT_ONCE + 1, *drawn_row(drawn)), strict=True))
        for place, drawn in enumerate(sample.drawn)
    ]
    return {
        "method": method,
        "seed": seed,
        "root": sample.root,
        "population": sample.population,
        "size": sum(drawn.hits for drawn in sample.drawn),
        "upper_limit": upper_limit(method, sample),
        "rows": rows,
    }


def upper_limit(method: str, sample: Sample) -> str:
    """What share of the population may be wrong at most where nothing wrong is found, at 95 % confidence, in percent.

    Attributes: binomial, 1 - 0.05^(1/n). Monetary units: Poisson, -ln(0.05)/n of the amount.
    """
    size = sum(drawn.hits for drawn in sample.drawn)
    if not size:
        return "100"
    share = 1 - RISK ** (1 / size) if method == Method.ATTRIBUTE else -math.log(RISK) / size
    return f"{min(share, 1) * 100:.2f}"


def as_csv(told: dict[str, Any]) -> str:
    """The rows of a sample, with a line of names."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(told["rows"])
    return out.getvalue()


def drawn_row(drawn: Any) -> tuple[Any, ...]:
    """An entry of the sample as a row: what it does not have is empty."""
    return drawn.entry_id, drawn.member_id, drawn.wallet_id or "", drawn.amount_minor or "", drawn.hits
