"""Change data capture: batches of the payments table's stream become payment events."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from functions.payments import aws
from functions.payments.events import EventBridgeBus
from functions.payments.settings import EventSettings, load
from functions.payments.telemetry import instrumented, logger
from functions.publish_changes.logic import publish


@instrumented
def handler(event: dict[str, Any], context: Any) -> Any:
    settings = load(EventSettings)
    bus = EventBridgeBus(aws.client("events", settings.aws_region), settings.event_bus_name)
    errors = publish(event["Records"], region=settings.aws_region, bus=bus)

    def tell(record: DynamoDBRecord) -> None:
        number = record.raw_event["dynamodb"]["SequenceNumber"]
        error = errors[number]
        if error is not None:
            logger.warning("not published", sequence_number=number, error=type(error).__name__)
            raise error

    return process_partial_response(
        event=event,
        record_handler=tell,
        processor=BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False),
        context=context,
    )
