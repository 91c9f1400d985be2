"""What the platform asks of a card processor, whoever it is.

Every operation carries an idempotency key that follows from the payment and the operation. The
processor must (as the usual ones do)

- answer a repeated key as it answered the first time, and refuse one with other parameters;
- treat the operations of one payment as exclusive: a captured payment cannot be voided;
- remember a void of a payment it has no authorization for, and refuse a late authorization:
  an authorization whose answer was lost may still be on its way.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from functions.payments.model import Payment


class Operation(StrEnum):
    """What can be asked for."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    VOID = "void"
    REFUND = "refund"


@dataclass(frozen=True)
class Charge:
    """The money in question: an amount in minor units and the token to take it from."""

    payment_id: str
    amount: int
    currency: str
    payment_method: str

    @classmethod
    def of(cls, payment: Payment) -> Charge:
        """The charge of a payment: always its whole amount."""
        return cls(payment.payment_id, payment.amount, payment.currency, payment.payment_method)


class Outcome(NamedTuple):
    """The processor's reference of what it did, and when it did it."""

    reference: str
    at: str


class CardProcessor(Protocol):
    """A card processor. Every operation may raise ProcessorUnavailableError,
    ProcessorThrottledError, ProcessorTimeoutError (outcome unknown), ProcessorRejectedError and
    ProcessorKeyConflictError."""

    def authorize(self, charge: Charge, *, key: str) -> Outcome:
        """Reserve the money. PaymentDeclinedError, AuthorizationVoidedError."""
        ...

    def capture(self, charge: Charge, *, key: str) -> Outcome:
        """Take the reserved money. CaptureDeclinedError."""
        ...

    def void(self, charge: Charge, *, key: str) -> Outcome:
        """Release the reservation, or forbid one that may still come. AlreadyCapturedError."""
        ...

    def refund(self, charge: Charge, *, key: str) -> Outcome:
        """Give captured money back. NotCapturedError."""
        ...


def operation_key(payment_id: str, operation: Operation) -> str:
    """The idempotency key of an operation: one payment has each operation at most once."""
    return f"{payment_id}:{operation}"
