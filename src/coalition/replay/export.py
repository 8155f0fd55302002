"""The journal as an outsider gets it: read page by page through the services, written to Parquet.

Entries and transfers come from AuditService under an auditor's certificate; participants and agreements from
ProgrammeService, positions from SettlementService. What no auditor may see, whose recruit a wallet is, HQ adds from its
own enrolments, and its runs beside it. Never touches the database.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.parquet as pq

from coalition.client import Connection
from coalition.replay.asked import ACCEPTED
from coalition.replay.founding import Advance, Recruit
from coalition.replay.headquarters import Cut, Headquarters, PaidRun
from coalition.replay.messages import stored_content
from coalition.replay.posting import Window
from coalition.replay.tills import CAPPED
from coalition.v1 import audit_pb2, operations_pb2, programme_pb2

PAGE: Final = 1000
FACTS: Final = 10
AGREED: Final = frozenset({"AGREEMENT_CREATED", "AGREEMENT_REVISED"})
# The facts of an answer that are exported, and the words by which an answer that has any is known.
OF_BENEFITS: Final = ("pass", "visits", "visits_left", "points", "points_balance", "points_worth_minor")
TOLD: Final = (b'"pass"', b'"points"', b'"participant"', b'"balance_minor"')
ROWS_IN_MEMORY: Final = 20_000

TEXT, WHOLE = pa.string(), pa.int64()
COLUMNS: Final[Mapping[str, Mapping[str, Any]]] = {
    "participants": {"code": TEXT, "role": TEXT, "chain_code": TEXT},
    "agreements": {
        "code": TEXT,
        "version": WHOLE,
        "kind": TEXT,
        "effective_from": TEXT,
        "effective_until": TEXT,
        "content": TEXT,
        # Of a version of a points programme; 0 for every other agreement.
        "unit": WHOLE,
    },
    "wallets": {"wallet_id": WHOLE, "recruiter": TEXT, "enrol_entry_id": WHOLE},
    "windows": {"calendar": TEXT, "label": TEXT, "cut_number": WHOLE, "close_date": TEXT},
    "positions": {
        "calendar": TEXT,
        "label": TEXT,
        "participant": TEXT,
        "received_minor": WHOLE,
        "sent_minor": WHOLE,
        "unit": WHOLE,
    },
    # The windows of a run as "calendar/label", a space between two.
    "runs": {"run_id": WHOLE, "minimum_minor": WHOLE, "windows": TEXT},
    "run_parties": {
        "run_id": WHOLE,
        "participant": TEXT,
        "due_minor": WHOLE,
        "instructed_minor": WHOLE,
        "settled_minor": WHOLE,
    },
    "entries": {
        "entry_id": WHOLE,
        "number": WHOLE,
        "place": WHOLE,
        "kind": TEXT,
        "reason": TEXT,
        "participant": TEXT,
        "wallet_id": WHOLE,
        "amount_minor": WHOLE,
        "original_entry_id": WHOLE,
        "agreement": TEXT,
        "agreement_version": WHOLE,
        "business_date": TEXT,
        # Whose net debit cap declined it, as the answer told the till; empty otherwise.
        "capped": TEXT,
        # What a decline told of the wallet; 0 where it told nothing.
        "balance": WHOLE,
        # What the answer said of a pass and of points; 0 where it said nothing.
        "pass_entry": WHOLE,
        "visits": WHOLE,
        "visits_left": WHOLE,
        "points": WHOLE,
        "points_balance": WHOLE,
        "points_worth": WHOLE,
    },
    "transfers": {
        "entry_id": WHOLE,
        "leg": WHOLE,
        "debit": TEXT,
        "credit": TEXT,
        "amount_minor": WHOLE,
        "code": TEXT,
        "window_label": TEXT,
        "unit": WHOLE,
    },
}


class ParquetTable:
    """One Parquet file under construction; rows are written in groups, so memory stays bounded."""

    def __init__(self, directory: Path, name: str) -> None:
        self._columns = COLUMNS[name]
        self._writer = pq.ParquetWriter(directory / f"{name}.parquet", pa.schema(list(self._columns.items())))
        self._rows: list[tuple[Any, ...]] = []

    def add(self, rows: Iterable[tuple[Any, ...]]) -> None:
        """Take rows in the order of the table's columns."""
        self._rows.extend(rows)
        if len(self._rows) >= ROWS_IN_MEMORY:
            self._write()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        self._writer.close()

    def _write(self) -> None:
        columns = list(zip(*self._rows, strict=True)) or [() for _ in self._columns]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, self._columns.values(), strict=True)]
        self._writer.write_table(pa.Table.from_arrays(arrays, names=list(self._columns)))
        self._rows.clear()


