"""Routes between the regions' buses: a payment that its region cannot finish goes to the next one (PAY-23).

The event names its one receiver, ``next_region``, and the regions already tried; the publisher takes care that the one
is never among the others. A region's routes match only events for somebody else, and its arrival rule only events for
itself, so an event is forwarded once and cannot loop (PAY-05).
"""

from __future__ import annotations

import json
from typing import Any

from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import (
    CloudwatchEventTarget,
    CloudwatchEventTargetDeadLetterConfig,
    CloudwatchEventTargetRetryPolicy,
)
from cdktf_cdktf_provider_aws.lambda_function_event_invoke_config import (
    LambdaFunctionEventInvokeConfig,
    LambdaFunctionEventInvokeConfigDestinationConfig,
    LambdaFunctionEventInvokeConfigDestinationConfigOnFailure,
)
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from functions.catalogue import EVENT_SOURCE, HANDED_OVER
from shared.grants import Grant
from shared.role import service_role
from shared.site import Site
from stacks.compute.bus import ROUTE_ROLE
from stacks.compute.contract import ComputeOutputs
from stacks.compute.function import PaymentFunction

RETRY = CloudwatchEventTargetRetryPolicy(maximum_event_age_in_seconds=3600, maximum_retry_attempts=185)


class Arrivals(Construct):
    """What the other regions hand over to this one: to the function that takes it over."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, bus_name: str, receiver: PaymentFunction, dlq_arn: str
    ) -> None:
        super().__init__(scope, id)
        rule = CloudwatchEventRule(
            self,
            "rule",
            name=site.name(f"arrivals-{site.region}"),
            description=f"Payments handed over to {site.region}",
            event_bus_name=bus_name,
            event_pattern=json.dumps(handed_over_to(site.region)),
        )
        LambdaPermission(
            self,
            "permission",
            statement_id="Arrivals",
            action="lambda:InvokeFunction",
            function_name=receiver.name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            depends_on=[receiver.function],
        )
        CloudwatchEventTarget(
            self,
            "target",
            rule=rule.name,
            event_bus_name=bus_name,
            target_id="take-over",
            arn=receiver.arn,
            dead_letter_config=CloudwatchEventTargetDeadLetterConfig(arn=dlq_arn),
            retry_policy=RETRY,
        )
        # EventBridge invokes asynchronously: what fails in the function is retried and kept by Lambda.
        LambdaFunctionEventInvokeConfig(
            self,
            "failures",
            function_name=receiver.name,
            maximum_retry_attempts=2,
            maximum_event_age_in_seconds=3600,
            destination_config=LambdaFunctionEventInvokeConfigDestinationConfig(
                on_failure=LambdaFunctionEventInvokeConfigDestinationConfigOnFailure(destination=dlq_arn)
            ),
            depends_on=[receiver.function],
        )


class Routes(Construct):
    """From this region's bus to the bus of every other region."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, here: ComputeOutputs, others: dict[str, ComputeOutputs]
    ) -> None:
        super().__init__(scope, id)
        role = service_role(
            self,
            site=site,
            thing=ROUTE_ROLE,
            service="events.amazonaws.com",
            source_arn=site.arn("events", f"rule/{site.name('payments')}/*"),
            does="forward",
            grants=[
                Grant("ForwardEvents", ("events:PutEvents",), tuple(other.event_bus_arn for other in others.values()))
            ],
        )
        for region, other in others.items():
            rule = CloudwatchEventRule(
                self,
                f"to-{region}",
                name=site.name(f"route-{site.region}-{region}"),
                description=f"Payments handed over from {site.region} to {region}",
                event_bus_name=here.event_bus_name,
                event_pattern=json.dumps(handed_over_to(region)),
            )
            CloudwatchEventTarget(
                self,
                f"bus-of-{region}",
                rule=rule.name,
                event_bus_name=here.event_bus_name,
                target_id=f"bus-of-{region}",
                arn=other.event_bus_arn,
                role_arn=role.arn,
                dead_letter_config=CloudwatchEventTargetDeadLetterConfig(arn=here.events_dlq_arn),
                retry_policy=RETRY,
                depends_on=[role.granted],
            )


def handed_over_to(region: str) -> dict[str, Any]:
    """The pattern of a payment's hand-over to one region that has not had it yet."""
    return {
        "source": [EVENT_SOURCE],
        "detail-type": [HANDED_OVER],
        "detail": {"next_region": [region]},
    }
