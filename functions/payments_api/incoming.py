"""What came in over HTTP, as the request that it stands for."""

from __future__ import annotations

import binascii

from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent

from functions.payments import request
from functions.payments.errors import InvalidPaymentError
from functions.payments.request import PaymentRequest


def asked(event: APIGatewayProxyEvent) -> PaymentRequest:
    """The payment that an event asks for, or InvalidPaymentError."""
    try:
        body = event.decoded_body
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidPaymentError("body", None, "UTF-8 text") from None
    keys = event.resolved_headers_field.get("Idempotency-Key") or []
    return request.parse(body, [keys] if isinstance(keys, str) else list(keys))
