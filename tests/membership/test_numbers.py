"""Card numbers, phones, masks and page tokens: pure rules."""

from functools import partial

import pytest

from coalition.domain.cards import check_digit, made_number, parse_card_number
from coalition.domain.errors import Refused
from coalition.domain.pages import number_key, page_limit, page_token, text_key
from coalition.domain.phones import mask_name, mask_phone, normalize_phone
from coalition.domain.reasons import Reason
from tests.offices import reason_of


@pytest.mark.parametrize(
    ("payload", "digit"), [("7992739871", "3"), ("411111111111111", "1"), ("37828224631000", "5"), ("0", "0")]
)
def test_the_check_digit_is_that_of_luhn(payload, digit):
    """Known numbers: the textbook's, and two that card networks publish for tests."""
    assert digit == check_digit(payload)


def test_one_wrong_digit_is_always_noticed():
    number = "9123456789012347"[:-1]
    number += check_digit(number)
    wrong = [
        number[:place] + digit + number[place + 1 :]
        for place in range(len(number))
        for digit in "0123456789"
        if digit != number[place]
    ]

    assert {Reason.FIELD_INVALID} == {reason_of(partial(parse_card_number, each)) for each in wrong}


@pytest.mark.parametrize("text", ["4111 1111 1111 1111", "4111-1111-1111-1111", " 4111111111111111 "])
def test_a_number_may_be_typed_in_groups(text):
    assert "4111111111111111" == parse_card_number(text)


@pytest.mark.parametrize(
    "text", ["", "41111111111", "4" * 23, "４１１１１１１１１１１１１１１１", "411111111111111x", "²" * 16]
)
def test_a_malformed_number_is_refused_without_being_quoted(text):
    with pytest.raises(Refused) as caught:
        parse_card_number(text, "new_card_number")

    assert (Reason.FIELD_INVALID, "new_card_number") == (caught.value.reason, caught.value.field)
    assert not text or text not in f"{caught.value} {caught.value.metadata}"


def test_a_made_number_depends_on_its_digest_alone():
    numbers = [made_number(bytes([byte]) * 32) for byte in (0, 1, 255)]

    assert numbers == [made_number(bytes([byte]) * 32) for byte in (0, 1, 255)]
    assert 3 == len(set(numbers))
    assert all(number == parse_card_number(number) and number[0] == "9" and len(number) == 16 for number in numbers)


@pytest.mark.parametrize(
    "text",
    ["13812341234", "138 1234 1234", "138-1234-1234", "+8613812341234", "+86 138 1234 1234", "0086 13812341234",
     "１３８１２３４１２３４"],
)  # fmt: skip
def test_every_way_to_write_a_phone_is_one_phone(text):
    """Else a member could be enrolled twice, and not be found."""
    assert "+8613812341234" == normalize_phone(text)


@pytest.mark.parametrize(
    ("text", "phone"), [("+1 (415) 555-2671", "+14155552671"), ("0044 20 7946 0958", "+442079460958")]
)
def test_a_foreign_phone_keeps_its_country(text, phone):
    assert phone == normalize_phone(text)


@pytest.mark.parametrize(
    "text",
    ["", "1381234123", "138123412345", "12812341234", "+0123456789", "+8612345678901", "+1234567", "abc", "+" * 9],
)
def test_what_is_no_phone_is_refused_without_being_quoted(text):
    with pytest.raises(Refused) as caught:
        normalize_phone(text)

    assert (Reason.FIELD_INVALID, "phone") == (caught.value.reason, caught.value.field)
    assert not text or text not in f"{caught.value} {caught.value.metadata}"


def test_masks_show_enough_to_ask_and_too_little_to_call():
    assert "138****1234" == mask_phone("+8613812341234")
    assert "****2671" == mask_phone("+14155552671")
    assert ["张*", "欧*", "L*"] == [mask_name(name) for name in ("张三", "欧阳娜娜", "Li Wei")]


def test_a_page_token_carries_its_key_and_no_other_lists():
    assert "张 a" == text_key("stores/a", page_token("stores/a", "张 a"))
    assert 2**62 == number_key("entries", page_token("entries", 2**62))
    assert None is text_key("stores/a", "")

    wrong = [
        lambda: text_key("stores/b", page_token("stores/a", "x")),
        lambda: text_key("entries", page_token("entries", 7)),
        lambda: number_key("stores", page_token("stores", "x")),
        lambda: text_key("stores", "not base64 !"),
        lambda: text_key("stores", "é"),
        lambda: text_key("stores", "AAAA"),
        lambda: text_key("stores", page_token("stores", "x")[:-1] + "A"),
        lambda: text_key("stores", "A" * 100_000),
    ]
    assert [Reason.PAGE_TOKEN_INVALID] * len(wrong) == [reason_of(work) for work in wrong]


def test_a_page_has_a_default_and_a_largest_size():
    assert [50, 1, 1000, 1000] == [page_limit(size) for size in (0, 1, 1000, 1001)]
    assert Reason.FIELD_INVALID == reason_of(lambda: page_limit(-1))
