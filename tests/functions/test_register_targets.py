"""The web tier's target group follows its Auto Scaling group (OPT-02)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from functions import catalogue
from functions.payments import settings as function_settings
from functions.register_targets import logic
from functions.register_targets.aws import AutoScalingGroup, TargetGroup
from functions.register_targets.handler import handler
from functions.register_targets.logic import NOT_IN_USE, Changes, Instance, decide, reconcile
from tests.functions.conftest import ENVIRONMENT, Cloud
from tests.functions.fakes import REGION, Context

GROUP = ENVIRONMENT["AUTO_SCALING_GROUP"]


class Tier:
    """A group and its targets in memory, as AWS has them; what is drained and replaced happens at once when told."""

    def __init__(self, instances: Sequence[Instance], states: Mapping[str, str]) -> None:
        self.members = {one.id: one for one in instances}
        self.targets = dict(states)
        self.told: list[str] = []

    def instances(self) -> Sequence[Instance]:
        return list(self.members.values())

    def proceed(self, instance_id: str, hook: str) -> None:
        self.told.append(f"{instance_id} {hook}")
        one = self.members[instance_id]
        if hook == logic.LAUNCH_HOOK:
            self.members[instance_id] = Instance(one.id, "InService", one.address)
        else:
            del self.members[instance_id]

    def mark_unhealthy(self, instance_id: str) -> None:
        self.told.append(f"{instance_id} unhealthy")
        one = self.members[instance_id]
        self.members[instance_id] = Instance(one.id, "Terminating:Wait", one.address)

    def states(self) -> Mapping[str, str]:
        return dict(self.targets)

    def register(self, addresses: Collection[str]) -> None:
        self.targets.update(dict.fromkeys(addresses, "initial"))

    def deregister(self, addresses: Collection[str]) -> None:
        self.targets.update(dict.fromkeys(addresses, "draining"))

    def pass_time(self) -> None:
        """Checks pass, and what drains is gone."""
        self.targets = {a: "healthy" if s == "initial" else s for a, s in self.targets.items() if s != "draining"}


def test_an_instance_serves_when_its_target_is_healthy() -> None:
    """OPT-02: from launch to service in two runs; a third has nothing to do."""
    tier = Tier([Instance("i-1", "Pending:Wait", "10.0.0.1")], {})
    assert reconcile(tier, tier) == Changes(register=("10.0.0.1",))
    assert reconcile(tier, tier) == Changes()
    tier.pass_time()
    assert reconcile(tier, tier) == Changes(started=("i-1",))
    assert tier.told == [f"i-1 {catalogue.LAUNCH_HOOK}"]
    assert not reconcile(tier, tier)


def test_without_a_load_balancer_no_target_becomes_healthy_and_none_is_waited_for() -> None:
    """OPT-02, LAY-04: the edge layer, with the load balancer, comes after this one."""
    tier = Tier([Instance("i-1", "Pending:Wait", "10.0.0.1")], {"10.0.0.1": NOT_IN_USE})
    assert reconcile(tier, tier).started == ("i-1",)


def test_an_instance_goes_when_its_target_has_drained() -> None:
    """OPT-02: no request is cut off."""
    tier = Tier([Instance("i-1", "Terminating:Wait", "10.0.0.1")], {"10.0.0.1": "healthy"})
    assert reconcile(tier, tier) == Changes(deregister=("10.0.0.1",))
    assert reconcile(tier, tier) == Changes()
    tier.pass_time()
    assert reconcile(tier, tier) == Changes(drained=("i-1",))
    assert tier.told == [f"i-1 {catalogue.TERMINATE_HOOK}"]


def test_an_unhealthy_instance_is_replaced() -> None:
    """OPT-02: what the group would do itself with targets that it had attached."""
    tier = Tier(
        [Instance("i-1", "InService", "10.0.0.1"), Instance("i-2", "InService", "10.0.0.2")],
        {"10.0.0.1": "unhealthy", "10.0.0.2": "healthy"},
    )
    assert reconcile(tier, tier) == Changes(replace=("i-1",))
    assert reconcile(tier, tier) == Changes(deregister=("10.0.0.1",))


@pytest.mark.parametrize("state", ["Pending:Wait", "Standby", "Terminating:Wait"])
def test_only_who_is_in_service_is_replaced(state: str) -> None:
    """OPT-02: an instance that still starts has its hook's time."""
    assert decide([Instance("i-1", state, "10.0.0.1")], {"10.0.0.1": "unhealthy"}).replace == ()


