"""Change data capture: batches of the payments table's stream become payment events."""

from __future__ import annotations

from typing import Any

from functions.payments import aws
from functions.payments.events import EventBridgeBus
from functions.payments.settings import load
from functions.payments.telemetry import instrumented, logger
from functions.publish_changes.logic import publish
from functions.publish_changes.settings import EventSettings


@instrumented
def handler(event: dict[str, Any], context: Any) -> Any:
    settings = load(EventSettings)
    bus = EventBridgeBus(aws.client("events", settings.aws_region), settings.event_bus_name)
    errors = publish(event["Records"], region=settings.aws_region, bus=bus)
    failed = {number: error for number, error in errors.items() if error is not None}
    for number, error in failed.items():
        logger.warning("not published", sequence_number=number, error=type(error).__name__)
    # The records to come again (Lambda developer guide, "Configuring partial batch response").
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
