"""Reserving the money of a payment."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import advance
from functions.processor.protocol import CardProcessor, Charge, Operation, operation_key


def authorize(
    payment: Payment,
    *,
    ledger: Ledger,
    processor: CardProcessor,
    clock: clocks.Clock = clocks.now,
) -> Payment:
    """Have the processor reserve the money, then write that down.

    In this order, and without a look at the ledger first: the processor answers a repetition as
    it did before, and the write finds out whether the payment was undone meanwhile.

    Raises
    ------
    PaymentDeclinedError
        When the processor refuses; nothing is reserved.
    """
    outcome = processor.authorize(Charge.of(payment), key=operation_key(payment.payment_id, Operation.AUTHORIZE))
    return advance(
        ledger,
        payment,
        Status.AUTHORIZED,
        clock=clock,
        authorization_id=outcome.reference,
    ).payment
