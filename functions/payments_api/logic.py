"""Accepting payments, without HTTP."""

from __future__ import annotations

from typing import NamedTuple

from functions.payments import clock as clocks
from functions.payments import ids
from functions.payments.errors import IdempotencyKeyReusedError, PaymentNotFoundError
from functions.payments.executions import Workflow
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.request import PaymentRequest

_HEALTH_PROBE = "health-probe"  # no payment id looks like this: the read finds nothing


class Submission(NamedTuple):
    """The payment a request stands for, and whether this request made it."""

    payment: Payment
    created: bool


def submit(request: PaymentRequest, *, ledger: Ledger, region: str, clock: clocks.Clock = clocks.now) -> Submission:
    """Write a payment to the ledger, or find the one that the same request made before.

    Raises
    ------
    IdempotencyKeyReusedError
        When another request came with this key before.
    """
    payment = request.to_payment(region=region, at=clock())
    existing = ledger.create(payment)
    if existing is None:
        return Submission(payment, True)
    if existing.request_hash != payment.request_hash:
        raise IdempotencyKeyReusedError("this Idempotency-Key came with another request before")
    return Submission(existing, False)


def ensure_started(payment: Payment, *, workflow: Workflow, region: str) -> None:
    """Start the workflow of a payment that shows no sign of work yet.

    On a repetition too: the first request may have died between the ledger and the start.
    """
    untouched = payment.status is Status.RECEIVED and not payment.compensating
    if untouched and payment.home_region == region:
        workflow.start(payment)


def find(payment_id: str, *, ledger: Ledger) -> Payment:
    """The payment with an id, or PaymentNotFoundError."""
    payment = ledger.get(payment_id) if ids.is_payment_id(payment_id) else None
    if payment is None:
        raise PaymentNotFoundError("no such payment")
    return payment


def check_health(*, ledger: Ledger) -> None:
    """Read from this region's table as a payment would; raises when that fails."""
    ledger.get(_HEALTH_PROBE)
