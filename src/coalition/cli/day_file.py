"""What a till of another maker counted, from a JSON file; names and amounts as in the protos, kinds by short names.

    {"business_date": "2026-11-26",
     "totals": [{"kind": "PURCHASE", "accepted_count": 2, "accepted_minor": 3500, "declined_count": 1}],
     "operations": [{"request_id": "...", "kind": "PURCHASE", "accepted": true, "amount_minor": 2500}, ...]}

`totals` may be left out where `operations` are listed, `operations` always. `number` and `previous_hash` (hex), where a
till keeps its own; else the journal is asked for them. Checks shape only.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

import typer
from google.protobuf.json_format import ParseDict, ParseError

from coalition.client.day_statement import totals_of
from coalition.v1.terminal_pb2 import CloseDayRequest

FIELDS: Final = frozenset({"business_date", "number", "previous_hash", "totals", "operations"})
KIND_PREFIX: Final = "ENTRY_KIND_"


def read_day(file: str) -> CloseDayRequest:
    """The file's count, or - for standard input's. Raises BadParameter with the cure."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        return _day(json.loads(text))
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}") from None
    except (ValueError, ParseError, TypeError, AttributeError) as error:
        raise typer.BadParameter(f"{file}: {error}") from None


def _day(told: Any) -> CloseDayRequest:
    """Raises ValueError, ParseError."""
    if not isinstance(told, dict) or set(told) - FIELDS or not {"totals", "operations"} & set(told):
        raise ValueError(f"must be an object with totals or operations, and of {', '.join(sorted(FIELDS))} no others")
    named = {
        name: [{**each, "kind": f"{KIND_PREFIX}{each.get('kind', '')}"} for each in told[name]]
        for name in ("totals", "operations")
        if name in told
    }
    previous_hash = bytes.fromhex(told.pop("previous_hash", ""))
    request = ParseDict({**told, **named}, CloseDayRequest(previous_hash=previous_hash))
    if "totals" not in told:
        request.totals.extend(totals_of(request.operations))
    ordered = sorted(request.totals, key=lambda each: each.kind)
    del request.totals[:]
    request.totals.extend(ordered)
    return request
