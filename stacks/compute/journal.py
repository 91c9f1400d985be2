"""The event journal: a record of which final states this region has published, that nobody who publishes can write."""

from __future__ import annotations

import json
from typing import Any

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import (
    CloudwatchEventTarget,
    CloudwatchEventTargetDeadLetterConfig,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_resource_policy import CloudwatchLogResourcePolicy
from constructs import Construct

from functions.catalogue import EVENT_SOURCE
from shared.grants import document
from shared.logs import log_group
from shared.site import Site
from stacks.compute.routes import RETRY

FINAL_DETAIL_TYPES = ("PaymentSettled", "PaymentDeclined", "PaymentFailed", "PaymentRefunded")
# "Using resource-based policies for Amazon EventBridge", CloudWatch Logs permissions.
WRITERS = ("events.amazonaws.com", "delivery.logs.amazonaws.com")


class EventJournal(Construct):
    """A line for every event of a final status that this region publishes: what `tripoint reconcile` reads.

    Only final ones (docs/decisions/event-journal.md), and only this region's own: what another region forwarded is in
    that one's journal.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, bus_name: str, key_arn: str, dlq_arn: str) -> None:
        super().__init__(scope, id)
        # A rule reaches only groups whose name begins like this ("Targets available in the EventBridge console").
        self.name = f"/aws/events/{site.name('journal')}"
        group = log_group(self, "group", site=site, name=self.name, key_arn=key_arn)
        rule = CloudwatchEventRule(
            self,
            "rule",
            name=site.name(f"journal-{site.region}"),
            description=f"Final states of payments that {site.region} has published",
            event_bus_name=bus_name,
            event_pattern=json.dumps(final_events_of(site.region)),
        )
        # An account has ten of these in a region ("PutResourcePolicy"): one for each environment that shares it.
        admitted = CloudwatchLogResourcePolicy(
            self,
            "policy",
            policy_name=site.name("journal"),
            policy_document=document(
                [
                    {
                        "Sid": "CreateStreams",
                        "Effect": "Allow",
                        "Principal": {"Service": list(WRITERS)},
                        "Action": "logs:CreateLogStream",
                        "Resource": f"{group.arn}:*",
                    },
                    {
                        "Sid": "WriteEvents",
                        "Effect": "Allow",
                        "Principal": {"Service": list(WRITERS)},
                        "Action": "logs:PutLogEvents",
                        "Resource": f"{group.arn}:*",
                        "Condition": {"ArnEquals": {"aws:SourceArn": rule.arn}},
                    },
                ]
            ),
        )
        CloudwatchEventTarget(
            self,
            "target",
            rule=rule.name,
            event_bus_name=bus_name,
            target_id="journal",
            arn=group.arn,
            dead_letter_config=CloudwatchEventTargetDeadLetterConfig(arn=dlq_arn),
            retry_policy=RETRY,
            depends_on=[admitted],
        )


def final_events_of(region: str) -> dict[str, Any]:
    """The pattern of the final states that one region publishes."""
    return {
        "source": [EVENT_SOURCE],
        "detail-type": list(FINAL_DETAIL_TYPES),
        "detail": {"origin_region": [region]},
    }
