"""Step 5 of the payment workflow."""

from __future__ import annotations

from typing import Any

from functions.complete.logic import complete
from functions.payments import container
from functions.payments.model import Payment
from functions.payments.telemetry import Metric, about, count, instrumented


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    settled, applied = complete(payment, ledger=container.ledger())
    if applied:
        count(Metric.PAYMENTS_SETTLED)
    return settled.to_document()
