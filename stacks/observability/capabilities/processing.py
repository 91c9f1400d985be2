"""Object processing (OPT-06): its functions, and what became of uploads. Its dead-letter queue is watched like any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from functions.catalogue import CAPABILITY_FUNCTIONS, UPLOAD_METRICS
from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec
from stacks.observability.alarms.functions import group_alarms
from stacks.observability.dashboards.widgets import COLOURS, Line, graph, heading
from stacks.observability.metrics import function, payments

FUNCTIONS = tuple(spec.name for spec in CAPABILITY_FUNCTIONS if spec.capability == "processing")


def processing_alarms(site: Site, _read: object) -> list[AlarmSpec]:
    """Errors, throttles and duration of each function."""
    return [spec for name in FUNCTIONS for spec in group_alarms(site, name.replace("_", "-"), (name,))]


def processing_widgets(site: Site, _read: object) -> list[Mapping[str, Any]]:
    """Uploads by what became of them, and the functions."""
    alarms = site.settings.alarms

    def functions(metric: str, stat: str) -> list[Line]:
        return [
            Line(name, function(site, name, metric, stat), site.region, COLOURS[number])
            for number, name in enumerate(FUNCTIONS)
        ]

    uploads = [
        Line(name.removeprefix("Uploads").lower(), payments(site, name), site.region, COLOURS[number])
        for number, name in enumerate(UPLOAD_METRICS)
    ]
    return [
        heading("## Uploads"),
        graph("Uploads", "per minute", uploads),
        graph(
            "Duration of their functions, p99",
            "ms",
            functions("Duration", "p99"),
            limit=alarms.function_duration_p99_ms,
        ),
        graph("Errors of their functions", "per minute", functions("Errors", "Sum")),
    ]
