"""Step 1 of the payment workflow."""

from __future__ import annotations

from typing import Any

from functions.payments import container
from functions.payments.model import Payment
from functions.payments.telemetry import about, instrumented
from functions.validate.logic import validate


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    return validate(payment, region=container.region()).to_document()
