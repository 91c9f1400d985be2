"""Taking the reserved money."""

from __future__ import annotations

from dataclasses import replace

from functions.payments.model import Payment
from functions.processor.protocol import CardProcessor, Charge, Operation, operation_key


def capture(payment: Payment, *, processor: CardProcessor) -> Payment:
    """Have the processor take the money.

    No write to the ledger: should this be forgotten, compensation learns it from the processor,
    which does not void what it has captured.

    Raises
    ------
    CaptureDeclinedError
        When the processor refuses.
    """
    outcome = processor.capture(Charge.of(payment), key=operation_key(payment.payment_id, Operation.CAPTURE))
    return replace(payment, capture_id=outcome.reference, captured_at=outcome.at)
