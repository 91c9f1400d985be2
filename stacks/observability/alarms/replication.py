"""Objects of a replicated bucket that don't reach the other regions."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once, sustained
from stacks.observability.metrics import replication


def replication_alarms(site: Site, *, thing: str, late_s: int) -> list[AlarmSpec]:
    """Failures of the replication from here, delays of the replication to here.

    Each stands in the region in which S3 publishes its metric, so no alarm depends on another region's CloudWatch.
    Between them, the regions watch every direction.

    Parameters
    ----------
    thing
        What the bucket is named after and what is in it, a plural such as ``receipts``.
    late_s
        How far behind another region they may be.
    """
    settings = site.settings.alarms
    others = [site.at(region) for region in site.other_regions]
    failures = [
        AlarmSpec(
            thing=f"{thing}-failed-to-{other.region}",
            says=f"{thing} could not be replicated to {other.region}. S3 does not try again by itself: find them by "
            "their replication status FAILED, mend the cause and replicate them with S3 Batch Replication.",
            what=replication(site, other, thing, "OperationsFailedReplication", "Sum"),
            label=f"{thing.capitalize()} not replicated",
            above=0,
            # Nothing to replicate, nothing failed.
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
        )
        for other in others
    ]
    delays = [
        AlarmSpec(
            thing=f"{thing}-lag-from-{other.region}",
            says=f"the {thing} here are behind those of {other.region}.",
            what=replication(other, site, thing, "ReplicationLatency", "Maximum"),
            label="Replication latency, s",
            above=late_s,
            # S3 publishes it while there is something to replicate.
            missing=Missing.IS_GOOD,
            patience=sustained(settings),
        )
        for other in others
    ]
    return [*failures, *delays]
