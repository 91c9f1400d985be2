"""The API's request models, as JSON schema draft 4: what API Gateway refuses before a function runs.

The function checks again, and names the field in its answer; here a request of the wrong shape costs nothing.
"""

from __future__ import annotations

from typing import Any

PAYMENT_REQUEST: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-04/schema#",
    "title": "PaymentRequest",
    "type": "object",
    "required": ["amount", "currency", "merchant_id", "payment_method"],
    "additionalProperties": True,
    "properties": {
        # In the currency's minor unit: 1299 is 12.99 EUR.
        "amount": {"type": "integer"},
        "currency": {"type": "string"},
        "merchant_id": {"type": "string"},
        "payment_method": {"type": "string"},
    },
}
