"""Each minute: the payment metrics of all regions as one, for the alarm over all regions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from functions.aggregate_outcomes.logic import SERVICE, UNREADABLE, CloudWatchOutcomes, minute_before, sum_up
from functions.aggregate_outcomes.settings import AggregateSettings
from functions.payments import aws
from functions.payments.settings import load
from functions.payments.telemetry import instrumented, write_sums


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    settings = load(AggregateSettings)
    time = event.get("time")  # of the schedule: a delivery that comes late or again means the same minute
    minute = minute_before(datetime.fromisoformat(time) if time else datetime.now(UTC))
    namespace = settings.powertools_metrics_namespace
    sources = {region: CloudWatchOutcomes(aws.client("cloudwatch", region), namespace) for region in settings.regions}
    sums, unreadable = sum_up(sources, minute)
    write_sums(SERVICE, {**sums, UNREADABLE: len(unreadable)}, at=minute)
    return {"minute": minute.isoformat(), "sums": sums, "unreadable": unreadable}
