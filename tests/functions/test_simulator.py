"""The simulated card processor: its magic, its idempotency and its books."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.payments.errors import (
    AlreadyCapturedError,
    AuthorizationVoidedError,
    CaptureDeclinedError,
    NotCapturedError,
    PaymentDeclinedError,
    PaymentError,
    ProcessorKeyConflictError,
    ProcessorRejectedError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
)
from functions.payments.request import check_token
from functions.processor.accounts import Account, Accounts, DynamoAccounts, InMemoryAccounts
from functions.processor.protocol import Charge, Operation, Outcome, operation_key
from functions.processor.scenarios import AMOUNTS, TOKENS, is_unreachable
from functions.processor.simulator import CardSimulator
from tests.functions.conftest import Cloud
from tests.functions.fakes import ticking_clock

A, C, V, R = Operation.AUTHORIZE, Operation.CAPTURE, Operation.VOID, Operation.REFUND


def a_charge(token: str = "tok_visa", amount: int = 1299) -> Charge:
    return Charge("pay_1", amount, "EUR", token)


class Bank:
    """A simulator on some books, spoken to by operation."""

    def __init__(self, accounts: Accounts | None = None) -> None:
        self.accounts = accounts or InMemoryAccounts()
        self.simulator = CardSimulator(self.accounts, ticking_clock())

    def do(self, operation: Operation, charge: Charge | None = None) -> Outcome:
        charge = charge or a_charge()
        operate: Callable[..., Outcome] = getattr(self.simulator, operation.value)
        return operate(charge, key=operation_key(charge.payment_id, operation))

    def tells(self, operation: Operation, charge: Charge | None = None) -> Any:
        try:
            return self.do(operation, charge)
        except PaymentError as error:
            return type(error)

    @property
    def account(self) -> Account:
        found = self.accounts.load("pay_1")
        assert found
        return found


@pytest.fixture(params=["memory", "dynamodb"])
def bank(request: pytest.FixtureRequest) -> Bank:
    """The same promises hold for books in memory and in DynamoDB."""
    if request.param == "memory":
        return Bank()
    request.getfixturevalue("cloud")
    return Bank(DynamoAccounts("processor", "eu-west-1"))


def test_money_is_authorized_captured_and_refunded_once(bank: Bank) -> None:
    """PAY-23."""
    for operation in (A, C, R):
        assert bank.do(operation) == bank.do(operation)
    assert (bank.account.authorized, bank.account.captured, bank.account.refunded) == (1299, 1299, 1299)
    assert [account.payment_id for account in bank.accounts.all()] == ["pay_1"]


def test_a_captured_payment_is_refunded_and_never_voided(bank: Bank) -> None:
    bank.do(A)
    assert bank.tells(R) is NotCapturedError
    captured = bank.do(C)
    with pytest.raises(AlreadyCapturedError) as told:
        bank.do(V)
    assert (told.value.reference, told.value.at) == captured
    assert not bank.account.voided


def test_a_voided_payment_is_never_captured(bank: Bank) -> None:
    bank.do(A)
    bank.do(V)
    assert bank.tells(C) is CaptureDeclinedError
    assert (bank.account.authorized, bank.account.captured) == (0, 0)


def test_a_void_keeps_a_late_authorization_out(bank: Bank) -> None:
    """PAY-23: an authorization whose answer was lost may still be on its way."""
    bank.do(V)
    assert bank.tells(A) is AuthorizationVoidedError
    assert bank.account.authorized == 0


def test_a_key_stands_for_one_charge(bank: Bank) -> None:
    """PAY-23: two regions that accepted one key with different bodies charge one of them."""
    bank.do(A)
    assert bank.tells(A, a_charge(amount=1)) is ProcessorKeyConflictError
    assert bank.tells(C, a_charge("tok_other")) is ProcessorKeyConflictError
    assert bank.account.captured == 0
    with pytest.raises(ProcessorRejectedError):
        bank.simulator.capture(a_charge(), key="some other key")


@pytest.mark.parametrize(
    ("token", "operations", "told"),
    [
        ("tok_declined", [A, A], [PaymentDeclinedError] * 2),
        ("tok_insufficient_funds", [A], [PaymentDeclinedError]),
        ("tok_expired_card", [A], [PaymentDeclinedError]),
        ("tok_unavailable", [A, A, A], [ProcessorUnavailableError] * 3),
        ("tok_timeout", [A, A], [ProcessorTimeoutError] * 2),
        ("tok_authorize_lost", [A, A], [ProcessorTimeoutError] * 2),
        ("tok_fail_once", [A, A], [ProcessorUnavailableError, Outcome]),
        ("tok_timeout_once", [A, A], [ProcessorTimeoutError, Outcome]),
        ("tok_lost_once", [A, A, C, C], [ProcessorTimeoutError, Outcome, ProcessorTimeoutError, Outcome]),
        ("tok_capture_fail_once", [A, C, C], [Outcome, ProcessorUnavailableError, Outcome]),
        ("tok_capture_declined", [A, C, V], [Outcome, CaptureDeclinedError, Outcome]),
        ("tok_capture_unavailable", [A, C, V], [Outcome, ProcessorUnavailableError, Outcome]),
        ("tok_capture_timeout", [A, C, V], [Outcome, ProcessorTimeoutError, Outcome]),
        ("tok_capture_lost", [A, C, V, R], [Outcome, ProcessorTimeoutError, AlreadyCapturedError, Outcome]),
        ("tok_void_fail_once", [A, V, V], [Outcome, ProcessorUnavailableError, Outcome]),
        ("tok_refund_lost_once", [A, C, R, R], [Outcome, ProcessorTimeoutError, ProcessorTimeoutError, Outcome]),
        ("tok_void_unavailable", [A, C, V], [Outcome, CaptureDeclinedError, ProcessorUnavailableError]),
        ("tok_refund_unavailable", [A, C, R], [Outcome, ProcessorTimeoutError, ProcessorUnavailableError]),
    ],
)
def test_a_magic_token_does_what_it_says(bank: Bank, token: str, operations: list[Operation], told: list[type]) -> None:
    answers = [bank.tells(operation, a_charge(token)) for operation in operations]
    assert [Outcome if isinstance(answer, Outcome) else answer for answer in answers] == told


def test_every_magic_token_is_one_that_the_api_takes_and_has_a_test_above() -> None:
    marks = test_a_magic_token_does_what_it_says.pytestmark  # type: ignore[attr-defined]
    tested = {case[0] for mark in marks for case in mark.args[1]}
    assert tested == set(TOKENS) == {check_token(token) for token in TOKENS}
    assert set(AMOUNTS.values()) <= set(TOKENS)


@pytest.mark.parametrize(("token", "cut_off"), [("tok_unreachable_from_r", A), ("tok_capture_unreachable_from_r", C)])
def test_a_token_cuts_one_region_off_from_one_operation(bank: Bank, token: str, cut_off: Operation) -> None:
    """PAY-23: the same processor answers the other regions, and what it did there is not to be had from here."""
    here, there = (CardSimulator(bank.accounts, ticking_clock(), region=region) for region in ("r", "s"))
    charge = a_charge(token)
    bank.simulator = there
    if cut_off is C:
        bank.do(A, charge)
    bank.simulator = here
    before = bank.accounts.load("pay_1")
    assert bank.tells(cut_off, charge) is ProcessorUnavailableError
    assert bank.accounts.load("pay_1") == before
    bank.simulator = there
    assert isinstance(bank.tells(cut_off, charge), Outcome)
    bank.simulator = here
    assert bank.tells(cut_off, charge) is ProcessorUnavailableError
    assert isinstance(bank.tells(A if cut_off is C else C, charge), Outcome)


def test_a_token_that_names_a_region_is_one_that_the_api_takes() -> None:
    assert check_token("tok_capture_unreachable_from_ap-southeast-1")
    assert not is_unreachable("tok_unreachable_from_us-east-1", A, "us-east-2")
    assert not is_unreachable("tok_unreachable_from_", A, "us-east-1")


def test_a_magic_amount_acts_like_its_token() -> None:
    assert Bank().tells(A, a_charge(amount=6_660_001)) is PaymentDeclinedError
    assert Bank().tells(A, a_charge("tok_fail_once", 6_660_001)) is ProcessorUnavailableError


@given(st.lists(st.sampled_from(Operation), max_size=10), st.sampled_from([*TOKENS, "tok_visa"]))
def test_the_books_balance_after_any_sequence_of_operations(operations: list[Operation], token: str) -> None:
    """PAY-23."""
    bank = Bank()
    for operation in operations:
        bank.tells(operation, a_charge(token))
    for account in bank.accounts.all():
        assert account.refunded in (0, account.captured)
        assert account.captured in (0, 1299)
        assert not (account.voided and account.captured)
        assert not (account.captured and not account.authorized)


def test_an_operation_that_races_another_one_sees_what_that_did() -> None:
    """PAY-23: a void between the reading and the writing of a capture wins."""
    bank = Bank()
    bank.do(A)
    load = bank.accounts.load

    def load_and_be_overtaken(payment_id: str) -> Account | None:
        seen = load(payment_id)
        bank.accounts.load = load  # type: ignore[method-assign]
        bank.do(V)
        return seen

    bank.accounts.load = load_and_be_overtaken  # type: ignore[method-assign]
    assert bank.tells(C) is CaptureDeclinedError
    assert bank.account.captured == 0


def test_one_table_serves_every_region_by_its_arn(cloud: Cloud) -> None:
    """PAY-23: the simulator is one processor, so a payment finished elsewhere is known."""
    cloud.table("shared", "operation_key", "us-east-1")
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/shared"
    Bank(DynamoAccounts(arn, "eu-west-1")).do(A)
    assert Bank(DynamoAccounts(arn, "ap-southeast-1")).account.authorized == 1299
