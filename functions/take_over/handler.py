"""A rule of this region's event bus: payments that are handed over to this region."""

from __future__ import annotations

from typing import Any

from functions.payments import container
from functions.payments.telemetry import about, instrumented, logger
from functions.take_over.logic import HandOver, take_over


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    handed_over = HandOver.from_event(event, region=container.region())
    payment, taken = take_over(handed_over, ledger=container.ledger(), workflow=container.workflow())
    about(payment)
    logger.info("taken over" if taken else "taken over before", origin_region=handed_over.origin_region)
    return {"payment_id": payment.payment_id, "taken_over": taken}
