"""The tables of the gateway: response codes against the service's reasons, encodings, the mapping file, years."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from coalition.domain.reasons import Reason
from coalition.gateway import codes
from coalition.gateway.errors import Malformed, TillsInvalid, Unreadable
from coalition.gateway.fields import SPECS
from coalition.gateway.local_time import moment_of
from coalition.gateway.message import Codec
from coalition.gateway.tills import load_tills, read_tills
from coalition.gateway.translate import approval_code
from tests.gateway.pos import original, said

HEADER = "merchant_id,terminal_id,till,identity"
ROW = "M1,T1,cafe/main/till-1,"
SHANGHAI = ZoneInfo("Asia/Shanghai")
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "iso8583.md"
# Reasons that no message of a till server can meet: acts of headquarters and the counter, other services' look-ups.
ELSEWHERE = {reason.name for reason in Reason if 40 <= reason < 60 or 65 <= reason < 73} - {"PARTICIPANT_UNKNOWN"}
# And what would be the gateway's own fault, or belongs to calls that it does not make.
NOT_OF_A_TILL = {
    "REQUEST_ID_MALFORMED",
    "MESSAGE_TOO_LARGE",
    "MESSAGE_MALFORMED",
    "NO_CERTIFICATE",
    "IDENTITY_MALFORMED",
    "INTERNAL",
    "ENTRY_UNKNOWN",
    "PAGE_TOKEN_INVALID",
    "STREAM_IDLE",
    "STREAM_STALLED",
    "PIN_WEAK",
    "PIN_UNREADABLE",
    "PIN_KEY_MISSING",
    "CREDENTIAL_UNKNOWN",
    "CREDENTIALS_LOCKED",
    "PAYMENT_CODE_WRONG",
    "PAYMENT_CODE_USED",
    "DAY_CLOSE_OUT_OF_ORDER",
    "DAY_CLOSE_CHAIN_BROKEN",
    "SIGNATURE_INVALID",
    "CHECKPOINT_UNKNOWN",
    "RETENTION_NOT_OVER",
    "DISCLOSURE_UNKNOWN",
    "EXPORT_KEY_DIFFERS",
    "EXPORT_UNKNOWN",
    "ERASURE_NOT_REQUESTED",
    "MERGE_CONFLICT",
    "APPROVER_NOT_ANOTHER",
    "APPROVAL_UNKNOWN",
    "APPROVAL_MISSING",
    "DEBT_UNKNOWN",
    "DEBT_EXCEEDED",
    "DISPUTE_UNKNOWN",
    "DISPUTE_EXISTS",
    "DISPUTE_STATE_CONFLICT",
    "DISPUTE_TOO_LATE",
    "DISPUTE_EXCEEDS_LINE",
    "LICENCE_MISSING",
    "CONSENT_MISSING",
    "MEMBER_ERASED",
    "MEMBER_HAS_VALUE",
    "MEMBER_HAS_DISPUTE",
    "MEMBER_LOCKED",
    # No message of ISO 8583 sells passes, takes visits or spends points.
    *("PASS_UNKNOWN", "PASS_EXPIRED", "VISITS_TOO_FEW", "PASS_PRICE_DIFFERS", "WALLET_HAS_PASSES"),
    *(
        "POINTS_PROGRAMME_UNKNOWN",
        "POINTS_TOO_FEW",
        "POINTS_NOT_CONVERTIBLE",
        "POINTS_NOT_REPAYABLE",
        "WALLET_HAS_POINTS",
    ),
}


@pytest.mark.parametrize("reason", sorted(set(Reason.__members__) - ELSEWHERE - NOT_OF_A_TILL))
def test_every_reason_that_a_till_can_meet_has_a_response_code(reason: str):
    """A new reason without one reads as a broken system (96): give it a row in codes.py and docs/iso8583.md."""
    assert reason in codes.RESPONSE_CODES


def test_every_response_code_belongs_to_a_reason_that_exists():
    assert set() == set(codes.RESPONSE_CODES) - set(Reason.__members__)


def test_an_unknown_reason_is_96():
    assert "96" == codes.response_code("SOMETHING_NEW")


def test_the_document_shows_the_response_codes_as_they_are():
    rows = {
        cells[1].strip("`"): cells[0]
        for line in DOCUMENT.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 3
        if cells[0].isdecimal() and cells[1].startswith("`")
    }

    assert dict(codes.RESPONSE_CODES) == {reason: rows.get(reason) for reason in codes.RESPONSE_CODES}


def test_the_documents_mapping_file_is_one():
    text = DOCUMENT.read_text(encoding="utf-8").partition("```csv\n")[2].partition("```")[0]

    assert 2 == len(read_tills(text.splitlines(), "ts/cafe/gateway"))


@pytest.mark.parametrize(
    ("mti", "answer"),
    [("0100", "0110"), ("0201", "0210"), ("0221", "0230"), ("0401", "0410"), ("0421", "0430"), ("0800", "0810")],
)
def test_a_repeat_is_answered_like_its_first(mti: str, answer: str):
    assert answer == codes.answer_mti(mti)
    assert codes.family_of(mti) is codes.family_of(mti[:3] + "0")


@pytest.mark.parametrize("mti", ["0210", "0110", "1200", "0000", "0299", "ABCD", "", "02000"])
def test_what_is_no_request_has_no_answer(mti: str):
    assert codes.answer_mti(mti) is None
    assert codes.family_of(mti) is None


@pytest.mark.parametrize("encoding", sorted(SPECS))
def test_every_encoding_carries_every_field_that_the_gateway_uses(encoding: str):
    message = {**said("0200", "6212345678901234567", 12_345), "24": "003", "38": "ABC123", "39": "00", "62": "4194305"}
    message |= {"35": "6212345678901234567D2912", "54": "0001156C000000090000", "63": "KILLED", "70": "301"}
    message |= {"90": original(message), "52": "0123456789ABCDEF"}
    codec = Codec(encoding)

    read = codec.decode(codec.encode(message))

    assert read.malformed is None
    assert message == {name: read.fields[name] for name in message}


def test_packed_digits_take_half_the_room():
    message = said("0200", "6212345678901234567", 12_345)

    assert len(Codec("bcd").encode(message)) < 0.7 * len(Codec("ascii").encode(message))


def test_a_tpdu_is_swapped_in_the_answer_and_required():
    codec = Codec("bcd", tpdu=True)
    body = Codec("bcd").encode(said("0800"))

    assert bytes.fromhex("6088880003") == codec.decode(bytes.fromhex("6000038888") + body).envelope
    for wrong in (b"", b"\x60\x00", b"\x00" * 5 + body):
        with pytest.raises(Unreadable):
            codec.decode(wrong)


def test_the_mapping_file_names_each_till_and_who_speaks_for_it(tmp_path: Path):
    file = tmp_path / "tills.csv"
    file.write_text(f"{HEADER}\n{ROW}\nM1,T2,cafe/main/till-2,t/cafe/main/till-2\n\n", encoding="utf-8")

    tills = load_tills(file, "ts/cafe/gateway")

    assert "ts/cafe/gateway" == tills["M1", "T1"].identity
    assert ("cafe/main/till-2", "t/cafe/main/till-2") == (tills["M1", "T2"].path, tills["M1", "T2"].identity)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "line 1"),
        ("merchant,terminal\n", "line 1"),
        (f"{HEADER}\n", "names no till"),
        (f"{HEADER}\n{ROW}\nM1,T2\n", "line 3: 2 columns"),
        (f"{HEADER}\nM1234567890123456,T1,cafe/main/till-1,\n", "line 2: merchant_id"),
        (f"{HEADER}\nM1,T12345678,cafe/main/till-1,\n", "line 2: terminal_id"),
        (f"{HEADER}\nM1,T1,cafe/till-1,\n", "line 2: till is PARTICIPANT/STORE/TERMINAL"),
        (f"{HEADER}\nM1,T1,Cafe/main/till-1,\n", "line 2: till"),
        (f"{HEADER}\nM1,T1,cafe/main/till-1,op/admin\n", "line 2: identity"),
        (f"{HEADER}\nM1,T1,cafe/main/till-1,t/cafe/main/till-2\n", "speaks for itself only"),
        (f"{HEADER}\n{ROW}\n{ROW}\n", "line 3: merchant_id and terminal_id stand in line 2"),
        (f"{HEADER}\n{ROW}\nM1,T2,cafe/main/till-1,\n", "line 3: till stand"),
    ],
)
def test_a_wrong_mapping_file_is_refused_with_its_line_and_the_cure(text: str, sentence: str):
    with pytest.raises(TillsInvalid, match=sentence):
        read_tills(text.splitlines(), "ts/cafe/gateway")


@pytest.mark.parametrize(
    ("local_time", "now", "expected"),
    [
        ("0630120000", "2026-06-30T04:00:00", "2026-06-30T04:00:00"),
        ("1231235959", "2026-12-31T16:00:00", "2026-12-31T15:59:59"),
        ("0101000000", "2026-12-31T16:00:00", "2026-12-31T16:00:00"),
        ("0101000500", "2026-12-31T15:59:00", "2026-12-31T16:05:00"),
        ("0229120000", "2026-06-30T04:00:00", "2024-02-29T04:00:00"),
    ],
)
def test_the_year_of_a_terminals_date_is_the_nearest_one(local_time: str, now: str, expected: str):
    moment = moment_of(local_time, datetime.fromisoformat(now).replace(tzinfo=UTC), SHANGHAI)

    assert datetime.fromisoformat(expected).replace(tzinfo=UTC) == moment


@pytest.mark.parametrize(("local_time", "field"), [("0230120000", "13"), ("1301120000", "13"), ("0101250000", "12")])
def test_what_is_no_time_is_malformed(local_time: str, field: str):
    with pytest.raises(Malformed) as caught:
        moment_of(local_time, datetime(2026, 6, 30, tzinfo=UTC), SHANGHAI)

    assert field == caught.value.field


def test_approval_codes_have_six_characters_and_differ_between_neighbours():
    made = {approval_code(number << 22 | place << 10) for number in range(1, 40) for place in range(40)}

    assert 39 * 40 == len(made)
    assert {6} == {len(code) for code in made}
