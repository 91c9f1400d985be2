"""Settling a payment."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import Progress, advance


def complete(payment: Payment, *, ledger: Ledger, clock: clocks.Clock = clocks.now) -> Progress:
    """Write down that a payment is settled, unless undoing it has begun."""
    return advance(
        ledger,
        payment,
        Status.SETTLED,
        clock=clock,
        capture_id=payment.capture_id,
        captured_at=payment.captured_at,
        receipt_key=payment.receipt_key,
    )
