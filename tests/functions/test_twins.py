"""One key accepted in two regions, and regions that are given up for dead: who may act, and what the others do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from functions.authorize.logic import authorize
from functions.compensate.logic import compensate
from functions.hand_over.logic import hand_over
from functions.payments import ids
from functions.payments.errors import (
    AlreadyRefundedError,
    AuthorizationVoidedError,
    CapturedElsewhereError,
    NoRegionLeftError,
    PaymentDeclinedError,
    PaymentError,
    PaymentMovedError,
    ProcessorUnavailableError,
    UndoneUnknownError,
)
from functions.payments.ledger import DynamoLedger
from functions.payments.model import Payment, Status
from functions.payments.progress import advance, close_unresolved
from functions.payments.receipts import receipt_body, receipt_key
from functions.processor.accounts import Account, Accounts, DynamoAccounts, InMemoryAccounts
from functions.processor.protocol import Charge, HeldElsewhereError, Operation, operation_key
from functions.processor.simulator import CardSimulator
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION, InMemoryLedger, a_payment, ticking_clock

HERE, THERE, THIRD = REGION, "us-east-1", "ap-southeast-1"
ORDER = (THERE, HERE, THIRD)
A, C, V, R = Operation.AUTHORIZE, Operation.CAPTURE, Operation.VOID, Operation.REFUND
WINNER = a_payment()
LOSER = a_payment(
    home_region=THERE,
    regions_tried=(THERE,),
    accepted_in=THERE,
    amount=700,
    request_hash=ids.request_hash(700, "EUR", "m-1", "tok_visa"),
)
CLAIMED = WINNER.taken_by(THERE, at="later", unasked=True)


class Bank:
    """The processor, spoken to on behalf of a payment."""

    def __init__(self, accounts: Accounts | None = None) -> None:
        self.accounts = accounts or InMemoryAccounts()
        self.simulator = CardSimulator(self.accounts, ticking_clock())

    def do(self, operation: Operation, payment: Payment = WINNER) -> Any:
        operate = getattr(self.simulator, operation.value)
        return operate(Charge.of(payment), key=operation_key(payment.payment_id, operation))

    @property
    def account(self) -> Account:
        found = self.accounts.load(WINNER.payment_id)
        assert found
        return found


@pytest.fixture(params=["memory", "dynamodb"])
def bank(request: pytest.FixtureRequest) -> Bank:
    if request.param == "memory":
        return Bank()
    request.getfixturevalue("cloud")
    return Bank(DynamoAccounts("processor", REGION))


# -- the processor -----------------------------------------------------------------------------


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("first", [A, V])
def test_of_two_acceptances_the_first_one_counts(bank: Bank, first: Operation, operation: Operation) -> None:
    """PAY-23: whichever operation it begins with; the other one changes nothing, whatever its epoch."""
    bank.do(first)
    before = bank.account
    for loser in (LOSER, LOSER.taken_by(THIRD, at="later"), replace(LOSER, home_region=HERE, epoch=9)):
        with pytest.raises(HeldElsewhereError) as refused:
            bank.do(operation, loser)
        assert refused.value.held == Charge.of(WINNER)
    assert bank.account == before


@pytest.mark.parametrize("token", ["tok_declined", "tok_unavailable", "tok_timeout", "tok_authorize_lost"])
def test_the_first_acceptance_counts_even_if_nothing_came_of_it(bank: Bank, token: str) -> None:
    """PAY-23: a decline is an answer too, and an answer may get lost."""
    with pytest.raises(PaymentError):
        bank.do(A, replace(WINNER, payment_method=token))
    with pytest.raises(HeldElsewhereError):
        bank.do(A, replace(LOSER, payment_method=token))


@pytest.mark.parametrize("operation", Operation)
def test_a_home_that_was_given_up_does_nothing_more(bank: Bank, operation: Operation) -> None:
    """PAY-23: from the moment the next home has spoken."""
    bank.do(A)
    bank.do(A, CLAIMED)
    for late in (WINNER, replace(CLAIMED, home_region=THIRD)):
        with pytest.raises(HeldElsewhereError) as refused:
            bank.do(operation, late)
        assert refused.value.held == Charge.of(CLAIMED)
    assert (bank.account.captured, bank.account.voided) == (0, False)
    bank.do(C, CLAIMED)


def test_a_repetition_answers_as_before_whoever_asks(bank: Bank) -> None:
    """PAY-23."""
    done = [bank.do(A), bank.do(C)]
    assert [bank.do(A, CLAIMED), bank.do(C, CLAIMED)] == done


def test_what_was_undone_since_is_not_repeated(bank: Bank) -> None:
    """PAY-23: else a second execution would settle what was given back."""
    bank.do(A)
    bank.do(C)
    bank.do(R)
    for operation in (C, V):
        with pytest.raises(AlreadyRefundedError):
            bank.do(operation)
    assert bank.do(R).reference


def test_an_authorization_that_was_voided_is_not_repeated(bank: Bank) -> None:
    """PAY-23."""
    bank.do(A)
    bank.do(V)
    with pytest.raises(AuthorizationVoidedError):
        bank.do(A)


@pytest.mark.parametrize("operation", [A, V])
def test_what_was_declined_stays_declined(bank: Bank, operation: Operation) -> None:
    """PAY-23: and there is nothing to void; so a payment is DECLINED whoever asks last."""
    declined = replace(WINNER, payment_method="tok_declined")
    for again in (A, operation):
        with pytest.raises(PaymentDeclinedError, match="card_declined"):
            bank.do(again, declined)


# -- a twin that lost --------------------------------------------------------------------------


def authorized(payment: Payment, ledger: Any, bank: Bank) -> Payment:
    return authorize(payment, ledger=ledger, processor=bank.simulator, clock=lambda: "later")


def compensated(payment: Payment, ledger: Any, bank: Bank) -> Payment:
    return compensate(payment, reason="why", ledger=ledger, processor=bank.simulator, clock=lambda: "later").payment


@pytest.mark.parametrize("step", [authorized, compensated])
def test_a_twin_that_lost_becomes_the_payment_that_won_and_goes_to_its_region(step: Any, bank: Bank) -> None:
    """PAY-23: nothing is undone; what the merchant has asked for last is not what is charged."""
    bank.do(A)
    before, ledger = bank.account, InMemoryLedger(LOSER)
    with pytest.raises(PaymentMovedError):
        step(LOSER, ledger, bank)
    assert bank.account == before
    left = ledger.payments[LOSER.payment_id]
    assert (left.amount, left.request_hash) == (WINNER.amount, WINNER.request_hash)
    assert (left.accepted_in, left.home_region, left.next_region) == (HERE, THERE, HERE)
    assert (left.claimed_from, left.compensating, left.status) == (THERE, "", Status.RECEIVED)
    back = left.taken_by(HERE, at="later")
    assert (back.epoch, back.claimed_from, back.regions_tried) == (2, THERE, (HERE,))
    assert bank.do(A, back)  # and this one may act


def test_a_twin_that_lost_is_left_so_in_dynamodb(cloud: Cloud) -> None:
    """PAY-23: what a request has said can be replaced by what counts."""
    bank, ledger = Bank(), DynamoLedger(cloud.dynamodb, "payments")
    bank.do(A)
    ledger.create(replace(LOSER, payer_region=THERE))
    with pytest.raises(PaymentMovedError):
        authorized(Payment.from_document(LOSER.to_document()), ledger, bank)
    left = ledger.get(LOSER.payment_id)
    assert left
    assert (left.amount, left.request_hash, left.next_region) == (WINNER.amount, WINNER.request_hash, HERE)
    assert (left.payer_region, left.created_at) == (THERE, LOSER.created_at)


def test_a_twin_that_met_the_winner_s_record_writes_nothing(bank: Bank) -> None:
    """PAY-23: the last writer was the winner."""
    bank.do(A)
    ledger = InMemoryLedger(WINNER.changed(at="later", status=Status.SETTLED))
    with pytest.raises(PaymentMovedError):
        authorized(LOSER, ledger, bank)
    assert len(ledger.history) == 1


def test_the_holder_itself_goes_on_with_what_the_twin_has_handed_to_it(bank: Bank) -> None:
    """PAY-23: the twin could not reach the processor, and its region's order led to the winner."""
    bank.do(A)
    handed = LOSER.changed(at="later", next_region=HERE).taken_by(HERE, at="later")
    ledger = InMemoryLedger(handed)
    after = authorized(handed, ledger, bank)
    assert (after.status, after.home_region, after.next_region) == (Status.AUTHORIZED, HERE, "")
    assert (after.accepted_in, after.amount, after.epoch, after.claimed_from) == (HERE, WINNER.amount, 3, HERE)
    assert (bank.account.epoch, bank.account.authorized) == (3, WINNER.amount)


