"""Bank accounts of participants, from a CSV file that headquarters keeps: checked as a whole, set in one act.

The journal is told whose accounts were set and the hash of the file, never an account. A run that is prepared keeps
the accounts of that moment: changing one afterwards changes nothing that was approved.
"""

import csv
import hashlib
import io
import re
from datetime import date
from typing import Final
from uuid import uuid5

from coalition.domain.acts import JSON, Act, ActAnswer, body_hash
from coalition.domain.kinds import Kind
from coalition.storage import positions as folded
from coalition.storage import runs
from coalition.storage import settlement as store
from coalition.storage.acts import Acts
from coalition.storage.connect import Connection
from coalition.storage.runs import BankAccount
from settlement.errors import NeedsHuman, NothingToDo

COLUMNS: Final = ("participant", "account", "bank", "holder", "mandate_id", "mandate_date")
REQUIRED: Final = COLUMNS[:4]
ACCOUNT: Final = re.compile(r"[A-Za-z0-9]{1,34}")
BANK: Final = re.compile(r"[A-Z0-9]{1,35}")
HOLDER_MAX: Final = 140  # Max140Text of ISO 20022
MANDATE: Final = re.compile(r"[A-Za-z0-9 /?:().,'+-]{0,35}")


def set_accounts(connection: Connection, acts: Acts, file: bytes, *, actor: str = store.ACTOR) -> ActAnswer:
    """Set what the file says; accounts of participants it does not name stay. Needs an autocommit connection.

    Raises NothingToDo if they are what the file says, NeedsHuman naming line, column and cure: nothing is set then.
    """
    known = store.scheme(connection)
    codes = {party.code: party.participant_id for party in folded.parties(connection)}
    accounts = read_accounts(file, codes)
    body: dict[str, JSON] = {
        "participants": [*sorted(account.participant_id for account in accounts)],
        "sha256": hashlib.sha256(file).hexdigest(),
    }
    before = runs.bank_accounts(connection)
    changed = [account for account in accounts if before.get(account.participant_id) != account]
    if not changed:
        raise NothingToDo("the bank accounts are what this file says already", {"changed": 0})
    state = hashlib.sha256(repr(sorted(before.items())).encode()).hexdigest()
    own_id = uuid5(known.deployment_id, f"bank accounts/{body['sha256']}/{state}")
    act = Act(Kind.BANK_ACCOUNTS_SET, known.operator_id, own_id, body_hash(Kind.BANK_ACCOUNTS_SET, body), actor)

    def apply(connection: Connection) -> dict[str, JSON]:
        runs.set_bank_accounts(connection, changed)
        return {**body, "changed": len(changed)}

    return acts.perform(connection, act, apply)


def read_accounts(file: bytes, codes: dict[str, int]) -> list[BankAccount]:
    """The accounts of a file: UTF-8, one header, one line a participant."""
    try:
        text = file.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NeedsHuman("the file of accounts is not UTF-8: save it as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text), strict=True)
    missing = set(REQUIRED) - set(reader.fieldnames or ())
    if missing:
        raise NeedsHuman(f"the file of accounts lacks the columns {', '.join(sorted(missing))} in its first line")
    try:
        accounts = [account_of(row, codes, f"line {place}") for place, row in enumerate(reader, 2)]
    except csv.Error as error:
        raise NeedsHuman(f"the file of accounts is no CSV after line {reader.line_num}: {error}") from error
    seen = [account.participant_id for account in accounts]
    twice = sorted({code for code, number in codes.items() if seen.count(number) > 1})
    if twice:
        raise NeedsHuman(f"the file of accounts names {', '.join(twice)} more than once: leave one line of each")
    if not accounts:
        raise NeedsHuman("the file of accounts has no line below its header")
    return accounts


def account_of(row: dict[str, str | None], codes: dict[str, int], where: str) -> BankAccount:
    """One line. What is wrong is named, what was written is not repeated: it may be an account."""
    told = {name: (row.get(name) or "").strip() for name in COLUMNS}
    signed = day_of(told["mandate_date"])
    wrong = [
        sentence
        for sentence, holds in (
            ("participant is the code of one", told["participant"] in codes),
            ("account is 1 to 34 letters and digits", ACCOUNT.fullmatch(told["account"])),
            ("bank is a BIC or a clearing number", BANK.fullmatch(told["bank"])),
            (f"holder is 1 to {HOLDER_MAX} characters", 1 <= len(told["holder"]) <= HOLDER_MAX),
            ("mandate_id is at most 35 plain characters", MANDATE.fullmatch(told["mandate_id"])),
            ("mandate_date is a day, YYYY-MM-DD, or empty", not told["mandate_date"] or signed),
        )
        if not holds
    ]
    if wrong:
        raise NeedsHuman(f"{where} of the file of accounts: {'; '.join(wrong)}")
    return BankAccount(
        codes[told["participant"]], told["account"], told["bank"], told["holder"], told["mandate_id"], signed
    )


def day_of(text: str) -> date | None:
    """A day as ISO 8601 writes it; None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
