"""Whether a payment may be worked on here at all. No I/O: the ledger guards what follows."""

from __future__ import annotations

from functions.payments import ids, request
from functions.payments.errors import InvalidPaymentError
from functions.payments.model import Payment


def validate(payment: Payment, *, region: str) -> Payment:
    """Pass on a payment that a request could have made and that is at home in this region.

    Raises
    ------
    InvalidPaymentError
        When an execution was started with something else.
    PaymentMovedError
        When another region works on it.
    """
    if not ids.is_payment_id(payment.payment_id):
        raise InvalidPaymentError("payment_id", payment.payment_id, "pay_ and 26 of a-z 2-7")
    request.check(payment)
    return payment.at_home_in(region)