def write_table(directory: Path, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Write one Parquet file whole, rows in the order of its columns."""
    with ParquetTable(directory, name) as table:
        table.add(rows)


@dataclass(frozen=True, slots=True)
class Files:
    """What HQ has in its own files: whose recruit each wallet is, the windows it cut, the runs it paid, and the wallet
    of each request that tills saw declined (the journal names none).
    """

    recruits: Mapping[int, Recruit]
    cuts: Mapping[Window, Cut]
    runs: Sequence[PaidRun]
    declined: Mapping[str, int]


def export(
    auditor: Connection,
    operator: Connection,
    headquarters: Headquarters,
    directory: Path,
    files: Files,
    *,
    advance: Advance,
) -> int:
    """Write the nine tables into `directory`. Returns how many entries."""
    directory.mkdir(parents=True, exist_ok=True)
    write_table(directory, "participants", map(_participant_row, participants(operator)))
    write_table(directory, "agreements", _agreements(operator))
    write_table(directory, "wallets", ((wallet, *recruit) for wallet, recruit in files.recruits.items()))
    write_table(
        directory,
        "windows",
        ((*window, cut.number, cut.close_date.isoformat()) for window, cut in files.cuts.items()),
    )
    write_table(
        directory,
        "positions",
        ((*window, *position) for window in files.cuts for position in headquarters.positions(*window)),
    )
    write_table(directory, "runs", ((run.run_id, run.minimum_minor, " ".join(run.windows)) for run in files.runs))
    write_table(
        directory,
        "run_parties",
        (
            (run.run_id, each.participant, each.due_minor, each.instructed_minor, each.settled_minor)
            for run in files.runs
            for each in run.parties
        ),
    )
    count = 0
    with ParquetTable(directory, "entries") as entries, ParquetTable(directory, "transfers") as transfers:
        for page in _journal(auditor):
            entries.add(_entry_row(entry, files.declined) for entry in page)
            transfers.add(row for entry in page for row in _transfer_rows(entry))
            count += len(page)
            advance(len(page))
    return count


def _journal(auditor: Connection) -> "Iterator[list[audit_pb2.JournalEntry]]":
    token = ""
    while True:
        request = audit_pb2.ListJournalRequest(page_size=PAGE, page_token=token)
        response = auditor.call(auditor.audit.ListJournal, request)
        yield list(response.entries)
        token = response.next_page_token
        if not token:
            return


def _entry_row(entry: audit_pb2.JournalEntry, declined: Mapping[str, int]) -> tuple[Any, ...]:
    kind = operations_pb2.EntryKind.Name(entry.kind).removeprefix("ENTRY_KIND_")
    agreement, version = entry.agreement, entry.agreement_version
    if kind in AGREED and entry.reason == ACCEPTED:
        made = json.loads(entry.answer)["answer"]
        agreement, version = made["agreement"], made["version"]
    facts = _facts(entry) if any(word in entry.answer for word in TOLD) else {}
    return (
        entry.entry_id,
        entry.number,
        entry.place,
        kind,
        entry.reason,
        entry.participant,
        entry.wallet_id or declined.get(entry.request_id, 0),
        entry.amount_minor,
        entry.original_entry_id,
        agreement,
        version,
        entry.business_date,
        facts.get("participant", "") if entry.reason == CAPPED else "",
        int(facts.get("balance_minor", 0)),
        *(int(facts.get(name, 0)) if entry.reason == ACCEPTED else 0 for name in OF_BENEFITS),
    )


def _facts(entry: audit_pb2.JournalEntry) -> Mapping[str, str]:
    """The facts of a stored answer are the eleventh of its fields, whose order is fixed; an act's answer has none."""
    answer = json.loads(entry.answer)
    facts: Mapping[str, str] = answer[FACTS] if isinstance(answer, list) else {}
    return facts


def _transfer_rows(entry: audit_pb2.JournalEntry) -> Iterator[tuple[Any, ...]]:
    for transfer in entry.transfers:
        yield (
            entry.entry_id,
            transfer.leg,
            transfer.debit_account,
            transfer.credit_account,
            transfer.amount_minor,
            operations_pb2.TransferCode.Name(transfer.code).removeprefix("TRANSFER_CODE_"),
            transfer.window_label,
            int(transfer.unit),
        )


def participants(operator: Connection) -> Iterator[programme_pb2.Participant]:
    """Everybody who settles, operator and custody too, in order of their codes."""
    token = ""
    while True:
        request = programme_pb2.ListParticipantsRequest(page_size=PAGE, page_token=token)
        response = operator.call(operator.programme.ListParticipants, request)
        yield from response.participants
        token = response.next_page_token
        if not token:
            return


def _participant_row(row: programme_pb2.Participant) -> tuple[str, str, str]:
    return row.code, programme_pb2.ParticipantRole.Name(row.role).removeprefix("PARTICIPANT_ROLE_"), row.chain_code


def _agreements(operator: Connection) -> Iterator[tuple[str, int, str, str, str, str, int]]:
    """Every version of every agreement: the list tells the newest of each."""
    token = ""
    while True:
        request = programme_pb2.ListAgreementsRequest(page_size=PAGE, page_token=token)
        response = operator.call(operator.programme.ListAgreements, request)
        for newest in response.agreements:
            for version in range(1, newest.version + 1):
                wanted = programme_pb2.GetAgreementRequest(code=newest.code, version=version)
                told = operator.call(operator.programme.GetAgreement, wanted).agreement
                kind, content = stored_content(told)
                text = json.dumps(content, sort_keys=True)
                yield told.code, told.version, kind, told.effective_from, told.effective_until, text, told.unit
        token = response.next_page_token
        if not token:
            return
