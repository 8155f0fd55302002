"""Payment files against the standard's own schemas and by their bytes; banks' results read, and refused by name."""

import subprocess
import sys
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree

from coalition.domain.acts import JSON, canonical
from coalition.domain.bank_results import BankLine, Result
from settlement import iso20022
from settlement.bank_files import read
from settlement.errors import NeedsHuman
from settlement.instructions import csv_file, makers, read_content
from tests.settlement.bank_reports import report, said

ROOT = Path(__file__).parents[2]
SCHEMAS = Path(str(files("sepaxml"))) / "schemas"
OURS = ROOT.parent / "shared" / "data" / "iso20022_xsd"
ACCOUNT: dict[str, JSON] = {"bank": "102100000030", "mandate_date": "2016-12-01", "mandate_id": "M-3"}


def row(number: int, instructed: int) -> dict[str, JSON]:
    account: dict[str, JSON] = {"account": f"6217{number:012}", "holder": f"店 {number} <& Co>", **ACCOUNT}
    return {
        "participant_id": number,
        "code": f"p{number}",
        "name": f"P {number}",
        "due_minor": instructed,
        "instructed_minor": instructed,
        "instruction_id": f"2017-01-R7-P{number}" if instructed else None,
        **(account if instructed else {"account": None}),
    }


CONTENT = canonical(
    {
        "advance_limit_minor": 0,
        "advance_minor": 0,
        "currency_code": "CNY",
        "deployment": "00000000-0000-0000-0000-000000000007",
        "execution_date": "2017-02-03",
        "minimum_minor": 0,
        "operator": {"name": "Coalition 联盟", "account": "DE89370400440532013000", "bank": "COBADEFFXXX",
                     "holder": "Operator", "mandate_id": "", "mandate_date": None},
        "parties": [row(2, 0), row(3, -29_700), row(4, 29_520), row(5, -1), row(1, 181)],
        "period": "2017-01",
        "prepare_time": datetime(2017, 2, 1, 3, tzinfo=UTC).isoformat(),
        "run_id": 7,
        "windows": [["monthly", "2017-01"]],
    }
)  # fmt: skip
WHOLE = read_content(CONTENT)


@pytest.mark.parametrize(
    ("name", "schema", "count", "total"),
    [("payments.xml", "pain.001.001.09", "2", "297.01"), ("collections.xml", "pain.008.001.09", "2", "297.01")],
)
def test_a_payment_file_is_valid_against_its_schema_and_adds_up(name: str, schema: str, count: str, total: str):
    file = makers()[name][1](WHOLE)
    document = etree.fromstring(file)
    etree.XMLSchema(etree.parse(SCHEMAS / f"{schema}.xsd")).assertValid(document)
    space = {"m": f"urn:iso:std:iso:20022:tech:xsd:{schema}"}

    assert [count] * 2 == [each.text for each in document.findall(".//m:NbOfTxs", space)]
    assert [total] * 2 == [each.text for each in document.findall(".//m:CtrlSum", space)]


def test_each_instruction_names_the_account_the_bank_and_itself():
    space = {"m": "urn:iso:std:iso:20022:tech:xsd:pain.008.001.09"}
    document = etree.fromstring(iso20022.collections(WHOLE))
    first = document.findall(".//m:DrctDbtTxInf", space)[0]

    def told(path: str) -> list[str | None]:
        return [each.text for each in first.findall(path, space)]

    assert ["2017-01-R7-P3"] == told(".//m:EndToEndId")
    assert ["297.00"] == told("m:InstdAmt")
    assert ["6217000000000003"] == told("m:DbtrAcct//m:Othr/m:Id")
    assert ["102100000030"] == told("m:DbtrAgt//m:MmbId")
    assert ["M-3", "2016-12-01"] == [*told(".//m:MndtId"), *told(".//m:DtOfSgntr")]
    assert ["店 3 <& Co>"] == told("m:Dbtr/m:Nm")
    assert "DE89370400440532013000" == document.findtext(".//m:CdtrAcct//m:IBAN", namespaces=space)
    assert "COBADEFFXXX" == document.findtext(".//m:CdtrAgt//m:BICFI", namespaces=space)


