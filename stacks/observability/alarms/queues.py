"""Dead-letter queues that aren't empty."""

from __future__ import annotations

from shared.site import Site
from stacks.observability.alarms.alarm import AlarmSpec, Missing, at_once
from stacks.observability.metrics import dead_letter_queues, queue_depth


def queue_alarms(site: Site) -> list[AlarmSpec]:
    """One per dead-letter queue. Every message in one is work that somebody has to do by hand."""
    settings = site.settings.alarms
    return [
        AlarmSpec(
            thing=f"{thing}-depth",
            says=f"messages wait in {site.name(thing)}: they could not be delivered. Read one for the reason, mend it, "
            "then redrive the queue.",
            what=queue_depth(site, thing),
            label="Messages",
            above=settings.dlq_messages,
            # SQS stops publishing for a queue that was empty and unused for six hours (SQS Developer Guide, metrics).
            missing=Missing.IS_GOOD,
            patience=at_once(settings),
        )
        for thing in dead_letter_queues(site)
    ]
