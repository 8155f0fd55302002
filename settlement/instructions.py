"""Payment instructions of a run, made of its content alone: the same bytes on every export, on every machine.

Collections come first (who pays), payments after (who is paid): two files each, one for the bank's ISO 20022 channel,
one plain CSV. Pure; the XML is settlement/iso20022.py's.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

from settlement.multilateral import major

COLUMNS: Final = (
    *("instruction_id", "participant", "holder", "account", "bank", "amount", "currency", "execution_date"),
    *("mandate_id", "mandate_date", "reference"),
)
COLLECTIONS: Final = "collections"
PAYMENTS: Final = "payments"


@dataclass(frozen=True, slots=True)
class Account:
    """A bank account: an IBAN or another number, and the bank's BIC or clearing number."""

    holder: str
    account: str
    bank: str
    mandate_id: str = ""
    mandate_date: date | None = None


@dataclass(frozen=True, slots=True)
class Instructed:
    """What one participant is to pay or to be paid; amounts with its sign. Nothing instructed: no id, no account."""

    participant_id: int
    code: str
    name: str
    due_minor: int
    instructed_minor: int
    instruction_id: str | None
    account: Account | None


@dataclass(frozen=True, slots=True)
class Content:
    """What was approved of a run."""

    run_id: int
    deployment: str
    period: str
    currency_code: str
    prepare_time: datetime
    execution_date: date
    operator_name: str
    operator: Account | None
    parties: tuple[Instructed, ...]

    @property
    def message_id(self) -> str:
        """Of the run's messages, at most 30 characters, so that a suffix finds room in the standard's 35."""
        return f"{self.deployment[:8]}-R{self.run_id}"

    @property
    def reference(self) -> str:
        """What both sides read on their statement."""
        return f"coalition settlement {self.period[:40]}, run {self.run_id}"

    def instructed(self, sign: int) -> list[Instructed]:
        """Those that pay (-1) or are paid (1), in order of their numbers."""
        return [party for party in self.parties if party.instructed_minor * sign > 0]


def read_content(content: bytes) -> Content:
    """A run's content as it was stored."""
    told: dict[str, Any] = json.loads(content)
    return Content(
        run_id=told["run_id"],
        deployment=told["deployment"],
        period=told["period"],
        currency_code=told["currency_code"],
        prepare_time=datetime.fromisoformat(told["prepare_time"]),
        execution_date=date.fromisoformat(told["execution_date"]),
        operator_name=told["operator"]["name"],
        operator=_account(told["operator"]),
        parties=tuple(
            Instructed(
                party["participant_id"],
                party["code"],
                party["name"],
                party["due_minor"],
                party["instructed_minor"],
                party["instruction_id"],
                _account(party),
            )
            for party in told["parties"]
        ),
    )


def _account(told: dict[str, Any]) -> Account | None:
    if told["account"] is None:
        return None
    signed = told["mandate_date"]
    return Account(
        told["holder"],
        told["account"],
        told["bank"],
        told["mandate_id"],
        date.fromisoformat(signed) if signed else None,
    )


Make = Callable[[Content], bytes]


def csv_file(content: Content, sign: int) -> bytes:
    """The plain form: UTF-8, commas, one header, LF; amounts in major units, always above zero."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for party in content.instructed(sign):
        account = account_of(party)
        writer.writerow(
            [
                party.instruction_id,
                party.code,
                account.holder,
                account.account,
                account.bank,
                major(abs(party.instructed_minor)),
                content.currency_code,
                content.execution_date.isoformat(),
                account.mandate_id if sign < 0 else "",
                account.mandate_date.isoformat() if sign < 0 and account.mandate_date else "",
                content.reference,
            ]
        )
    return text.getvalue().encode()


def account_of(party: Instructed) -> Account:
    """The account of somebody who is instructed."""
    if party.account is None:
        raise ValueError(f"{party.code} is instructed and has no bank account")
    return party.account


def makers() -> Mapping[str, tuple[int, Make]]:
    """File name, for whom (-1 collections, 1 payments), and how it is made; in order of names."""
    from settlement import iso20022  # noqa: PLC0415 - an extra of the package; planning a run needs none of it

    return MappingProxyType(
        {
            f"{COLLECTIONS}.csv": (-1, lambda content: csv_file(content, -1)),
            f"{COLLECTIONS}.xml": (-1, iso20022.collections),
            f"{PAYMENTS}.csv": (1, lambda content: csv_file(content, 1)),
            f"{PAYMENTS}.xml": (1, iso20022.payments),
        }
    )