def test_the_plain_form_says_the_same():
    lines = csv_file(WHOLE, 1).decode().splitlines()

    head, first, second = lines
    assert "instruction_id,participant,holder,account,bank,amount,currency" == ",".join(head.split(",")[:7])
    assert "2017-01-R7-P4,p4,店 4 <& Co>,6217000000000004,102100000030,295.20,CNY,2017-02-03,,," in first
    assert second.endswith('1.81,CNY,2017-02-03,,,"coalition settlement 2017-01, run 7"')


ELSEWHERE = """
import hashlib, sys
from settlement.instructions import makers, read_content
content = read_content(sys.stdin.buffer.read())
for name, (_, make) in makers().items():
    print(name, hashlib.sha256(make(content)).hexdigest())
"""


def test_files_are_the_same_bytes_in_another_zone_locale_and_hash_seed():
    """Also of another day: nothing in a file is but the run's content."""
    told = {
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            input=CONTENT,
            env={"TZ": zone, "LC_ALL": locale, "PYTHONHASHSEED": seed, "PATH": ""},
            cwd=ROOT,
            capture_output=True,
            check=True,
        ).stdout
        for zone, locale, seed in (("Asia/Shanghai", "zh_CN.UTF-8", "1"), ("America/New_York", "C", "77"))
    }

    assert 1 == len(told)
    assert 4 == len(told.pop().splitlines())


