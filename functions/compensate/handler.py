"""The undoing step of the payment workflow."""

from __future__ import annotations

from typing import Any

from functions.compensate.logic import compensate
from functions.payments import container
from functions.payments.caught import Caught, caught
from functions.payments.model import Payment, Status
from functions.payments.telemetry import Metric, about, count, instrumented
from functions.processor.connect import processor


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    error = caught(event) or Caught("Unknown")
    undone, applied = compensate(payment, reason=error.reason, ledger=container.ledger(), processor=processor())
    if applied:
        refunded = undone.status is Status.REFUNDED
        count(Metric.PAYMENTS_REFUNDED if refunded else Metric.PAYMENTS_FAILED)
    return undone.to_document()
