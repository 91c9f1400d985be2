"""Each minute, and when an instance comes or goes: the target group has the addresses of the group's instances."""

from __future__ import annotations

from typing import Any

from functions.payments import aws
from functions.payments.settings import load
from functions.payments.telemetry import instrumented, logger
from functions.register_targets.aws import AutoScalingGroup, TargetGroup
from functions.register_targets.logic import reconcile
from functions.register_targets.settings import TargetsSettings


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    settings = load(TargetsSettings)
    region = settings.aws_region
    group = AutoScalingGroup(aws.client("autoscaling", region), aws.client("ec2", region), settings.auto_scaling_group)
    targets = TargetGroup(aws.client("elbv2", region), settings.target_group_arn)
    changes = reconcile(group, targets)
    if changes:
        logger.info("reconciled", extra={"changes": changes.told()})
    return changes.told()
