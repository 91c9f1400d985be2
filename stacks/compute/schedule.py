"""What runs by the clock."""

from __future__ import annotations

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.cloudwatch_event_rule import CloudwatchEventRule
from cdktf_cdktf_provider_aws.cloudwatch_event_target import CloudwatchEventTarget
from cdktf_cdktf_provider_aws.lambda_permission import LambdaPermission
from constructs import Construct

from shared.site import Site
from stacks.compute.function import PaymentFunction


class EveryMinute(Construct):
    """Invokes a function each minute: no dead-letter queue, the next minute comes anyway.

    What needs the function to be invoked already depends on ``parts``.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, function: PaymentFunction) -> None:
        super().__init__(scope, id)
        rule = CloudwatchEventRule(
            self,
            "rule",
            name=site.name(f"{id}-{site.region}"),
            description="Each minute",
            schedule_expression="rate(1 minute)",
        )
        permission = LambdaPermission(
            self,
            "permission",
            statement_id="Schedule",
            action="lambda:InvokeFunction",
            function_name=function.name,
            principal="events.amazonaws.com",
            source_arn=rule.arn,
            depends_on=[function.function],
        )
        target = CloudwatchEventTarget(self, "target", rule=rule.name, target_id="function", arn=function.arn)
        self.parts: tuple[ITerraformDependable, ...] = (permission, target)
