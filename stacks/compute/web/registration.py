"""Keeps the target group as the Auto Scaling group is."""

from __future__ import annotations

import json

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from shared.site import Site
from stacks.compute.function import PaymentFunction
from stacks.compute.schedule import EveryMinute

LIFECYCLE_ACTIONS = ("EC2 Instance-launch Lifecycle Action", "EC2 Instance-terminate Lifecycle Action")


class TargetRegistration(Construct):
    """Invokes the function when an instance of this group comes or goes, and each minute for what becomes of it.

    The minute makes up for an event that got lost, so there is no dead-letter queue. The group depends on ``ready``:
    its first instance waits for this function, and Terraform for the instance.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, function: PaymentFunction, group_name: str) -> None:
        super().__init__(scope, id)
        minute = EveryMinute(self, "register-targets", site=site, function=function)
        rule = CloudwatchEventRule(
            self,
            "rule",
            name=site.name(f"web-lifecycle-{site.region}"),
            description="Instances of the web tier that come or go",
            event_pattern=json.dumps(
                {
                    "source": ["aws.autoscaling"],
                    "detail-type": list(LIFECYCLE_ACTIONS),
                    "detail": {"AutoScalingGroupName": [group_name]},
                }
            ),
        )
        permission = LambdaPermission(
            self,
            "permission",
            statement_id="Lifecycle",
            action="lambda:InvokeFunction",
            function_name=function.name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            depends_on=[function.function],
        )
        target = CloudwatchEventTarget(self, "target", rule=rule.name, target_id="function", arn=function.arn)
        self.ready: list[ITerraformDependable] = [permission, target, *minute.parts]
