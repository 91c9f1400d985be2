"""What the platform asks of a card processor, whoever it is.

Every operation carries an idempotency key that follows from the payment and the operation. The
processor must (as the usual ones do)

- answer a repeated key as it answered the first time, and refuse one with other parameters; unless
  it was undone since: an authorization that was voided is refused, and so is a capture that was
  refunded. Else a repetition would settle what another execution has given back;
- treat the operations of one payment as exclusive: a captured payment cannot be voided;
- remember a void of a payment it has no authorization for, and refuse a late authorization:
  an authorization whose answer was lost may still be on its way. What it had declined it does not
  void: it says so again.

Two regions can accept one key before either hears of the other, and a region that was given up for
dead can go on. The processor is the only single party, so it also arbitrates between them. A charge
says on whose behalf it is: `accepted_in` (which acceptance), `region` and `epoch` (which home). The
processor remembers those of the first operation, and from then on refuses, with nothing done,

- an operation for another acceptance;
- an operation of a lower epoch, or of another region in the same epoch. A higher one takes its place.

The refusal tells the charge that holds. These three are no parameters of the idempotency key. Where a
card network's API has no such rule, its gateway keeps them with the payment and checks them under the
lock that it needs for the exclusive operations anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from functions.payments.errors import FinalError
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
    accepted_in: str = ""
    region: str = ""
    epoch: int = 1

    @classmethod
    def of(cls, payment: Payment) -> Charge:
        """The charge of a payment: always its whole amount."""
        return cls(
            payment.payment_id,
            payment.amount,
            payment.currency,
            payment.payment_method,
            accepted_in=payment.accepted_in or payment.regions_tried[0],
            region=payment.home_region,
            epoch=payment.epoch,
        )

    def gives_way_to(self, held: Charge) -> bool:
        """Whether this charge is refused, because that one holds the payment."""
        if self.accepted_in != held.accepted_in:
            return True
        return self.epoch < held.epoch or (self.epoch == held.epoch and self.region != held.region)


class HeldElsewhereError(FinalError):
    """The payment is another acceptance's or another home's; nothing was done.

    `held` is the charge that holds it, with the amount, the currency and the payment method that count.
    """

    def __init__(self, held: Charge) -> None:
        self.held = held
        super().__init__(f"{held.payment_id} is held by {held.region}, accepted in {held.accepted_in}")


class Outcome(NamedTuple):
    """The processor's reference of what it did, and when it did it."""

    reference: str
    at: str


class CardProcessor(Protocol):
    """A card processor. Every operation may raise ProcessorUnavailableError,
    ProcessorThrottledError, ProcessorTimeoutError (outcome unknown), ProcessorRejectedError,
    ProcessorKeyConflictError and HeldElsewhereError."""

    def authorize(self, charge: Charge, *, key: str) -> Outcome:
        """Reserve the money. PaymentDeclinedError, AuthorizationVoidedError."""
        ...

    def capture(self, charge: Charge, *, key: str) -> Outcome:
        """Take the reserved money. CaptureDeclinedError, AlreadyRefundedError."""
        ...

    def void(self, charge: Charge, *, key: str) -> Outcome:
        """Release the reservation, or forbid one that may still come. AlreadyCapturedError with the
        capture's reference and time, AlreadyRefundedError, and PaymentDeclinedError when there is none."""
        ...

    def refund(self, charge: Charge, *, key: str) -> Outcome:
        """Give captured money back. NotCapturedError."""
        ...


def operation_key(payment_id: str, operation: Operation) -> str:
    """The idempotency key of an operation: one payment has each operation at most once."""
    return f"{payment_id}:{operation}"
