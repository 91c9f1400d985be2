"""The step of the payment workflow that leaves a payment to the next region."""

from __future__ import annotations

from typing import Any

from functions.hand_over.logic import hand_over
from functions.payments import clock, container
from functions.payments.failover import to_avoid
from functions.payments.model import Payment
from functions.payments.settings import FailoverSettings, load
from functions.payments.telemetry import Metric, about, count, instrumented, logger


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    payment = about(Payment.from_document(event))
    order = load(FailoverSettings).regions
    standings = container.region_items().standings(order, at=clock.now())
    handed_over = hand_over(payment, order=order, ledger=container.ledger(), avoid=to_avoid(standings))
    logger.info("handed over", next_region=handed_over.next_region, regions_tried=handed_over.regions_tried)
    count(Metric.PAYMENTS_HANDED_OVER)
    return handed_over.to_document()