def test_an_execution_of_an_earlier_epoch_writes_nothing() -> None:
    """PAY-23: the payment has gone away and come back; another execution works on it."""
    ledger = InMemoryLedger(CLAIMED.taken_by(HERE, at="later"))
    with pytest.raises(PaymentMovedError):
        advance(ledger, WINNER, Status.AUTHORIZED, clock=lambda: "later")
    assert len(ledger.history) == 1


# -- a payment that was claimed ----------------------------------------------------------------


def test_a_claim_forgets_what_its_home_has_begun_to_undo() -> None:
    """PAY-23: the processor says what was undone."""
    begun = replace(WINNER, regions_tried=(THIRD, HERE), compensating="why", resumed=3)
    claimed = begun.taken_by(THERE, at="later", unasked=True)
    assert (claimed.claimed_from, claimed.compensating, claimed.resumed) == (HERE, "", 0)
    assert (claimed.epoch, claimed.regions_tried, claimed.version) == (2, (THERE,), begun.version + 1)
    handed = replace(begun, next_region=THERE).taken_by(THERE, at="later")
    assert (handed.claimed_from, handed.compensating, handed.regions_tried) == ("", "why", (THIRD, HERE, THERE))


def test_what_may_have_been_settled_unseen_is_never_given_back(bank: Bank) -> None:
    """PAY-10, PAY-23: its event may be out."""
    for operation in (A, C):
        bank.do(operation)
    ledger = InMemoryLedger(CLAIMED)
    for known in (CLAIMED, replace(CLAIMED, capture_id="cap_1")):
        with pytest.raises(CapturedElsewhereError):
            compensated(known, ledger, bank)
    assert bank.account.refunded == 0
    assert ledger.history == [CLAIMED]  # not marked either: it is to go forward
    with pytest.raises(UndoneUnknownError):
        close_unresolved(ledger, CLAIMED, clock=lambda: "later", reason="compensation_failed", refused=True)


