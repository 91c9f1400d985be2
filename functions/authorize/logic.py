"""Reserving the money of a payment."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import advance, give_way
from functions.processor.protocol import CardProcessor, Charge, HeldElsewhereError, Operation, operation_key


def authorize(
    payment: Payment,
    *,
    ledger: Ledger,
    processor: CardProcessor,
    clock: clocks.Clock = clocks.now,
) -> Payment:
    """Have the processor reserve the money, then write that down.

    In this order, and without a look at the ledger first: the processor answers a repetition as
    it did before, and the write finds out whether the payment was undone meanwhile. Whether this
    region may act for it at all, the processor says too: it is the only one that all regions ask.

    Raises
    ------
    PaymentDeclinedError
        When the processor refuses; nothing is reserved.
    PaymentMovedError
        When another region holds it: it is left to that one, nothing is undone.
    """
    key = operation_key(payment.payment_id, Operation.AUTHORIZE)
    try:
        outcome = processor.authorize(Charge.of(payment), key=key)
    except HeldElsewhereError as error:
        payment = give_way(ledger, payment, error.held, clock=clock)
        outcome = processor.authorize(Charge.of(payment), key=key)
    return advance(
        ledger,
        payment,
        Status.AUTHORIZED,
        clock=clock,
        authorization_id=outcome.reference,
    ).payment
