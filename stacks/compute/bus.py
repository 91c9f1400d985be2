"""The region's event bus, who may put on it from elsewhere, and the queue of what could not be delivered."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.cloudwatch_event_bus import CloudwatchEventBus
from cdktf_cdktf_provider_aws.cloudwatch_event_bus_policy import CloudwatchEventBusPolicy
from constructs import Construct

from shared.grants import document
from shared.queue import kept_queue
from shared.site import PARTITION, Site

ROUTE_ROLE = "event-routes"


class PaymentBus(Construct):
    """Where payment events are published, here and from the other regions (PAY-05)."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, id)
        self.bus = CloudwatchEventBus(
            self,
            "bus",
            name=site.name("payments"),
            description=f"Payment events of {site.region}",
            kms_key_identifier=key_arn,
        )
        self.name = self.bus.name
        self.arn = self.bus.arn
        if site.other_regions:
            CloudwatchEventBusPolicy(self, "policy", event_bus_name=self.bus.name, policy=_admit_routes(site, self.arn))


class UndeliveredEvents(Construct):
    """Where events go that a rule's target did not take, for 14 days."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, id)
        self.name = site.name("events-dlq")
        arn = site.arn("sqs", self.name)
        self.queue = kept_queue(
            self,
            "queue",
            site=site,
            name=self.name,
            key_arn=key_arn,
            statements=[
                {
                    "Sid": "RulesOfTheBus",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                    "Condition": {"ArnLike": {"aws:SourceArn": site.arn("events", f"rule/{site.name('payments')}/*")}},
                }
            ],
        )
        self.arn = self.queue.arn


def _admit_routes(site: Site, bus_arn: str) -> str:
    """Only the other regions' routes may put events here from outside: their roles, by name."""
    routes = [
        f"arn:{PARTITION}:iam::{site.account_id}:role/{site.at(region).role_name(ROUTE_ROLE)}"
        for region in site.other_regions
    ]
    return document(
        [
            {
                "Sid": "RoutesOfOtherRegions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{PARTITION}:iam::{site.account_id}:root"},
                "Action": "events:PutEvents",
                "Resource": bus_arn,
                "Condition": {"ArnEquals": {"aws:PrincipalArn": routes}},
            }
        ]
    )
