"""Becoming the home of a payment that another region had."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.ledger import Ledger
from functions.payments.model import Payment
from functions.payments.progress import Progress


def take_home(ledger: Ledger, payment: Payment, region: str, *, clock: clocks.Clock) -> Progress:
    """Make a region the home of a payment, in one write; or find what is there instead.

    The write comes before the workflow's start: an execution of a payment at home elsewhere does
    nothing.
    """
    after = payment.taken_by(region, at=clock(), unasked=payment.next_region != region)
    current = ledger.update(after, expected=payment)
    return Progress(after, True) if current is None else Progress(current, False)
