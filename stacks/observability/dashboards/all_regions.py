"""The dashboard over all regions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shared.site import Site
from stacks.observability import metrics
from stacks.observability.dashboards.widgets import Line, body, colours, graph, heading
from stacks.observability.metrics import Formula, Metric


def all_regions(site: Site) -> dict[str, Any]:
    """The body of the dashboard over all regions (PAY-09).

    Every region has one and each shows all regions, so whichever is up has the whole picture. It needs nothing of the
    other regions' stacks: things have the same names everywhere.
    """
    sites = [site.at(region) for region in site.environment.regions]
    colour = colours(site.environment.regions)
    alarms = site.settings.alarms

    def each(what: Callable[[Site], Metric | Formula]) -> list[Line]:
        return [Line(at.region, what(at), at.region, colour[at.region]) for at in sites]

    def directions(what: Callable[[Site, Site], Metric], published: Callable[[Site, Site], Site]) -> list[Line]:
        return [
            Line(f"{source.region} → {to.region}", what(source, to), published(source, to).region)
            for source in sites
            for to in sites
            if source.region != to.region
        ]

    everywhere = Line("all regions", metrics.failure_rate(site, metrics.ALL_REGIONS), site.region, "#6b7280")
    ends = [(name.removeprefix("Payments").lower(), name) for name in metrics.FINAL.values()]
    return body(
        [
            heading(f"# Payments of all regions · {site.environment.environment} · seen from {site.region}"),
            graph("Payments received", "per minute", each(lambda at: metrics.payments(at, metrics.RECEIVED))),
            graph(
                "Failed payments",
                "% of all that ended",
                [*each(metrics.failure_rate), everywhere],
                limit=alarms.failure_rate_percent,
            ),
            graph(
                "How payments ended, all regions",
                "per minute",
                [Line(label, metrics.payments(site, name, metrics.ALL_REGIONS), site.region) for label, name in ends],
                stacked=True,
            ),
            heading("## How long it takes"),
            *(
                graph(
                    f"API latency, {stat}",
                    "ms",
                    each(lambda at, stat=stat: metrics.api(at, "Latency", stat)),  # type: ignore[misc]
                    limit=alarms.api_latency_p99_ms if stat == "p99" else None,
                )
                for stat in ("p50", "p99")
            ),
            *(
                graph(
                    f"Duration of the workflow, {stat}",
                    "ms",
                    each(lambda at, stat=stat: metrics.workflow(at, "ExecutionTime", stat)),  # type: ignore[misc]
                )
                for stat in ("p50", "p90", "p99")
            ),
            graph("Requests to the API", "per minute", each(lambda at: metrics.api(at, "Count", "Sum"))),
            heading("## Between the regions"),
            graph(
                "Payments handed over to the next region",
                "per minute",
                each(lambda at: metrics.payments(at, metrics.HANDED_OVER)),
            ),
            graph(
                "Replication of the payments table",
                "ms",
                directions(lambda source, to: metrics.table_replication(source, to.region), lambda source, to: source),
                limit=alarms.table_replication_ms,
            ),
            graph(
                "Replication of receipts: delay",
                "s",
                directions(
                    lambda source, to: metrics.receipts_replication(source, to, "ReplicationLatency", "Maximum"),
                    lambda source, to: to,
                ),
                limit=alarms.receipts_replication_s,
            ),
            graph(
                "Replication of receipts: failed",
                "per minute",
                directions(
                    lambda source, to: metrics.receipts_replication(source, to, "OperationsFailedReplication", "Sum"),
                    lambda source, to: source,
                ),
            ),
            graph(
                "Receipts that wait",
                "operations",
                directions(
                    lambda source, to: metrics.receipts_replication(
                        source, to, "OperationsPendingReplication", "Maximum"
                    ),
                    lambda source, to: to,
                ),
            ),
            graph(
                "Receipts that wait, size",
                "bytes",
                directions(
                    lambda source, to: metrics.receipts_replication(source, to, "BytesPendingReplication", "Maximum"),
                    lambda source, to: to,
                ),
            ),
            heading("## What goes wrong"),
            graph(
                "Messages in dead-letter queues",
                "messages",
                each(
                    lambda at: metrics.total(
                        [metrics.queue_depth(at, thing) for thing in metrics.dead_letter_queues(at)]
                    )
                ),
            ),
            graph("Throttled: functions", "per minute", each(lambda at: metrics.every_function(at, "Throttles"))),
            graph("Throttled: tables", "per minute", each(metrics.table_throttles)),
            graph("Errors of functions", "per minute", each(lambda at: metrics.every_function(at, "Errors"))),
            graph("5XX of the API", "% of requests", each(metrics.server_error_rate), limit=alarms.api_5xx_percent),
            graph("Age of the stream", "ms", each(metrics.stream_age), limit=alarms.stream_age_ms),
            heading("## What it costs"),
            graph("Lambda", "GB-seconds per minute", each(metrics.gigabyte_seconds)),
            graph("Step Functions", "billed per minute", each(metrics.workflow_cost)),
            graph("API requests and events", "per minute", each(metrics.requests_and_events)),
            graph(
                "DynamoDB: written",
                "units per minute",
                each(lambda at: metrics.table(at, "ConsumedWriteCapacityUnits", "Sum")),
            ),
            graph(
                "DynamoDB: read",
                "units per minute",
                each(lambda at: metrics.table(at, "ConsumedReadCapacityUnits", "Sum")),
            ),
            graph("Sent to other regions, at most", "KB per minute", each(metrics.cross_region_kilobytes)),
        ],
        site.region,
    )
