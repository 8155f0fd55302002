"""What headquarters hands to its bank and hears from it, and agreements on their way to the service and back."""

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from coalition.replay.headquarters import bank_accounts, bank_result
from coalition.replay.journey_scheme import AGREEMENTS
from coalition.replay.messages import create_request, revise_request, stored_content
from coalition.v1 import programme_pb2
from settlement.accounts import read_accounts
from settlement.bank_files import read

COLLECTIONS = b"instruction_id,participant,amount,currency\nR1-P2,store-1,12.30,USD\nR1-P3,store-2,0.01,USD\n"


def test_the_bank_books_every_instruction_once_with_its_sign():
    result = bank_result(COLLECTIONS, "IN")

    assert result is not None
    assert [("R1-P2", -1_230, "BOOKED"), ("R1-P3", -1, "BOOKED")] == [
        (line.instruction_id, line.amount_minor, line.result.value) for line in read(result)
    ]
    assert 2 == len({line.bank_reference for line in read(result)})


@pytest.mark.parametrize("file", [b"", b"instruction_id,participant,amount,currency\n"])
def test_a_bank_that_was_told_nothing_says_nothing(file):
    assert bank_result(file, "OUT") is None


def test_everybody_has_a_bank_account_of_its_own_that_settlement_takes():
    accounts = read_accounts(bank_accounts({"a": "A, Ltd", "b": "B"}, "2017-01-01"), {"a": 1, "b": 2})

    assert [(1, "A, Ltd"), (2, "B")] == [(each.participant_id, each.holder) for each in accounts]
    assert 2 == len({each.account for each in accounts})


def reduced(value: Any) -> Any:
    """Content with its rates in lowest terms, as the service tells them."""
    match value:
        case dict():
            return {name: reduced(each) for name, each in value.items()}
        case list():
            return [reduced(each) for each in value]
        case str() if "/" in value:
            return str(Fraction(value))
    return value


@pytest.mark.parametrize("agreement", AGREEMENTS, ids=lambda each: f"{each.code}-{each.since}")
def test_an_agreement_is_told_back_as_it_was_made(agreement):
    made = create_request(agreement, "", date(2017, 1, 1))
    revised = revise_request(agreement, "", date(2017, 7, 1), 1)
    name = str(made.WhichOneof("content"))
    told: Any = programme_pb2.Agreement()
    getattr(told, name).CopyFrom(getattr(made, name))
    kind, content = stored_content(told)

    assert agreement.kind == kind
    assert reduced(dict(agreement.content)) == {key: content[key] for key in agreement.content}
    assert getattr(made, name) == getattr(revised, name)
    assert (1, "2017-07-01") == (revised.expected_version, revised.effective_from)


def test_what_moves_no_value_is_told_by_its_kind():
    assert ("LIMITS", {}) == stored_content(programme_pb2.Agreement(limits=programme_pb2.Limits(acquirer="a")))