def notice(*entries: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"><BkToCstmrDbtCdtNtfctn>
<GrpHdr><MsgId>N1</MsgId><CreDtTm>2017-02-03T10:00:00+08:00</CreDtTm></GrpHdr>
<Ntfctn><Id>1</Id><Acct><Id><Othr><Id>6217</Id></Othr></Id></Acct>{"".join(entries)}</Ntfctn>
</BkToCstmrDbtCdtNtfctn></Document>""".encode()


def entry(direction: str, *transactions: str, status: str = "BOOK", reversal: bool = False, amount="297.01") -> str:
    return (
        f'<Ntry><Amt Ccy="CNY">{amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>'
        f"{'<RvslInd>true</RvslInd>' if reversal else ''}<Sts><Cd>{status}</Cd></Sts>"
        f"<AcctSvcrRef>E1</AcctSvcrRef><BkTxCd/><NtryDtls>{''.join(transactions)}</NtryDtls></Ntry>"
    )


def transaction(reference: str, instruction: str, amount: str, more: str = "") -> str:
    told = f"<AcctSvcrRef>{reference}</AcctSvcrRef>" if reference else ""
    return (
        f'<TxDtls><Refs>{told}<EndToEndId>{instruction}</EndToEndId></Refs><Amt Ccy="CNY">{amount}</Amt>{more}</TxDtls>'
    )


NOTICE = notice(
    entry("CRDT", transaction("b1", "2017-01-R7-P3", "297.00"), transaction("", "2017-01-R7-P5", "0.01")),
    entry("DBIT", transaction("b3", "2017-01-R7-P4", "295.20")),
    entry("CRDT", transaction("b4", "2017-01-R7-P4", "295.20", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf>")),
    entry("DBIT", transaction("b5", "2017-01-R7-P5", "0.01"), reversal=True),
    entry("DBIT", transaction("b6", "2017-01-R7-P1", "1.81"), status="PDNG"),
)
LINES = [
    BankLine("b1", "2017-01-R7-P3", -29_700, "CNY", Result.BOOKED),
    BankLine("E1/1", "2017-01-R7-P5", -1, "CNY", Result.BOOKED),
    BankLine("b3", "2017-01-R7-P4", 29_520, "CNY", Result.BOOKED),
    BankLine("b4", "2017-01-R7-P4", 29_520, "CNY", Result.RETURNED, "AC04"),
    BankLine("b5", "2017-01-R7-P5", -1, "CNY", Result.RETURNED),
]


def test_a_banks_notice_is_read_to_lines():
    """In and out, returned payments and reversed entries; what is pending has not happened yet."""
    assert LINES == read(NOTICE)


@pytest.mark.skipif(not OURS.exists(), reason="the published schemas are not beside the repository: no iso20022_xsd")
def test_the_notice_of_this_test_is_one_by_its_schema():
    schema = etree.XMLSchema(etree.parse(OURS / "camt.054.001.08.xsd"))
    schema.assertValid(etree.fromstring(NOTICE.replace(b"<BkTxCd/>", b"<BkTxCd><Prtry><Cd>X</Cd></Prtry></BkTxCd>")))


def test_the_plain_result_is_read_to_the_same_lines():
    text = """bank_reference,instruction_id,direction,amount,currency,result,cause
b1,2017-01-R7-P3,IN,297.00,CNY,BOOKED,
E1/1,2017-01-R7-P5,IN,0.01,CNY,BOOKED,
b3,2017-01-R7-P4,OUT,295.20,CNY,BOOKED,
b4,2017-01-R7-P4,OUT,295.20,CNY,RETURNED,AC04
b5,2017-01-R7-P5,IN,0.01,CNY,RETURNED,
"""
    assert LINES == read(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())


def test_a_banks_status_report_is_read_to_lines_that_move_nothing():
    """Accepted however far it has come, rejected with its reason; received and pending say nothing yet."""
    transactions = [
        said("R7-P4", "ACCP", "295.20"),
        said("R7-P1", "ACSC"),
        said("R7-P5", "RJCT", "0.01", "AC04"),
        said("R7-P3", "PDNG"),
    ]
    expected = [
        BankLine("S1/R7-P4", "R7-P4", 29_520, "CNY", Result.ACCEPTED),
        BankLine("S1/R7-P1", "R7-P1", 0, "", Result.ACCEPTED),
        BankLine("S1/R7-P5", "R7-P5", 1, "CNY", Result.REJECTED, "AC04"),
    ]

    assert expected == read(report(*transactions))
    collected = read(report(said("R7-P3", "ACCP", "297.00"), about="pain.008.001.09"))
    assert [BankLine("S1/R7-P3", "R7-P3", -29_700, "CNY", Result.ACCEPTED)] == collected


HEADER = "bank_reference,instruction_id,direction,amount,currency,result\n"
DTD = '<?xml version="1.0"?><!DOCTYPE D [<!ENTITY a "b">]><Document/>'


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (b"\xff\xfe<", "is not UTF-8"),
        (b"a,b\n", "lacks the columns amount, bank_reference, currency, direction, instruction_id, result"),
        (f"{HEADER}b,i,IN,1.5,CNY,BOOKED".encode(), "line 2 of the bank's file: amount is above zero and written as"),
        (f"{HEADER}b,i,IN,0.00,CNY,BOOKED".encode(), "amount is above zero"),
        (f"{HEADER}b,i,IN,-1.00,CNY,BOOKED".encode(), "amount is above zero"),
        (f"{HEADER},i,SIDEWAYS,1.00,CNY,PERHAPS".encode(), "bank_reference is 1 to 140 characters; direction is IN or"),
        (f'{HEADER}b,i,"IN"x,1.00,CNY,BOOKED'.encode(), "is no CSV after line 1"),
        (DTD.encode(), "has a DTD"),
        (b"<html>", "is no camt.054.001.08 or pain.002.001.10 in UTF-8"),
        (NOTICE.replace(b"<EndToEndId>", b"<EndToEnd>").replace(b"</EndToEndId>", b"</EndToEnd>"), "is no camt.054"),
        (NOTICE.replace(b"297.00<", b"297.005<"), "b1 has an amount that is no money"),
        (NOTICE.replace(b"295.20<", b"-295.20<"), "b3 has an amount that is no money"),
        (NOTICE.replace(b"<AcctSvcrRef>E1</AcctSvcrRef>", b""), "has no reference of the bank's own"),
        (notice(entry("CRDT")), "has no transactions in it"),
        (report(group="<GrpSts>RJCT</GrpSts>"), "says RJCT of 2017-01-R7-PAY as a whole"),
        (report(said("R7-P4", "CANC")), "S1/R7-P4 has the status CANC, which decides nothing"),
        (report(said("R7-P4", "ACCP", "1.005")), "S1/R7-P4 has an amount that is no money"),
        (report(said("R7-P4", "ACCP")).replace(b"<TxSts>", b"<Sts>").replace(b"</TxSts>", b"</Sts>"), "or pain.002"),
    ],
)
def test_a_result_that_cannot_be_read_is_refused_by_name(file: bytes, words: str):
    with pytest.raises(NeedsHuman, match=words):
        read(file)


def test_a_run_keeps_its_execution_date_and_account():
    assert (date(2017, 2, 3), "COBADEFFXXX") == (WHOLE.execution_date, WHOLE.operator.bank if WHOLE.operator else "")