def test_what_was_taken_without_an_answer_goes_on_to_be_settled(bank: Bank) -> None:
    """PAY-23: it may not be given back, and must not stay open for ever."""
    outcomes = [bank.do(operation) for operation in (A, C)]
    known = replace(CLAIMED, status=Status.AUTHORIZED, authorization_id=outcomes[0].reference)
    ledger = InMemoryLedger(known)
    captured = compensated(known, ledger, bank)
    assert (captured.status, captured.capture_id, captured.captured_at) == (Status.AUTHORIZED, *outcomes[1])
    assert (ledger.history, bank.account.refunded) == ([known], 0)
    with pytest.raises(CapturedElsewhereError):  # settling it did not work either: not in circles
        compensated(captured, ledger, bank)


@pytest.mark.parametrize(
    ("done", "status"),
    [((), Status.FAILED), ((A,), Status.FAILED), ((A, V), Status.FAILED), ((A, C, R), Status.REFUNDED)],
)
def test_what_was_undone_or_can_be_voided_ends_as_that(bank: Bank, done: Any, status: Status) -> None:
    """PAY-23."""
    for operation in done:
        bank.do(operation)
    ended = compensated(CLAIMED, InMemoryLedger(CLAIMED), bank)
    assert (ended.status, ended.reason) == (status, "why")
    assert bank.account.voided or bank.account.refunded == WINNER.amount


