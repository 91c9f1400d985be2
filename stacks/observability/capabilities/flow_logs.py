"""Whether the flow logs' files arrive (OPT-05)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, sustained
from stacks.observability.capabilities.activity import WHOLE_BUCKET
from stacks.observability.dashboards.widgets import COLOURS, Line, graph, heading
from stacks.observability.metrics import Metric

FILES = "flow-logs"


def requests(site: Site, name: str) -> Metric:
    """Requests to the bucket of the region's flow logs."""
    return Metric("AWS/S3", name, "Sum", {"BucketName": site.bucket_name(FILES), "FilterId": WHOLE_BUCKET})


def flow_log_alarms(site: Site, _read: object) -> list[AlarmSpec]:
    """Deliveries that S3 refuses: the one way in which files get lost that a metric shows. Silence is no sign: a VPC
    without traffic writes no files."""
    return [
        AlarmSpec(
            thing="flow-log-files-refused",
            says="the bucket of the flow logs refuses requests. If they are deliveries, traffic goes unrecorded: look "
            "at the policies of the bucket and its key, and at the flow log's delivery status.",
            what=requests(site, "4xxErrors"),
            label="Requests refused",
            above=site.settings.flow_logs.refused_per_period,
            missing=Missing.IS_GOOD,
            patience=sustained(site.settings.alarms),
        )
    ]


def flow_log_widgets(site: Site, _read: object) -> list[Mapping[str, Any]]:
    """Files, their size, and what was refused."""

    def line(label: str, name: str, number: int) -> Line:
        return Line(label, requests(site, name), site.region, COLOURS[number])

    return [
        heading("## Flow logs"),
        graph(
            "Files of the flow logs",
            "requests per minute",
            [line("written", "PutRequests", 0), line("refused", "4xxErrors", 4)],
            limit=site.settings.flow_logs.refused_per_period,
        ),
        graph("Size of the flow logs", "bytes per minute", [line("written", "BytesUploaded", 0)]),
    ]
