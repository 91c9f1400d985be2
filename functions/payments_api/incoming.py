"""What came in over HTTP, as the request that it stands for."""

from __future__ import annotations

from functions.payments import request
from functions.payments.errors import InvalidPaymentError
from functions.payments.gateway import Event, body_of, header_of
from functions.payments.request import PaymentRequest
from functions.payments_api.caller import check_same


def asked(event: Event, *, merchant: str) -> PaymentRequest:
    """The payment that a merchant's event asks for.

    Raises
    ------
    InvalidPaymentError
        Naming the field, its value and what is allowed.
    ForeignMerchantError
        When it asks in another merchant's name.
    """
    try:
        body = body_of(event)
    except ValueError:
        raise InvalidPaymentError("body", None, "UTF-8 text") from None
    parsed = request.parse(body, header_of(event, "Idempotency-Key"))
    check_same(merchant, parsed.merchant_id)
    return parsed
