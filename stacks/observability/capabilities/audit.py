"""What the audit trail tells on-call at once (OPT-04); everything else waits for a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once_when_late
from stacks.observability.audit.suspicions import SUSPICIONS, counted
from stacks.observability.dashboards.widgets import COLOURS, Line, graph, heading

# "CloudTrail typically delivers events within an average of about 5 minutes of an API call" (CloudTrail User Guide,
# "How CloudTrail works"): three times that.
LATE_S = 900


def audit_alarms(site: Site, _read: object) -> list[AlarmSpec]:
    """One per suspicion, over all regions, in the region that has the trail; none where its events are not counted."""
    if not _counted_here(site):
        return []
    settings, alarms = site.settings.audit, site.settings.alarms
    return [
        AlarmSpec(
            thing=suspicion.thing,
            says=suspicion.says,
            what=counted(site, suspicion),
            label="Events",
            above=suspicion.threshold(settings),
            missing=Missing.IS_GOOD,
            patience=at_once_when_late(alarms, LATE_S // alarms.period_s),
        )
        for suspicion in SUSPICIONS
    ]


def audit_widgets(site: Site, _read: object) -> list[Mapping[str, Any]]:
    """The suspicions of all regions, where they are counted."""
    if not _counted_here(site):
        return []
    lines = [
        Line(suspicion.metric, counted(site, suspicion), site.region, COLOURS[number])
        for number, suspicion in enumerate(SUSPICIONS)
    ]
    return [heading("## Audit trail of all regions"), graph("Suspicious events", "per minute", lines)]


def _counted_here(site: Site) -> bool:
    return site.is_primary and site.settings.audit.cloudwatch