@pytest.mark.parametrize("state", ["initial", "healthy", "unavailable", "unhealthy.draining"])
def test_no_other_state_is_unhealthy(state: str) -> None:
    """OPT-02."""
    assert decide([Instance("i-1", "InService", "10.0.0.1")], {"10.0.0.1": state}).replace == ()


def test_an_address_that_is_unknown_keeps_all_but_those_that_leave() -> None:
    """OPT-02: EC2 may not tell an address at once; the registered one may be just that."""
    instances = [Instance("i-1", "InService", ""), Instance("i-2", "Terminating:Wait", "10.0.0.2")]
    changes = decide(instances, {"10.0.0.1": "healthy", "10.0.0.2": "healthy"})
    assert changes == Changes(deregister=("10.0.0.2",))


def test_an_address_that_drains_and_is_given_to_a_new_instance_is_registered_again() -> None:
    """OPT-02: a subnet's addresses are used again."""
    assert decide([Instance("i-2", "Pending:Wait", "10.0.0.1")], {"10.0.0.1": "draining"}).register == ("10.0.0.1",)


STATES = ["Pending", "Pending:Wait", "Pending:Proceed", "InService", "Standby", "Terminating:Wait", "Terminating"]


@given(
    st.dictionaries(st.integers(1, 9), st.sampled_from(STATES)),
    st.dictionaries(st.integers(1, 12), st.sampled_from(["initial", "healthy", "draining", NOT_IN_USE])),
)
def test_after_a_run_exactly_those_who_serve_are_registered(members: dict[int, str], targets: dict[int, str]) -> None:
    """OPT-02: whatever was there, whatever was missed; and the next run changes no target."""
    tier = Tier(
        [Instance(f"i-{n}", state, f"10.0.0.{n}") for n, state in members.items()],
        {f"10.0.0.{n}": state for n, state in targets.items()},
    )
    reconcile(tier, tier)
    serving = {n for n, state in members.items() if state in ("Pending:Wait", "Pending:Proceed", "InService")}
    assert {address for address, state in tier.targets.items() if state != "draining"} == {
        f"10.0.0.{n}" for n in serving
    }
    again = decide(tier.instances(), tier.targets)
    assert (again.register, again.deregister) == ((), ())


def test_the_hooks_have_the_names_that_the_group_gives_them() -> None:
    """OPT-02."""
    assert (logic.LAUNCH_HOOK, logic.TERMINATE_HOOK) == (catalogue.LAUNCH_HOOK, catalogue.TERMINATE_HOOK)


# -- the adapters ----------------------------------------------------------------------------------


@pytest.fixture
def tier(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> str:
    """A group of two instances and an empty target group, in AWS as moto has it; the target group's ARN."""
    # moto would read a thousand images for each test.
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    ec2, balancing = cloud.client("ec2", REGION), cloud.client("elbv2", REGION)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    image = ec2.register_image(Name="web", Architecture="x86_64")["ImageId"]
    ec2.create_launch_template(
        LaunchTemplateName="web", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.micro"}
    )
    autoscaling = cloud.client("autoscaling", REGION)
    autoscaling.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=3,
        DesiredCapacity=2,
        VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateName": "web"},
    )
    group = balancing.create_target_group(Name="web", TargetType="ip", Protocol="HTTP", Port=8080, VpcId=vpc)
    arn: str = group["TargetGroups"][0]["TargetGroupArn"]
    monkeypatch.setenv("TARGET_GROUP_ARN", arn)
    function_settings.load.cache_clear()
    return arn


def registered(cloud: Cloud, arn: str) -> set[str]:
    found = cloud.client("elbv2", REGION).describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {one["Target"]["Id"] for one in found}


def addresses(cloud: Cloud) -> set[str]:
    (group,) = cloud.client("autoscaling", REGION).describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])[
        "AutoScalingGroups"
    ]
    ids = [one["InstanceId"] for one in group["Instances"]]
    found = cloud.client("ec2", REGION).describe_instances(InstanceIds=ids) if ids else {"Reservations": []}
    return {one["PrivateIpAddress"] for part in found["Reservations"] for one in part["Instances"]}


