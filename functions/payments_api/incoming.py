"""What came in over HTTP, as the request that it stands for."""

from __future__ import annotations

import binascii

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from functions.payments import request
from functions.payments.errors import InvalidPaymentError
from functions.payments.request import PaymentRequest
from functions.payments_api.caller import check_same


def asked(event: APIGatewayProxyEvent, *, merchant: str) -> PaymentRequest:
    """The payment that a merchant's event asks for.

    Raises
    ------
    InvalidPaymentError
        Naming the field, its value and what is allowed.
    ForeignMerchantError
        When it asks in another merchant's name.
    """
    try:
        body = event.decoded_body
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidPaymentError("body", None, "UTF-8 text") from None
    keys = event.resolved_headers_field.get("Idempotency-Key") or []
    parsed = request.parse(body, [keys] if isinstance(keys, str) else list(keys))
    check_same(merchant, parsed.merchant_id)
    return parsed
