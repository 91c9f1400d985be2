"""The recording step of the payment workflow."""

from __future__ import annotations

from typing import Any

from functions.payments import container
from functions.payments.caught import Caught, caught
from functions.payments.model import Payment, Status
from functions.payments.telemetry import Metric, about, count, instrumented
from functions.record_failure.logic import record_failure


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    recorded, applied = record_failure(
        payment,
        caught=caught(event) or Caught("Unknown"),
        compensation=caught(event, "compensation_error"),
        ledger=container.ledger(),
    )
    if applied:
        declined = recorded.status is Status.DECLINED
        count(Metric.PAYMENTS_DECLINED if declined else Metric.PAYMENTS_FAILED)
    return recorded.to_document()
