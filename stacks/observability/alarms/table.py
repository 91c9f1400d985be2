"""Tables: errors, throttles, and replication of payments that is late or silent."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, sustained, unbroken
from stacks.observability.metrics import table_errors, table_replication, table_silence, table_throttles


def table_alarms(site: Site) -> list[AlarmSpec]:
    """Of the region's tables, and of the replication of payments to every other region."""
    settings = site.settings.alarms
    return [
        AlarmSpec(
            thing="table-errors",
            says="DynamoDB answers requests to the payments table with errors of its own (HTTP 500).",
            what=table_errors(site),
            label="System errors",
            above=settings.table_errors_per_period,
            # AWS ignores missing data here whatever is said; FILL gives every period a value.
            missing=Missing.SAYS_NOTHING,
            patience=sustained(settings),
            vital=True,
        ),
        AlarmSpec(
            thing="table-throttles",
            says="DynamoDB throttles one of the region's tables: a hot key, or more growth than on-demand follows.",
            what=table_throttles(site),
            label="Throttled reads and writes",
            above=settings.table_throttles_per_period,
            missing=Missing.SAYS_NOTHING,
            patience=sustained(settings),
        ),
        *(alarm for receiving in site.other_regions for alarm in _replication(site, receiving)),
    ]


def _replication(site: Site, receiving: str) -> list[AlarmSpec]:
    settings = site.settings.alarms
    return [
        AlarmSpec(
            thing=f"table-lag-to-{receiving}",
            says=f"writes of the payments table take long to reach {receiving}: a failover would find old payments.",
            what=table_replication(site, receiving),
            label="Replication latency, ms",
            above=settings.table_replication_ms,
            # A latency comes with writes only: a quiet minute says nothing about the next one.
            missing=Missing.SAYS_NOTHING,
            patience=sustained(settings),
        ),
        AlarmSpec(
            thing=f"table-silent-to-{receiving}",
            says=f"payments are written here and none is seen to arrive in {receiving}: replication stands still. "
            "A standing replication publishes no latency, so its latency alarm can't tell.",
            what=table_silence(site, receiving),
            label="Writes without replication, 1 = yes",
            above=0,
            missing=Missing.SAYS_NOTHING,
            patience=unbroken(settings),
        ),
    ]
