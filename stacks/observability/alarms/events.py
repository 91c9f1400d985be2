"""Payment events that no rule of the bus could deliver."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once
from stacks.observability.metrics import bus_rules, lost_events

HANDED_OVER = "payments that were handed over wait"
MEANS = {"journal": "final states are missing from the record of what was published"}


def event_alarms(site: Site) -> list[AlarmSpec]:
    """One per rule: routes to the other regions, arrivals from them (PAY-05), and the journal of final states."""
    settings = site.settings.alarms
    return [
        AlarmSpec(
            thing=f"{does}-failed",
            says=f"the bus's rule {rule} could not deliver events: {MEANS.get(does, HANDED_OVER)}. "
            "The events are in the dead-letter queue unless that failed as well.",
            what=lost_events(site, rule),
            label="Events not delivered",
            above=0,
            # EventBridge publishes these only when they aren't zero.
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
        )
        for does, rule in bus_rules(site).items()
    ]
