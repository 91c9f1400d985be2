"""Log lines become metrics: the embedded metric format, and metric filters.

Upstream: neither makes a metric; filters are stored only.

AWS: "Specification: Embedded metric format" (CloudWatch User Guide) for every log event of every
group; "Creating metrics from log events using filters" and "Filter pattern syntax" (CloudWatch
Logs User Guide).

Patched: `_fanout_to_subscription_filters`, which upstream calls with every batch of new log
events. Of the filter patterns, JSON patterns (comparisons joined by && and ||, parentheses,
wildcards, IS NULL, IS TRUE, EXISTS) and plain terms are understood; space-delimited patterns and
regular expressions are not.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping
from typing import Any

from rollout.sandbox.emulator import module
from rollout.sandbox.log_patterns import field, matcher

_EVERY_FIELD = 100


def apply() -> None:
    logs, cloudwatch = module("services.cloudwatch_logs"), module("services.cloudwatch")
    forward = logs._fanout_to_subscription_filters

    @functools.wraps(forward)
    def forward_and_measure(group: str, stream: str, events: list[Any]) -> None:
        forward(group, stream, events)
        filters = [found for key, found in logs._metric_filters.items() if key[0] == group]
        for event in events:
            message, at = str(event.get("message", "")), float(event.get("timestamp") or 0) / 1000.0
            document = parse(message)
            for name, namespace, value, unit, dimensions, when in embedded_metrics(document):
                _store(cloudwatch, namespace, name, value=value, unit=unit, dimensions=dimensions, at=when or at)
            for found in filters:
                _count(cloudwatch, found, message, document, at)
        if events:
            cloudwatch._evaluate_all_alarms()

    logs._fanout_to_subscription_filters = forward_and_measure


def parse(message: str) -> dict[str, Any]:
    """The JSON object of a log line; {} when it is something else."""
    if not message.lstrip().startswith("{"):
        return {}
    try:
        document = json.loads(message)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def embedded_metrics(
    document: Mapping[str, Any],
) -> Iterable[tuple[str, str, Any, str, dict[str, str], float | None]]:
    """(name, namespace, value or values, unit, dimensions, epoch seconds) of each embedded metric."""
    metadata = document.get("_aws")
    if not isinstance(metadata, dict):
        return
    stamp = metadata.get("Timestamp")
    at = float(stamp) / 1000.0 if isinstance(stamp, (int, float)) else None
    for directive in metadata.get("CloudWatchMetrics") or []:
        for metric in (directive.get("Metrics") or [])[:_EVERY_FIELD]:
            value = document.get(metric.get("Name"))
            if not isinstance(value, (int, float, list)) or isinstance(value, bool):
                continue
            # Without any dimension set the metric is published without dimensions.
            for names in directive.get("Dimensions") or [[]]:
                dimensions = {name: str(document[name]) for name in names if name in document}
                unit = metric.get("Unit") or "None"
                yield metric["Name"], directive.get("Namespace", ""), value, unit, dimensions, at


def _count(cloudwatch: Any, metric_filter: Any, message: str, document: dict[str, Any], at: float) -> None:
    matches = matcher(metric_filter["filterPattern"])(message, document)
    for made in metric_filter["metricTransformations"]:
        value: Any = made.get("metricValue", "1") if matches else made.get("defaultValue")
        if isinstance(value, str) and value.startswith("$"):
            value = field(document, value)
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        dimensions = {
            name: str(field(document, selector)) for name, selector in (made.get("dimensions") or {}).items() if matches
        }
        if "None" in dimensions.values():
            continue  # a log event without the dimension's field makes no data point
        namespace, name, unit = made["metricNamespace"], made["metricName"], made.get("unit") or "None"
        _store(cloudwatch, namespace, name, value=number, unit=unit, dimensions=dimensions, at=at)


def _store(
    cloudwatch: Any, namespace: str, name: str, *, value: Any, unit: str, dimensions: dict[str, str], at: float
) -> None:
    many = value if isinstance(value, list) else None
    single = None if many is not None else value
    cloudwatch._store_datum(namespace, name, dimensions, at, unit, single, many, None, None)
