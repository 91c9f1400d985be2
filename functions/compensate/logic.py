"""Undoing what a payment has done at the processor, whatever that was."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.errors import (
    AlreadyCapturedError,
    CapturedElsewhereError,
    NotCapturedError,
)
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import Progress, advance, begin_compensation
from functions.processor.protocol import CardProcessor, Charge, Operation, operation_key


def compensate(
    payment: Payment,
    *,
    reason: str,
    ledger: Ledger,
    processor: CardProcessor,
    clock: clocks.Clock = clocks.now,
) -> Progress:
    """Void or refund a payment, then write down FAILED or REFUNDED.

    First the intent goes into the ledger, so that no other execution settles what is being
    undone here; a payment that is settled or refunded already is left as it is. What a lost
    answer has hidden, the processor knows: it refuses to void what it captured.

    Raises
    ------
    CapturedElsewhereError
        When money was captured for a payment that this ledger never saw authorized.
    """
    begun = begin_compensation(ledger, payment, clock=clock, reason=reason)
    if begun.status in (Status.SETTLED, Status.REFUNDED):
        return Progress(begun, False)
    refund_id = _undo(payment, begun, processor)
    if begun.status.is_final:  # closed by a twin; the money is released all the same
        return Progress(begun, False)
    to = Status.REFUNDED if refund_id else Status.FAILED
    return advance(ledger, begun, to, clock=clock, refund_id=refund_id, reason=begun.compensating)


def _undo(payment: Payment, begun: Payment, processor: CardProcessor) -> str:
    """Release the money; the reference of the refund, or "" after a void."""
    if payment.capture_id:  # known to be captured: the void would only be refused
        try:
            return _refund(payment, processor)
        except NotCapturedError:
            pass
    try:
        processor.void(Charge.of(payment), key=operation_key(payment.payment_id, Operation.VOID))
    except AlreadyCapturedError:
        if begun.status is Status.RECEIVED:
            raise CapturedElsewhereError(payment.payment_id) from None
        return _refund(payment, processor)
    return ""


def _refund(payment: Payment, processor: CardProcessor) -> str:
    return processor.refund(Charge.of(payment), key=operation_key(payment.payment_id, Operation.REFUND)).reference
