"""Undoing what a payment has done at the processor, whatever that was."""

from __future__ import annotations

from dataclasses import replace

from functions.payments import clock as clocks
from functions.payments.errors import (
    AlreadyCapturedError,
    AlreadyRefundedError,
    CapturedElsewhereError,
    NotCapturedError,
    PaymentDeclinedError,
    PaymentMovedError,
)
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import Progress, advance, begin_compensation, close, give_way
from functions.processor.protocol import CardProcessor, Charge, HeldElsewhereError, Operation, operation_key


def compensate(
    payment: Payment,
    *,
    reason: str,
    ledger: Ledger,
    processor: CardProcessor,
    clock: clocks.Clock = clocks.now,
) -> Progress:
    """Void or refund a payment, then write down FAILED or REFUNDED (or DECLINED, if that is what it was).

    First the intent goes into the ledger, so that no other execution settles what is being
    undone here; a payment that is settled or refunded already is left as it is. What a lost
    answer has hidden, the processor knows: it refuses to void what it captured.

    A payment that was claimed may have been settled where this ledger did not see it, and its event
    be out. So it is never refunded here, and not marked: what a void can undo was not settled. One whose
    money turns out to be taken, though no answer of the capture ever came, comes back as captured: it is
    to be settled.

    Raises
    ------
    CapturedElsewhereError
        When money was captured, and this ledger cannot know that nobody has settled the payment.
    PaymentMovedError
        When another region holds it: it is left to that one, nothing is undone.
    """
    known = payment
    if not payment.claimed_from:
        known = begin_compensation(ledger, payment, clock=clock, reason=reason)
        if known.status in (Status.SETTLED, Status.REFUNDED):
            return Progress(known, False)
        reason = known.compensating or reason
    try:
        refund_id = _undo(payment, known, processor)
    except PaymentDeclinedError as error:
        return close(ledger, known, Status.DECLINED, clock=clock, reason=str(error), may_hold_money=True)
    except AlreadyCapturedError as error:
        return Progress(replace(known, capture_id=error.reference, captured_at=error.at), False)
    except HeldElsewhereError as error:
        give_way(ledger, known, error.held, clock=clock)
        raise PaymentMovedError(f"{payment.payment_id} has come back, for another execution") from error
    if known.status.is_final:  # closed by a twin; the money is released all the same
        return Progress(known, False)
    if not refund_id:
        return close(ledger, known, Status.FAILED, clock=clock, reason=reason, may_hold_money=True)
    return advance(ledger, known, Status.REFUNDED, clock=clock, refund_id=refund_id, reason=reason)


def _undo(payment: Payment, known: Payment, processor: CardProcessor) -> str:
    """Release the money; the reference of the refund, or "" after a void."""
    if payment.capture_id and not payment.claimed_from:  # known to be captured: the void would only be refused
        try:
            return _refund(payment, processor)
        except NotCapturedError:
            pass
    try:
        processor.void(Charge.of(payment), key=operation_key(payment.payment_id, Operation.VOID))
    except AlreadyRefundedError:
        return _refund(payment, processor)
    except AlreadyCapturedError as error:
        # Known to be captured and yet here again: settling it has failed too.
        if payment.claimed_from and known.status is Status.AUTHORIZED and error.reference and not payment.capture_id:
            raise
        if payment.claimed_from or known.status is Status.RECEIVED:
            raise CapturedElsewhereError(payment.payment_id) from None
        return _refund(payment, processor)
    return ""


def _refund(payment: Payment, processor: CardProcessor) -> str:
    return processor.refund(Charge.of(payment), key=operation_key(payment.payment_id, Operation.REFUND)).reference
