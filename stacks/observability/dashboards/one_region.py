"""The dashboard of one region in detail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from functions.catalogue import FUNCTIONS
from shared.site import Site
from stacks.observability import metrics
from stacks.observability.capabilities import capability_widgets
from stacks.observability.capabilities.readings import NOTHING_READ, Readings
from stacks.observability.dashboards.widgets import COLOURS, Line, alarm_states, body, graph, heading
from stacks.observability.metrics import Formula, Metric


def one_region(
    site: Site, alarm_arns: Sequence[str], health_check_id: str, read: Readings = NOTHING_READ
) -> dict[str, Any]:
    """The body of a region's dashboard: its alarms, its API, workflow, functions and table (PAY-09)."""
    alarms = site.settings.alarms
    percentiles = ("p50", "p90", "p99")

    def lines(*labelled: tuple[str, Metric | Formula]) -> list[Line]:
        return [
            Line(label, what, site.region, COLOURS[number % len(COLOURS)])
            for number, (label, what) in enumerate(labelled)
        ]

    def functions(name: str, stat: str) -> list[Line]:
        return lines(*((spec.name, metrics.function(site, spec.name, name, stat)) for spec in FUNCTIONS))

    def executions(*names: str) -> list[Line]:
        return lines(
            *(
                (name.removeprefix("Executions").removeprefix("Execution"), metrics.workflow(site, name, "Sum"))
                for name in names
            )
        )

    ends = {"received": metrics.RECEIVED, **metrics.FINAL}
    return body(
        [
            heading(f"# Payments in {site.region} · {site.environment.environment}"),
            alarm_states("Alarms", alarm_arns),
            heading("## Payments and their API"),
            graph("Payments", "per minute", lines(*((id, metrics.payments(site, name)) for id, name in ends.items()))),
            graph(
                "Failed payments",
                "% of all that ended",
                lines(("failed", metrics.failure_rate(site))),
                limit=alarms.failure_rate_percent,
            ),
            graph(
                "API latency",
                "ms",
                lines(*((stat, metrics.api(site, "Latency", stat)) for stat in percentiles)),
                limit=alarms.api_latency_p99_ms,
            ),
            graph(
                "API requests",
                "per minute",
                lines(
                    ("all", metrics.api(site, "Count", "Sum")),
                    ("4XX", metrics.api(site, "4XXError", "Sum")),
                    ("5XX", metrics.api(site, "5XXError", "Sum")),
                ),
            ),
            graph(
                "Health check: can DNS lead here?",
                "1 = yes",
                [Line("healthy", metrics.health(health_check_id), metrics.HEALTH_REGION, COLOURS[1])],
            ),
            graph(
                "Handed over to another region",
                "per minute",
                lines(("handed over", metrics.payments(site, metrics.HANDED_OVER))),
            ),
            graph(
                "Left open, and taken up by the sweeper",
                "per minute",
                lines(
                    ("started anew", metrics.swept(site, "PaymentsResumed", "Sum")),
                    ("taken over, event lost", metrics.swept(site, "PaymentsTakenOverLostEvent", "Sum")),
                    ("taken over, region down", metrics.swept(site, "PaymentsTakenOverRegionDown", "Sum")),
                    ("stuck", metrics.swept(site, "PaymentsStuck", "Maximum")),
                ),
            ),
            graph(
                "Oldest open payment",
                "s",
                lines(("oldest", metrics.swept(site, "OldestOpenPayment", "Maximum"))),
                limit=alarms.open_payment_s,
            ),
            graph("Duration of a sweep", "ms", lines(("longest", metrics.swept(site, "SweepDuration", "Maximum")))),
            heading("## Workflow"),
            graph(
                "Executions of the workflow",
                "per minute",
                executions(
                    "ExecutionsStarted",
                    "ExecutionsSucceeded",
                    "ExecutionsFailed",
                    "ExecutionsTimedOut",
                    "ExecutionsAborted",
                    "ExecutionThrottled",
                ),
            ),
            graph(
                "Duration of the workflow",
                "ms",
                lines(*((stat, metrics.workflow(site, "ExecutionTime", stat)) for stat in percentiles)),
            ),
            graph("Step Functions", "billed per minute", lines(("billed", metrics.workflow_cost(site)))),
            heading("## Functions"),
            graph("Duration, p50", "ms", functions("Duration", "p50")),
            graph("Duration, p99", "ms", functions("Duration", "p99"), limit=alarms.function_duration_p99_ms),
            graph("Invocations", "per minute", functions("Invocations", "Sum")),
            graph("Errors", "per minute", functions("Errors", "Sum")),
            graph("Throttled", "per minute", functions("Throttles", "Sum")),
            graph("At the same time", "invocations", functions("ConcurrentExecutions", "Maximum")),
            heading("## Table, stream and receipts"),
            graph(
                "Latency of the payments table",
                "ms",
                lines(
                    *(
                        (name, metrics.table(site, "SuccessfulRequestLatency", "p99", Operation=name))
                        for name in metrics.table_operations()
                    )
                ),
            ),
            graph(
                "Units of the payments table",
                "per minute",
                lines(
                    ("read", metrics.table(site, "ConsumedReadCapacityUnits", "Sum")),
                    ("written", metrics.table(site, "ConsumedWriteCapacityUnits", "Sum")),
                    ("throttled, all tables", metrics.table_throttles(site)),
                    ("system errors", metrics.table_errors(site)),
                ),
            ),
            graph(
                "Age of the stream",
                "ms",
                lines(("newest change", metrics.stream_age(site))),
                limit=alarms.stream_age_ms,
            ),
            graph(
                "Replication of the table from here",
                "ms",
                lines(*((f"to {region}", metrics.table_replication(site, region)) for region in site.other_regions)),
                limit=alarms.table_replication_ms,
            ),
            graph(
                "Replication of receipts to here",
                "s",
                lines(
                    *(
                        (
                            f"from {region}",
                            metrics.receipts_replication(site.at(region), site, "ReplicationLatency", "Maximum"),
                        )
                        for region in site.other_regions
                    )
                ),
                limit=alarms.receipts_replication_s,
            ),
            graph(
                "Queues",
                "messages",
                lines(
                    *(
                        (thing, metrics.queue_depth(site, thing))
                        for thing in (*metrics.dead_letter_queues(site), metrics.ALERTS_QUEUE)
                    )
                ),
            ),
            *capability_widgets(site, read),
        ],
        site.region,
    )
