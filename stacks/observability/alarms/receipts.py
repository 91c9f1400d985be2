"""Receipts that don't reach the other regions' buckets."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once, sustained
from stacks.observability.metrics import receipts_replication


def receipt_alarms(site: Site) -> list[AlarmSpec]:
    """Failures of the replication from here, delays of the replication to here.

    Each stands in the region in which S3 publishes its metric, so no alarm depends on another region's CloudWatch.
    Between them, the regions watch every direction.
    """
    settings = site.settings.alarms
    others = [site.at(region) for region in site.other_regions]
    failures = [
        AlarmSpec(
            thing=f"receipts-failed-to-{other.region}",
            says=f"receipts could not be replicated to {other.region}. S3 does not try again by itself: find them by "
            "their replication status FAILED, mend the cause and replicate them with S3 Batch Replication.",
            what=receipts_replication(site, other, "OperationsFailedReplication", "Sum"),
            label="Receipts not replicated",
            above=0,
            # Nothing to replicate, nothing failed.
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
        )
        for other in others
    ]
    delays = [
        AlarmSpec(
            thing=f"receipts-lag-from-{other.region}",
            says=f"the receipts here are behind those of {other.region}.",
            what=receipts_replication(other, site, "ReplicationLatency", "Maximum"),
            label="Replication latency, s",
            above=settings.receipts_replication_s,
            # S3 publishes it while there is something to replicate.
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        )
        for other in others
    ]
    return [*failures, *delays]
