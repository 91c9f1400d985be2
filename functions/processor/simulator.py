"""A card processor that does what its magic tokens say (see `scenarios`), and keeps accounts.

Deterministic: what an operation does follows from the account alone, never from time or chance.
"""

from __future__ import annotations

from dataclasses import replace

from functions.payments import clock as clocks
from functions.payments.errors import (
    AlreadyCapturedError,
    AlreadyRefundedError,
    AuthorizationVoidedError,
    CaptureDeclinedError,
    FinalError,
    NotCapturedError,
    PaymentDeclinedError,
    ProcessorKeyConflictError,
    ProcessorRejectedError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
)
from functions.processor.accounts import Account, Accounts
from functions.processor.protocol import Charge, HeldElsewhereError, Operation, Outcome, operation_key
from functions.processor.scenarios import Effect, Fault, fault_of, is_unreachable

_ATTEMPTS = 8
_REFERENCES = {
    Operation.AUTHORIZE: "auth",
    Operation.CAPTURE: "cap",
    Operation.VOID: "void",
    Operation.REFUND: "ref",
}


class CardSimulator:
    """See `protocol.CardProcessor` for the operations and their errors."""

    def __init__(self, accounts: Accounts, clock: clocks.Clock = clocks.now, *, region: str = "") -> None:
        self._accounts = accounts
        self._clock = clock
        self._region = region

    def authorize(self, charge: Charge, *, key: str) -> Outcome:
        """Reserve the money."""
        return self._operate(Operation.AUTHORIZE, charge, key)

    def capture(self, charge: Charge, *, key: str) -> Outcome:
        """Take the reserved money."""
        return self._operate(Operation.CAPTURE, charge, key)

    def void(self, charge: Charge, *, key: str) -> Outcome:
        """Release the reservation, or forbid one that may still come."""
        return self._operate(Operation.VOID, charge, key)

    def refund(self, charge: Charge, *, key: str) -> Outcome:
        """Give captured money back."""
        return self._operate(Operation.REFUND, charge, key)

    def _operate(self, operation: Operation, charge: Charge, key: str) -> Outcome:
        if key != operation_key(charge.payment_id, operation):
            raise ProcessorRejectedError("the idempotency key is not that of the operation")
        if is_unreachable(charge.payment_method, operation, self._region):
            raise ProcessorUnavailableError(f"{operation}: not reachable from {self._region}")
        # Nothing precedes most authorizations: try to open the account without looking first.
        known = None
        if operation is not Operation.AUTHORIZE:
            known = self._accounts.load(charge.payment_id)
        for _ in range(_ATTEMPTS):
            before = known or _opened(charge)
            held = _charge_of(before)
            if charge.gives_way_to(held):
                raise HeldElsewhereError(held)
            attempted = _attempted(replace(before, region=charge.region, epoch=charge.epoch), operation)
            fault = fault_of(before.payment_method, before.amount, operation, attempted.attempts[operation])
            after, answer = _answer(attempted, operation, charge, fault, self._clock())
            # Attempts alone are worth a write only where a scenario counts them.
            news = after != attempted or attempted.epoch != before.epoch
            if known is not None and not news and not (fault and fault.times):
                break
            current = self._accounts.save(replace(after, version=before.version + 1))
            if current is None:
                break
            known = current
        else:
            raise ProcessorUnavailableError("too many operations of one payment at once")
        if isinstance(answer, Exception):
            raise answer
        return answer


def _opened(charge: Charge) -> Account:
    return Account(
        charge.payment_id,
        charge.amount,
        charge.currency,
        charge.payment_method,
        accepted_in=charge.accepted_in,
        region=charge.region,
        epoch=charge.epoch,
    )


def _attempted(account: Account, operation: Operation) -> Account:
    attempt = account.attempts.get(operation, 0) + 1
    return replace(account, attempts={**account.attempts, str(operation): attempt})


def _answer(
    account: Account, operation: Operation, charge: Charge, fault: Fault | None, at: str
) -> tuple[Account, Outcome | Exception]:
    """What an operation does to an account, and what its caller hears of that."""
    if (charge.amount, charge.currency, charge.payment_method) != (
        account.amount,
        account.currency,
        account.payment_method,
    ):
        return account, ProcessorKeyConflictError(f"{operation} of another charge before")
    refusal = _undone_since(account, operation)
    if refusal is not None:
        return account, refusal
    if operation in account.outcomes:
        done = account.outcomes[operation]
        answer: Outcome | Exception = Outcome(done["reference"], done["at"])
        after = account
    else:
        refusal = _refusal(account, operation)
        if refusal is not None:
            return account, refusal
        if fault and fault.effect is not Effect.LOST:
            declined = operation is Operation.AUTHORIZE and fault.effect is Effect.DECLINE
            after = replace(account, declined=fault.reason) if declined else account
            return after, _broken(operation, fault)
        outcome = Outcome(f"{_REFERENCES[operation]}_{account.payment_id[4:]}", at)
        after, answer = _done(account, operation, outcome), outcome
    if fault and fault.effect is Effect.LOST:
        answer = ProcessorTimeoutError(f"{operation}: no answer")
    return after, answer


def _undone_since(account: Account, operation: Operation) -> FinalError | None:
    if operation is Operation.AUTHORIZE and account.voided:
        return AuthorizationVoidedError("voided")
    if operation in (Operation.CAPTURE, Operation.VOID) and account.refunded:
        return AlreadyRefundedError("refunded")
    return None


def _refusal(account: Account, operation: Operation) -> FinalError | None:
    if operation in (Operation.AUTHORIZE, Operation.VOID) and account.declined:
        return PaymentDeclinedError(account.declined)
    if operation is Operation.CAPTURE and account.voided:
        return CaptureDeclinedError("authorization_voided")
    if operation is Operation.CAPTURE and not account.authorized:
        return CaptureDeclinedError("not_authorized")
    if operation is Operation.VOID and account.captured:
        return AlreadyCapturedError("captured: refund it", **account.outcomes[Operation.CAPTURE])
    if operation is Operation.REFUND and not account.captured:
        return NotCapturedError("not captured: void it")
    return None


def _broken(operation: Operation, fault: Fault) -> Exception:
    if fault.effect is Effect.UNAVAILABLE:
        return ProcessorUnavailableError(f"{operation}: unavailable")
    if fault.effect is Effect.TIMEOUT:
        return ProcessorTimeoutError(f"{operation}: no answer")
    declined = PaymentDeclinedError if operation is Operation.AUTHORIZE else CaptureDeclinedError
    return declined(fault.reason)


def _done(account: Account, operation: Operation, outcome: Outcome) -> Account:
    account = replace(account, outcomes={**account.outcomes, str(operation): outcome._asdict()})
    if operation is Operation.AUTHORIZE:
        return replace(account, authorized=account.amount)
    if operation is Operation.CAPTURE:
        return replace(account, captured=account.amount)
    if operation is Operation.VOID:
        return replace(account, voided=True, authorized=0)
    return replace(account, refunded=account.captured)


def _charge_of(account: Account) -> Charge:
    return Charge(
        account.payment_id,
        account.amount,
        account.currency,
        account.payment_method,
        accepted_in=account.accepted_in,
        region=account.region,
        epoch=account.epoch,
    )
