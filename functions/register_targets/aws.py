"""The Auto Scaling group and the target group in AWS."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from functions.payments.aws import error_code
from functions.register_targets.logic import NOT_IN_USE, Instance


class AutoScalingGroup:
    """See `logic.Group`."""

    def __init__(self, autoscaling: Any, ec2: Any, name: str) -> None:
        self._autoscaling = autoscaling
        self._ec2 = ec2
        self._name = name

    def instances(self) -> Sequence[Instance]:
        """See `logic.Group.instances`."""
        answer = self._autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[self._name])
        (group,) = answer["AutoScalingGroups"]  # no such group: nothing may be concluded from that
        states = {one["InstanceId"]: one["LifecycleState"] for one in group["Instances"]}
        addresses = self._addresses(list(states))
        return [Instance(id, state, addresses.get(id, "")) for id, state in states.items()]

    def _addresses(self, ids: list[str]) -> dict[str, str]:
        """By a filter: asked for by id, an instance that EC2 does not know yet would be an error."""
        found: dict[str, str] = {}
        more: dict[str, str] = {}
        while ids:
            answer = self._ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": ids}], **more)
            for reservation in answer["Reservations"]:
                for instance in reservation["Instances"]:
                    found[instance["InstanceId"]] = instance.get("PrivateIpAddress", "")
            if "NextToken" not in answer:
                break
            more = {"NextToken": answer["NextToken"]}
        return found

    def proceed(self, instance_id: str, hook: str) -> None:
        """See `logic.Group.proceed`."""
        try:
            self._autoscaling.complete_lifecycle_action(
                AutoScalingGroupName=self._name,
                LifecycleHookName=hook,
                InstanceId=instance_id,
                LifecycleActionResult="CONTINUE",
            )
        except Exception as error:
            # "No active Lifecycle Action found": another run was faster, or the hook's time was up.
            if error_code(error) != "ValidationError":
                raise

    def mark_unhealthy(self, instance_id: str) -> None:
        """See `logic.Group.mark_unhealthy`."""
        self._autoscaling.set_instance_health(
            InstanceId=instance_id, HealthStatus="Unhealthy", ShouldRespectGracePeriod=True
        )


class TargetGroup:
    """See `logic.Targets`."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def states(self) -> Mapping[str, str]:
        """See `logic.Targets.states`."""
        answer = self._client.describe_target_health(TargetGroupArn=self._arn)
        return {one["Target"]["Id"]: _state(one["TargetHealth"]) for one in answer["TargetHealthDescriptions"]}

    def register(self, addresses: Collection[str]) -> None:
        """See `logic.Targets.register`."""
        self._client.register_targets(TargetGroupArn=self._arn, Targets=_targets(addresses))

    def deregister(self, addresses: Collection[str]) -> None:
        """See `logic.Targets.deregister`."""
        self._client.deregister_targets(TargetGroupArn=self._arn, Targets=_targets(addresses))


def _targets(addresses: Collection[str]) -> list[dict[str, str]]:
    """On the port of the target group."""
    return [{"Id": address} for address in addresses]


def _state(health: Mapping[str, str]) -> str:
    return NOT_IN_USE if health.get("Reason") == NOT_IN_USE else health["State"]
