"""Payments that fail."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once, at_once_when_late, unbroken
from stacks.observability.metrics import ALL_REGIONS, failure_rate, unreadable_regions

FAILURE_RATE_ALARM = "failure-rate"
ALL_REGIONS_ALARM = "failure-rate-all-regions"

# A minute is summed up after it is over and its counts have arrived.
SUMS_LATE_BY = 2


def payment_alarms(site: Site) -> list[AlarmSpec]:
    """More than 0.1 % of the payments failed: in this region, and over all regions (PAY-12).

    The rate over all regions is the sum of failures over the sum of ends, so a small region's bad minute doesn't count
    as much as a large one's (docs/decisions/alarm-over-all-regions.md). Every region raises it for itself:
    whichever region is up tells.
    """
    settings = site.settings.alarms
    percent = settings.failure_rate_percent
    return [
        AlarmSpec(
            thing=FAILURE_RATE_ALARM,
            says=f"more than {percent:g} % of this region's payments failed for a reason that is not a decline. "
            "Start with the failed executions of the payment workflow.",
            what=failure_rate(site),
            label="Failed payments, %",
            above=percent,
            # No payments at all is not a failure of payments.
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
            vital=True,
        ),
        AlarmSpec(
            thing=ALL_REGIONS_ALARM,
            says=f"more than {percent:g} % of the payments of all regions together failed. "
            "The dashboard over all regions shows which region they failed in.",
            what=failure_rate(site, ALL_REGIONS),
            label="Failed payments of all regions, %",
            above=percent,
            missing=Missing.IS_GOOD,
            patience=at_once_when_late(settings, SUMS_LATE_BY),
            # Of a minute's value the highest counts (`metrics.payments`): that of several minutes would be no sum.
            period_s=60,
        ),
        AlarmSpec(
            thing="all-regions-unreadable",
            says="the sums over all regions lack a region or are not written, so the alarm over all regions is blind. "
            "The log of aggregate-outcomes names the regions it cannot read.",
            what=unreadable_regions(site),
            label="Regions not read",
            above=0,
            # Written every minute, traffic or not: nothing means that the function has stopped.
            missing=Missing.IS_BAD,
            patience=unbroken(settings),
        ),
    ]
