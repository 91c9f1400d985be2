"""In-memory stand-ins for AWS that keep the same promises as the adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from functions.payments import ids
from functions.payments.errors import PaymentNotFoundError
from functions.payments.model import Payment

REGION = "eu-west-1"


def a_payment(**changes: Any) -> Payment:
    """A payment of 12.99 EUR that was just received."""
    payment = Payment(
        payment_id=ids.payment_id("m-1", "key-1"),
        merchant_id="m-1",
        amount=1299,
        currency="EUR",
        payment_method="tok_visa",
        home_region=REGION,
        regions_tried=(REGION,),
        created_at="2025-03-01T12:00:00.000Z",
        updated_at="2025-03-01T12:00:00.000Z",
        request_hash=ids.request_hash(1299, "EUR", "m-1", "tok_visa"),
        accepted_in=REGION,
    )
    return replace(payment, **changes)


def ticking_clock() -> Callable[[], str]:
    """A clock that moves on one second with every look at it."""
    seconds = count(1)
    return lambda: f"2025-03-01T12:{(n := next(seconds)) // 60:02d}:{n % 60:02d}.000Z"


class InMemoryLedger:
    """A ledger that also remembers every version it held."""

    def __init__(self, *payments: Payment) -> None:
        self.payments = {payment.payment_id: payment for payment in payments}
        self.history = list(payments)

    def create(self, payment: Payment) -> Payment | None:
        if payment.payment_id in self.payments:
            return self.payments[payment.payment_id]
        self._keep(payment)
        return None

    def get(self, payment_id: str) -> Payment | None:
        return self.payments.get(payment_id)

    def update(self, payment: Payment, *, expected: Payment) -> Payment | None:
        current = self.payments.get(payment.payment_id)
        if current is None:
            raise PaymentNotFoundError(payment.payment_id)
        guards = ("status", "version", "home_region")
        if any(getattr(current, name) != getattr(expected, name) for name in guards):
            return current
        self._keep(replace(payment, request_hash=payment.request_hash or current.request_hash))
        return None

    def _keep(self, payment: Payment) -> None:
        self.payments[payment.payment_id] = payment
        self.history.append(payment)


class InMemoryReceipts:
    """Receipts by key; the first stays."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> None:
        self.objects.setdefault(key, body)


class RecordingWorkflow:
    """Remembers what was started; raises `error` instead when there is one."""

    def __init__(self, error: Exception | None = None) -> None:
        self.started: list[Payment] = []
        self.error = error

    def start(self, payment: Payment) -> None:
        if self.error:
            raise self.error
        self.started.append(payment)


class RecordingBus:
    """Remembers what was published; fails for the payment ids in `failing`."""

    def __init__(self, failing: Sequence[str] = ()) -> None:
        self.published: list[Payment] = []
        self.failing = failing

    def publish(self, payments: Sequence[Payment]) -> list[str | None]:
        failures = ["ThrottlingException" if one.payment_id in self.failing else None for one in payments]
        self.published += [one for one, failure in zip(payments, failures, strict=True) if not failure]
        return failures


@dataclass
class Context:
    """The context of a Lambda invocation, as far as the logger reads it."""

    function_name: str = "function"
    memory_limit_in_mb: int = 3072
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:function"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 900_000
