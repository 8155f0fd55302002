"""An auditor's look at what members owe: owed to its bearer, and never paid or given up twice."""

from typing import Any

import pytest

from coalition.audit.checks.opened import Opened
from coalition.audit.checks.report import Verdict
from coalition.domain.accounts import TransferCode, clearing_account
from coalition.domain.journal import Transfer
from coalition.domain.kinds import Kind
from tests.audit.test_checks_of_defaults import entry, judged

A, B, C = 3, 4, 5
SALE = 4
WINDOW = 5


def joined() -> list[Opened]:
    return [entry(Kind.PARTICIPANT_CREATED, number, {}) for number in (1, 2, 3)]


def sale(face: int = 30_000) -> Opened:
    """C's terminal approved it; the wallet gave nothing, A bears it."""
    opened = entry(Kind.UPLOAD, SALE, {}, [claim(A, C, face, TransferCode.SHORTFALL)])
    return opened._replace(entry=opened.entry._replace(allocations=((0, 0, face, 0, 0, 0, 0),)))


def claim(debtor: int, creditor: int, amount: int, code: TransferCode = TransferCode.DEBT_REPAID) -> Transfer:
    return Transfer(clearing_account(debtor), clearing_account(creditor), amount, code, WINDOW)


def repaid(amount: int, number: int = 5, taker: int = B, legs: list[Transfer] | None = None, **told: Any) -> Opened:
    answer = {"entry": SALE << 22, "participant_id": taker, "bearer_id": A, "repaid_minor": amount, **told}
    posted = legs if legs is not None else [] if taker == A else [claim(taker, A, amount)]
    return entry(Kind.DEBT_REPAID, number, answer, posted)


def given_up(amount: int, number: int = 6, **told: Any) -> Opened:
    answer = {"entry": SALE << 22, "bearer_id": A, "written_off_minor": amount, **told}
    return entry(Kind.DEBT_WRITTEN_OFF, number, answer)


def test_payments_what_was_given_back_and_given_up_are_no_breach() -> None:
    assert (Verdict.OK, []) == judged(
        *joined(), sale(), repaid(12_000), repaid(8_000, 6, A), repaid(-5_000, 7, A), given_up(15_000, 8)
    )


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([repaid(12_000, legs=[])], "not owed by who took it"),
        ([repaid(12_000, legs=[claim(B, C, 12_000)])], "not owed by who took it"),
        ([repaid(12_000, legs=[claim(B, A, 11_999)])], "not owed by who took it"),
        ([repaid(12_000, legs=[claim(B, A, 12_000, TransferCode.ADJUSTMENT)])], "not owed by who took it"),
        ([repaid(12_000, entry=77)], "that no sale left"),
        ([repaid(30_001)], "more of a debt is paid"),
        ([repaid(12_000), given_up(18_001)], "more of a debt is paid"),
        ([repaid(12_000), repaid(-12_001, 6, A)], "more of a debt is paid"),
        ([given_up(12_000, bearer_id="x")], "cannot be read"),
    ],
)
def test_a_forged_payment_or_write_off_is_found(entries: list[Opened], found: str) -> None:
    verdict, sentences = judged(*joined(), sale(), *entries)

    assert verdict is Verdict.BREACH
    assert any(found in sentence for sentence in sentences), sentences


def test_a_debt_of_before_the_bundle_cannot_be_decided() -> None:
    verdict, _ = judged(*joined(), repaid(12_000), start_size=9)

    assert verdict is Verdict.UNDECIDED
