"""What on-call sees of the static edge (OPT-03): errors of the distribution, assets that don't reach a region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.site import Site
from stacks.edge.assets.distribution import CLOUDFRONT_REGION
from stacks.edge.contract import AssetsOutputs
from stacks.observability.alarms.alarm import AlarmSpec, Missing, sustained
from stacks.observability.alarms.replication import replication_alarms
from stacks.observability.capabilities.readings import Readings
from stacks.observability.dashboards.widgets import COLOURS, Line, graph, heading
from stacks.observability.metrics import Metric, replication

# An alarm must be in its metric's region, where this environment has no stack.
UNWATCHED = f"## Assets (no alarm on errors: CloudFront's metrics are in {CLOUDFRONT_REGION} only)"


def distribution(read: Readings, name: str, stat: str) -> Metric:
    """A metric of the distribution; CloudFront publishes them in us-east-1 only."""
    dimensions = {"DistributionId": read[AssetsOutputs].distribution_id, "Region": "Global"}
    return Metric("AWS/CloudFront", name, stat, dimensions)


def assets_alarms(site: Site, read: Readings) -> list[AlarmSpec]:
    """Errors that the distribution answers, where its metrics are; replication from and to this region."""
    settings = site.settings.assets
    errors = AlarmSpec(
        thing="assets-errors",
        says="the distribution answers 5xx although it asks a second region's bucket: look at both buckets, at their "
        "policies and keys, and at the distribution's access logs.",
        what=distribution(read, "5xxErrorRate", "Average"),
        label="Requests answered 5xx, %",
        above=settings.error_percent,
        # Nobody asked for anything.
        missing=Missing.IS_GOOD,
        patience=sustained(site.settings.alarms),
    )
    return [
        *([errors] if site.region == CLOUDFRONT_REGION else []),
        *replication_alarms(site, thing="assets", late_s=settings.replication_s),
    ]


def assets_widgets(site: Site, read: Readings) -> list[Mapping[str, Any]]:
    """The distribution, the same in every region's dashboard, and the replication to this region."""
    settings = site.settings.assets
    watched = CLOUDFRONT_REGION in site.environment.regions

    def lines(**named: Metric) -> list[Line]:
        return [
            Line(label, what, CLOUDFRONT_REGION, COLOURS[number]) for number, (label, what) in enumerate(named.items())
        ]

    return [
        heading("## Assets" if watched else UNWATCHED),
        graph(
            "Errors of the distribution",
            "% of requests",
            lines(
                **{
                    "5xx": distribution(read, "5xxErrorRate", "Average"),
                    "4xx": distribution(read, "4xxErrorRate", "Average"),
                }
            ),
            limit=settings.error_percent if watched else None,
        ),
        graph(
            "Requests to the distribution",
            "per minute",
            lines(requests=distribution(read, "Requests", "Sum")),
        ),
        graph(
            "Replication of assets to here",
            "s",
            [
                Line(
                    f"from {region}",
                    replication(site.at(region), site, "assets", "ReplicationLatency", "Maximum"),
                    site.region,
                    COLOURS[number],
                )
                for number, region in enumerate(site.other_regions)
            ],
            limit=settings.replication_s,
        ),
    ]