def test_a_run_registers_whom_the_group_has_and_drops_the_rest(cloud: Cloud, tier: str) -> None:
    """OPT-02: on AWS's own shapes; the second run has nothing to do."""
    cloud.client("elbv2", REGION).register_targets(TargetGroupArn=tier, Targets=[{"Id": "10.0.0.250"}])
    changes = handler({"source": "aws.autoscaling"}, Context())
    assert set(changes["register"]) == addresses(cloud)
    assert changes["deregister"] == ["10.0.0.250"]
    assert registered(cloud, tier) == addresses(cloud)
    assert len(addresses(cloud)) == 2
    assert not any(handler({}, Context()).values())


def test_a_group_that_shrinks_leaves_no_target_behind(cloud: Cloud, tier: str) -> None:
    """OPT-02."""
    handler({}, Context())
    cloud.client("autoscaling", REGION).set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    handler({}, Context())
    assert registered(cloud, tier) == set()


def test_nothing_is_concluded_from_a_group_that_is_not_there(cloud: Cloud, tier: str) -> None:
    """OPT-02: no group is not an empty group."""
    group = AutoScalingGroup(cloud.client("autoscaling", REGION), cloud.client("ec2", REGION), "other")
    with pytest.raises(ValueError, match="unpack"):
        group.instances()


def test_an_instance_is_marked_with_respect_for_its_grace_period(cloud: Cloud, tier: str) -> None:
    """OPT-02: and moto, like AWS, knows the instance."""
    autoscaling = cloud.client("autoscaling", REGION)
    asked: list[dict[str, Any]] = []
    autoscaling.meta.events.register(
        "provide-client-params.auto-scaling.SetInstanceHealth", lambda params, **_: asked.append(dict(params))
    )
    group = AutoScalingGroup(autoscaling, cloud.client("ec2", REGION), GROUP)
    one = group.instances()[0]
    group.mark_unhealthy(one.id)
    (found,) = autoscaling.describe_auto_scaling_instances(InstanceIds=[one.id])["AutoScalingInstances"]
    assert found["HealthStatus"].upper() == "UNHEALTHY"
    assert asked == [{"InstanceId": one.id, "HealthStatus": "Unhealthy", "ShouldRespectGracePeriod": True}]


class Refusing:
    """Auto Scaling that refuses to complete an action."""

    def __init__(self, code: str) -> None:
        self.code, self.asked = code, list[dict[str, Any]]()

    def complete_lifecycle_action(self, **request: Any) -> None:
        self.asked.append(request)
        raise ClientError({"Error": {"Code": self.code, "Message": "No active Lifecycle Action found"}}, "Complete")


def test_a_wait_that_is_over_already_is_no_error() -> None:
    """OPT-02: event and minute may see the same instance."""
    client = Refusing("ValidationError")
    AutoScalingGroup(client, None, GROUP).proceed("i-1", catalogue.LAUNCH_HOOK)
    (request,) = client.asked
    assert request == {
        "AutoScalingGroupName": GROUP,
        "LifecycleHookName": catalogue.LAUNCH_HOOK,
        "InstanceId": "i-1",
        "LifecycleActionResult": "CONTINUE",
    }
    with pytest.raises(ClientError):
        AutoScalingGroup(Refusing("AccessDenied"), None, GROUP).proceed("i-1", catalogue.LAUNCH_HOOK)


class Health:
    """DescribeTargetHealth, answering what it was given."""

    def __init__(self, *health: dict[str, str]) -> None:
        self.health = health

    def describe_target_health(self, **_: str) -> dict[str, Any]:
        found = [{"Target": {"Id": f"10.0.0.{n}"}, "TargetHealth": health} for n, health in enumerate(self.health, 1)]
        return {"TargetHealthDescriptions": found}


def test_a_target_group_without_a_load_balancer_says_so() -> None:
    """OPT-02: other reasons for "unused" are no readiness."""
    client = Health(
        {"State": "unused", "Reason": "Target.NotInUse"},
        {"State": "unused", "Reason": "Target.InvalidState"},
        {"State": "healthy"},
    )
    states = TargetGroup(client, "arn").states()
    assert states == {"10.0.0.1": NOT_IN_USE, "10.0.0.2": "unused", "10.0.0.3": "healthy"}
