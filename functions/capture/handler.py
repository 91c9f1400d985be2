"""Step 3 of the payment workflow."""

from __future__ import annotations

from typing import Any

from functions.capture.logic import capture
from functions.payments.model import Payment
from functions.payments.telemetry import about, instrumented
from functions.processor.connect import processor


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    return capture(payment, processor=processor()).to_document()
