"""Unusual activity of a region's stores (OPT-08): more reads, writes or requests than anybody expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, sustained
from stacks.observability.dashboards.widgets import COLOURS, Line, graph, heading
from stacks.observability.metrics import Metric, highest, table, tables

# The id of the receipts bucket's metrics configuration without a filter.
WHOLE_BUCKET = "EntireBucket"
READ, WRITTEN = "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"


def requests(site: Site, name: str = "AllRequests") -> Metric:
    """Requests to the region's receipts bucket."""
    return Metric("AWS/S3", name, "Sum", {"BucketName": site.bucket_name("receipts"), "FilterId": WHOLE_BUCKET})


def activity_alarms(site: Site, _read: object) -> list[AlarmSpec]:
    """Of the busiest table, by reads and by writes, and of the receipts bucket."""
    settings, alarms = site.settings.activity, site.settings.alarms
    return [
        *(
            AlarmSpec(
                thing=f"table-{what}-activity",
                says=f"one of the region's tables is {what} far more than usual: a client that loops, or somebody who "
                "should not be there. The dashboard tells which table.",
                what=highest([table(site, metric, "Sum", thing) for thing in tables(site)]),
                label=f"Units {what} of the busiest table",
                above=above,
                missing=Missing.SAYS_NOTHING,
                patience=sustained(alarms),
            )
            for what, metric, above in (
                ("read", READ, settings.table_reads_per_period),
                ("written", WRITTEN, settings.table_writes_per_period),
            )
        ),
        AlarmSpec(
            thing="receipts-activity",
            says="the receipts bucket gets far more requests than usual. Its access log says whose.",
            what=requests(site),
            label="Requests",
            above=settings.bucket_requests_per_period,
            missing=Missing.IS_GOOD,
            patience=sustained(alarms),
        ),
    ]


def activity_widgets(site: Site, _read: object) -> list[Mapping[str, Any]]:
    """Units of each table, requests of the bucket."""
    settings = site.settings.activity

    def each_table(metric: str) -> list[Line]:
        return [
            Line(thing, table(site, metric, "Sum", thing), site.region, COLOURS[number])
            for number, thing in enumerate(tables(site))
        ]

    kinds = {"all": "AllRequests", "GET": "GetRequests", "PUT": "PutRequests", "refused": "4xxErrors"}
    return [
        heading("## Activity of the stores"),
        graph("Units read, by table", "per minute", each_table(READ), limit=settings.table_reads_per_period),
        graph("Units written, by table", "per minute", each_table(WRITTEN), limit=settings.table_writes_per_period),
        graph(
            "Requests to the receipts bucket",
            "per minute",
            [
                Line(label, requests(site, name), site.region, COLOURS[number])
                for number, (label, name) in enumerate(kinds.items())
            ],
            limit=settings.bucket_requests_per_period,
        ),
    ]
