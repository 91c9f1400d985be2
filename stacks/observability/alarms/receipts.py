"""Receipts that don't reach the other regions' buckets."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec
from stacks.observability.alarms.replication import replication_alarms


def receipt_alarms(site: Site) -> list[AlarmSpec]:
    """Failures and delays of their replication."""
    return replication_alarms(site, thing="receipts", late_s=site.settings.alarms.receipts_replication_s)
