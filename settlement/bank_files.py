"""A bank's result as a file: ISO 20022 camt.054 or pain.002, or the plain CSV of both. Read to lines or refused."""

import csv
import io
import re
from typing import Final

from coalition.domain.bank_results import BankLine, Result
from settlement.errors import NeedsHuman

COLUMNS: Final = ("bank_reference", "instruction_id", "direction", "amount", "currency", "result", "cause")
SIGNS: Final = {"IN": -1, "OUT": 1}
AMOUNT: Final = re.compile(r"(\d{1,15})\.(\d{2})")
REFERENCE_MAX: Final = 140
BYTES_MAX: Final = 64 << 20  # a notice of 100,000 transactions is 40 MB; more than that is no settlement


def read(file: bytes) -> list[BankLine]:
    """The lines of a bank's result, in their order. Raises NeedsHuman naming the line, the column and the cure."""
    if len(file) > BYTES_MAX:
        raise NeedsHuman(f"the bank's file has {len(file)} bytes, at most {BYTES_MAX} are read: split it")
    if file.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        from settlement.iso20022 import read_message  # noqa: PLC0415 - an extra of the package; CSV needs none of it

        return read_message(file)
    return read_csv(file)


def read_csv(file: bytes) -> list[BankLine]:
    """The plain form: UTF-8, one header, amounts as 1234.50; direction is IN (collected) or OUT (paid).

    For RETURNED the direction is the instruction's own: a payment that came back is OUT.
    """
    try:
        text = file.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NeedsHuman("the bank's file is not UTF-8: have it exported as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text), strict=True)
    missing = set(COLUMNS[:-1]) - set(reader.fieldnames or ())
    if missing:
        raise NeedsHuman(f"the bank's file lacks the columns {', '.join(sorted(missing))} in its first line")
    try:
        return [csv_line(row, f"line {place}") for place, row in enumerate(reader, 2)]
    except csv.Error as error:
        raise NeedsHuman(f"the bank's file is no CSV after line {reader.line_num}: {error}") from error


def csv_line(row: dict[str, str | None], where: str) -> BankLine:
    """One line of the plain form."""
    told = {name: (row.get(name) or "").strip() for name in COLUMNS}
    amount = AMOUNT.fullmatch(told["amount"])
    wrong = [
        sentence
        for sentence, holds in (
            ("bank_reference is 1 to 140 characters", 1 <= len(told["bank_reference"]) <= REFERENCE_MAX),
            ("direction is IN or OUT", told["direction"] in SIGNS),
            ("amount is above zero and written as 1234.50", amount is not None and told["amount"].strip("0.") != ""),
            (f"result is {', '.join(Result.__members__)}", told["result"] in Result.__members__),
        )
        if not holds
    ]
    if wrong or amount is None:
        raise NeedsHuman(f"{where} of the bank's file: {'; '.join(wrong)}")
    return BankLine(
        told["bank_reference"],
        told["instruction_id"],
        SIGNS[told["direction"]] * int(amount[1] + amount[2]),
        told["currency"],
        Result(told["result"]),
        told["cause"],
    )