def test_what_was_declined_ends_as_declined_though_it_is_undone(bank: Bank) -> None:
    """PAY-10, PAY-23: its event may be out; the answer to the authorization did not come a second time."""
    declined = replace(CLAIMED, payment_method="tok_declined")
    with pytest.raises(PaymentDeclinedError):
        bank.do(A, replace(WINNER, payment_method="tok_declined"))
    ended = compensated(declined, InMemoryLedger(declined), bank)
    assert (ended.status, ended.reason) == (Status.DECLINED, "card_declined")


def test_nobody_gives_up_a_payment_that_the_processor_has_not_been_heard_of() -> None:
    """PAY-23: it may be the twin of one that another region settles."""
    ledger = InMemoryLedger(LOSER)
    with pytest.raises(UndoneUnknownError):
        close_unresolved(ledger, LOSER, clock=lambda: "later", reason="compensation_failed", refused=True)
    assert ledger.history == [LOSER]


def test_a_claimed_payment_goes_round_again_after_the_sweeper_has_waited() -> None:
    """PAY-05, PAY-23: it may not be undone, and the last region may be the one that cannot finish it."""
    last = replace(CLAIMED, regions_tried=(HERE, THIRD, THERE))
    with pytest.raises(NoRegionLeftError):
        hand_over(last, order=ORDER, ledger=InMemoryLedger(last))
    waited = replace(last, resumed=1)
    again = hand_over(waited, order=ORDER, ledger=InMemoryLedger(waited))
    assert (again.next_region, again.regions_tried) == (HERE, (THERE,))
    unclaimed = replace(waited, claimed_from="")
    with pytest.raises(NoRegionLeftError):
        hand_over(unclaimed, order=ORDER, ledger=InMemoryLedger(unclaimed))


# -- what everybody sees -----------------------------------------------------------------------


def test_a_receipt_is_the_same_whoever_makes_it() -> None:
    """PAY-11: two regions replicate it to each other."""
    facts = {"authorization_id": "auth_1", "capture_id": "cap_1", "captured_at": "2025-03-02T00:00:00.000Z"}
    here = replace(WINNER, **facts)
    there = replace(LOSER, amount=WINNER.amount, created_at="2025-02-27T00:00:00.000Z", version=9, epoch=4, **facts)
    assert (receipt_key(here), receipt_body(here)) == (receipt_key(there), receipt_body(there))


def test_the_processor_is_unreachable_and_so_nothing_is_known(bank: Bank) -> None:
    """PAY-23: the error of the second question is the answer, once the payment is this region's."""
    bank.do(A)
    handed = LOSER.changed(at="later", next_region=HERE).taken_by(HERE, at="later")
    ledger = InMemoryLedger(handed)

    class Once:
        asked = 0

        def authorize(self, charge: Charge, *, key: str) -> Any:
            self.asked += 1
            if self.asked == 2:
                raise ProcessorUnavailableError("gone")
            return bank.simulator.authorize(charge, key=key)

    with pytest.raises(ProcessorUnavailableError):
        authorize(handed, ledger=ledger, processor=Once(), clock=lambda: "later")  # type: ignore[arg-type]
    with pytest.raises(PaymentMovedError):  # the retry is an execution of an earlier epoch: the sweeper starts the next
        authorized(handed, ledger, bank)
    assert ledger.payments[handed.payment_id].epoch == 3
