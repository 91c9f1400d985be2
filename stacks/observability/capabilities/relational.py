"""The relational store of a region (OPT-01, OPT-08): load, capacity, and how far it is behind the writer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.site import Site
from stacks.data.contract import RELATIONAL_STORE
from stacks.observability.alarms.alarm import AlarmSpec, Missing, sustained
from stacks.observability.dashboards.widgets import COLOURS, Line, graph, heading
from stacks.observability.metrics import Formula, Metric, highest

RDS = "AWS/RDS"
# What an alarm's expression takes (CloudWatch User Guide, "CloudWatch service quotas").
MAX_METRICS = 10


def cluster(site: Site, name: str, stat: str = "Maximum") -> Metric:
    """A metric of the region's cluster; the maximum is that of its busiest instance."""
    return Metric(RDS, name, stat, {"DBClusterIdentifier": site.name(RELATIONAL_STORE)})


def replication_lag(site: Site) -> Metric | Formula:
    """How far the region's cluster is behind the writer, in ms; nothing in the region that writes.

    Aurora has it per cluster, and per region that it comes from; which one writes may change.
    """
    name = "AuroraGlobalDBReplicationLag"
    sources = [Metric(RDS, name, "Maximum", {"SourceRegion": region}) for region in site.other_regions]
    return highest([cluster(site, name), *sources][:MAX_METRICS])


def relational_alarms(site: Site, _read: object) -> list[AlarmSpec]:
    """Of the region's cluster. None is a reason to leave the region: payments do not need it."""
    settings, patience = site.settings.relational, sustained(site.settings.alarms)
    return [
        AlarmSpec(
            thing="relational-cpu",
            says="an instance of the relational store works at its limit. Performance Insights tells which queries.",
            what=cluster(site, "CPUUtilization"),
            label="CPU, %",
            above=settings.cpu_percent,
            missing=Missing.IS_GOOD,
            patience=patience,
        ),
        AlarmSpec(
            thing="relational-connections",
            says="an instance of the relational store has more connections than anybody expects: a client that does "
            "not give them back.",
            what=cluster(site, "DatabaseConnections"),
            label="Connections",
            above=settings.connections,
            missing=Missing.IS_GOOD,
            patience=patience,
        ),
        AlarmSpec(
            thing="relational-capacity",
            says="the relational store has scaled as high as it may: raise relational.max_acu, or find the load.",
            what=cluster(site, "ACUUtilization"),
            label="Capacity in use, % of the maximum",
            above=settings.capacity_percent,
            missing=Missing.IS_GOOD,
            patience=patience,
        ),
        AlarmSpec(
            thing="relational-lag",
            says="the region's cluster is behind the writer: a failover to here would lose that much.",
            what=replication_lag(site),
            label="Replication lag, ms",
            above=settings.replication_lag_ms,
            # Only clusters that do not write have it.
            missing=Missing.IS_GOOD,
            patience=patience,
        ),
    ]


def relational_widgets(site: Site, _read: object) -> list[Mapping[str, Any]]:
    """What the alarms watch, and the capacity itself."""
    settings = site.settings.relational

    def lines(*labelled: tuple[str, Metric | Formula]) -> list[Line]:
        return [Line(label, what, site.region, COLOURS[number]) for number, (label, what) in enumerate(labelled)]

    return [
        heading("## Relational store"),
        graph("CPU", "%", lines(("busiest instance", cluster(site, "CPUUtilization"))), limit=settings.cpu_percent),
        graph(
            "Connections",
            "of the busiest instance",
            lines(("connections", cluster(site, "DatabaseConnections"))),
            limit=settings.connections,
        ),
        graph(
            "Capacity",
            "ACU",
            lines(
                ("busiest instance", cluster(site, "ServerlessDatabaseCapacity")),
                ("average", cluster(site, "ServerlessDatabaseCapacity", "Average")),
            ),
            limit=settings.max_acu * settings.capacity_percent / 100,
        ),
        graph("Behind the writer", "ms", lines(("lag", replication_lag(site))), limit=settings.replication_lag_ms),
    ]
