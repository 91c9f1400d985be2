"""Step 2 of the payment workflow."""

from __future__ import annotations

from typing import Any

from functions.authorize.logic import authorize
from functions.payments import container
from functions.payments.model import Payment
from functions.payments.telemetry import about, instrumented
from functions.processor.connect import processor


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    return authorize(payment, ledger=container.ledger(), processor=processor()).to_document()
