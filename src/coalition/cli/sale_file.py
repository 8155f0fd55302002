"""What was sold and paid with, from a JSON file: {"items": [...], "tenders": [...]}, fields named as in the protos.

    {"items": [{"sku": "6901", "category": "tea", "quantity_thousandths": 2000, "amount_minor": 1800}],
     "tenders": [{"kind": "CARD", "amount_minor": 1800}]}

Checks shape only; whether the sums agree is the service's business.
"""

import json
from pathlib import Path
from typing import Any, Final

import typer
from google.protobuf.json_format import ParseDict, ParseError

from coalition.v1.operations_pb2 import PurchaseRequest

FIELDS: Final = ("items", "tenders")
KIND_PREFIX: Final = "TENDER_KIND_"


def read_sale(file: Path) -> PurchaseRequest:
    """A request with nothing but the file's items and tenders. Raises BadParameter with the cure."""
    try:
        return ParseDict(_sale(json.loads(file.read_text(encoding="utf-8"))), PurchaseRequest())
    except OSError as error:
        raise typer.BadParameter(f"--items {file}: {error.strerror}") from None
    except (ValueError, ParseError, TypeError, AttributeError) as error:
        raise typer.BadParameter(f"--items {file}: {error}") from None


def _sale(told: Any) -> dict[str, Any]:
    """As the protos write it: kinds of tenders by their long names. Raises ValueError."""
    if not isinstance(told, dict) or set(told) - set(FIELDS):
        raise ValueError("must be an object with items, tenders or both")
    tenders = [{**each, "kind": f"{KIND_PREFIX}{each.get('kind', '')}"} for each in told.get("tenders", [])]
    return {**told, "tenders": tenders}
