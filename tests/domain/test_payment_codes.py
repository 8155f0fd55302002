"""Payment codes: what a phone shows offline is what the server expects, and nothing near it is."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coalition.domain.cards import check_digit
from coalition.domain.errors import Refused
from coalition.domain.payment_codes import (
    DRIFT_MAX,
    PaymentCode,
    code_keys,
    drift_after,
    hkdf_sha256,
    make_code,
    matching_step,
    one_time_password,
    parse_code,
    step_at,
    ticket_at,
)
from coalition.domain.reasons import Reason

VECTORS = Path(__file__).parents[2].parent / "shared" / "data" / "vectors"
SEED = bytes(range(32))
NOW = 1_790_000_000

seeds = st.binary(min_size=32, max_size=32)
counters = st.integers(0, 2**64 - 1)
times = st.integers(0, 2**40)


# The second was computed again with openssl (kdf, dgst). Apps in other languages are tested with all of them.
@pytest.mark.parametrize(("seed", "counter", "unix_seconds", "code"), [
    (SEED, 0, 0, "9169322924822464234620"),
    (SEED, 1, NOW, "9148333679430162416315"),
    (SEED, 2**64 - 1, NOW, "9138259927903000636178"),
    (b"\xff" * 32, 7, 4_102_444_800, "9114350191973041519224"),
])  # fmt: skip
def test_a_code_is_the_one_of_the_published_vectors(seed: bytes, counter: int, unix_seconds: int, code: str):
    assert code == make_code(seed, counter, unix_seconds)


# RFC 5869, appendix A.1 to A.3.
@pytest.mark.parametrize(("ikm", "salt", "info", "size", "okm"), [
    ("0b" * 22, "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9", 42,
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"),
    (bytes(range(0x50)).hex(), bytes(range(0x60, 0xB0)).hex(), bytes(range(0xB0, 0x100)).hex(), 82,
     ("b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8"
      "367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87")),
    ("0b" * 22, "", "", 42,
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"),
])  # fmt: skip
def test_key_derivation_is_that_of_rfc_5869(ikm: str, salt: str, info: str, size: int, okm: str):
    assert okm == hkdf_sha256(bytes.fromhex(ikm), bytes.fromhex(salt), bytes.fromhex(info), size).hex()


def test_key_derivation_agrees_with_every_wycheproof_vector():
    path = VECTORS / "wycheproof_hkdf_sha256_test.json.gz"
    if not path.exists():
        pytest.skip(f"the published vectors are not beside the repository: no {path.name} in shared/data/vectors")
    cases = [case for group in json.loads(gzip.decompress(path.read_bytes()))["testGroups"] for case in group["tests"]]
    assert len(cases) > 80
    for case in cases:
        ikm, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
        if case["result"] == "valid":
            assert case["okm"] == hkdf_sha256(ikm, salt, info, case["size"]).hex(), case["tcId"]
        else:
            with pytest.raises(ValueError, match="size_bytes"):
                hkdf_sha256(ikm, salt, info, case["size"])


@given(seeds, counters, times)
def test_what_a_phone_makes_the_server_takes_apart_and_accepts(seed: bytes, counter: int, unix_seconds: int):
    code = make_code(seed, counter, unix_seconds)
    keys, parts = code_keys(seed), parse_code(code)
    assert (22, True, check_digit(code[:-1])) == (len(code), code.isdigit(), code[-1])
    assert ("91", ticket_at(keys.ticket_key, counter)) == (parts.version, parts.ticket)
    assert step_at(unix_seconds) == matching_step(keys.otp_key, parts.ticket, parts.otp, unix_seconds, 0)


@given(seeds, counters, st.integers(10_000, 2**40), st.integers(-DRIFT_MAX, DRIFT_MAX), st.integers(-7, 7))
def test_a_password_is_good_one_step_around_the_learned_drift_and_no_further(
    seed: bytes, counter: int, server_seconds: int, drift: int, ahead: int
):
    """`ahead` is by how many steps the phone's clock is before the server's."""
    keys = code_keys(seed)
    parts = parse_code(make_code(seed, counter, server_seconds + 30 * ahead))
    near = abs(ahead - drift) <= 1
    expected = step_at(server_seconds) + ahead if near else None
    passwords = [one_time_password(keys.otp_key, parts.ticket, step_at(server_seconds) + at) for at in range(-7, 8)]
    if len(set(passwords)) == len(passwords):  # else two steps share one: once in a hundred thousand tries
        assert expected == matching_step(keys.otp_key, parts.ticket, parts.otp, server_seconds, drift)


@pytest.mark.parametrize(("ahead", "remembered"), [(0, 0), (1, 1), (-1, -1), (4, 4), (5, 4), (-5, -4)])
def test_the_drift_that_is_remembered_stays_within_four_steps(ahead: int, remembered: int):
    """A phone may not walk its clock away, one accepted step after the other."""
    assert remembered == drift_after(step_at(NOW) + ahead, NOW)


@pytest.mark.parametrize("drift", [-5, 5, 100])
def test_a_drift_beyond_four_steps_is_a_programming_error(drift: int):
    with pytest.raises(ValueError, match="drift must be from -4 to 4"):
        matching_step(bytes(32), "0" * 12, "0" * 7, NOW, drift)


@pytest.mark.parametrize(("seconds", "step"), [(0, 0), (29, 0), (30, 1), (59, 1), (60, 2)])
def test_a_step_is_half_a_minute_and_begins_with_it(seconds: int, step: int):
    assert step == step_at(seconds)


def test_the_first_minute_of_1970_has_no_step_before_it():
    keys = code_keys(SEED)
    ticket = ticket_at(keys.ticket_key, 0)
    assert 0 == matching_step(keys.otp_key, ticket, one_time_password(keys.otp_key, ticket, 0), 0, -1)


@given(st.text(max_size=12))
def test_a_password_of_any_characters_is_refused_and_breaks_nothing(otp: str):
    expected = {one_time_password(bytes(32), "0" * 12, step_at(NOW) + away) for away in (-1, 0, 1)}
    assert (matching_step(bytes(32), "0" * 12, otp, NOW, 0) is not None) == (otp in expected)


@given(seeds, st.integers(0, 2**63), st.integers(0, 2**63))
def test_two_openings_and_two_phones_show_unlike_tickets(seed: bytes, counter: int, other: int):
    keys = code_keys(seed)
    assert (counter == other) == (ticket_at(keys.ticket_key, counter) == ticket_at(keys.ticket_key, other))
    assert ticket_at(keys.ticket_key, counter) != ticket_at(keys.otp_key, counter)


def test_tickets_are_spread_over_all_their_digits():
    """A thousand draws leave no digit out at any place, and none comes twice."""
    tickets = [ticket_at(code_keys(SEED).ticket_key, counter) for counter in range(1000)]
    assert 1000 == len(set(tickets))
    for place in range(12):
        assert set("0123456789") == {ticket[place] for ticket in tickets}


@given(seeds, counters, times, st.data())
def test_one_wrong_digit_or_two_neighbours_exchanged_are_noticed(
    seed: bytes, counter: int, now: int, data: st.DataObject
):
    code = make_code(seed, counter, now)
    place = data.draw(st.integers(0, 20))
    wrong = code[:place] + str((int(code[place]) + data.draw(st.integers(1, 9))) % 10) + code[place + 1 :]
    exchanged = code[:place] + code[place + 1] + code[place] + code[place + 2 :]
    for typed in {wrong, exchanged} - {code}:
        # The check digit is blind to 09 and 90 alone (ISO/IEC 7812-1, annex B).
        if typed != wrong and {code[place], code[place + 1]} == {"0", "9"} and place > 0:
            continue
        with pytest.raises(Refused):
            parse_code(typed)


def test_a_code_may_be_typed_in_groups():
    code = make_code(SEED, 1, NOW)
    assert parse_code(code) == parse_code(f"{code[:4]} {code[4:10]}-{code[10:]}")


@pytest.mark.parametrize("text", [
    "", "90", "9" * 22, make_code(SEED, 1, NOW)[:-1], make_code(SEED, 1, NOW) + "0",
    "92" + "0" * 19 + check_digit("92" + "0" * 19), "9" + make_code(SEED, 1, NOW), "９１" + make_code(SEED, 1, NOW)[2:],
    "91" + "x" * 20,
])  # fmt: skip
def test_a_malformed_code_is_refused_by_field_and_never_quoted(text: str):
    with pytest.raises(Refused) as caught:
        parse_code(text, "purchase.payment_code")
    assert (Reason.FIELD_INVALID, "purchase.payment_code") == (caught.value.reason, caught.value.field)
    assert not text or text not in f"{caught.value} {caught.value.metadata}"


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str):
    try:
        parse_code(text)
    except Refused:
        return


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_of_another_length_is_a_programming_error(seed: bytes):
    with pytest.raises(ValueError, match="a seed has 32 bytes"):
        make_code(seed, 0, NOW)


@pytest.mark.parametrize(("counter", "now", "sentence"), [
    (-1, NOW, "counter"), (2**64, NOW, "counter"), (0, -1, "unix_seconds"),
])  # fmt: skip
def test_a_counter_or_time_out_of_range_is_a_programming_error(counter: int, now: int, sentence: str):
    with pytest.raises(ValueError, match=sentence):
        make_code(SEED, counter, now)


def test_neither_code_nor_key_is_shown():
    keys, parts = code_keys(SEED), parse_code(make_code(SEED, 1, NOW))
    assert "CodeKeys()" == repr(keys)
    assert "PaymentCode(version='91')" == repr(parts)
    assert parts == PaymentCode(parts.version, parts.ticket, parts.otp)
