"""What the web tier needs of launch templates, Auto Scaling groups and load balancers is as on AWS.

Every probe runs against the sandbox, where it must hold, and against the emulator as shipped, where it must not.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.clients import Clients, eventually

KEY = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
HOOK = {
    "LifecycleHookName": "serving",
    "LifecycleTransition": "autoscaling:EC2_INSTANCE_LAUNCHING",
    "HeartbeatTimeout": 600,
    "DefaultResult": "ABANDON",
}


@dataclass
class Group:
    """A group of two instances in a subnet of its own."""

    aws: Clients
    name: str
    subnet: str
    template: str

    def read(self) -> dict[str, Any]:
        (found,) = self.aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[self.name])[
            "AutoScalingGroups"
        ]
        return dict(found)

    def instances(self) -> list[dict[str, Any]]:
        """The members as EC2 knows them."""
        ids = [one["InstanceId"] for one in self.read()["Instances"]]
        found = self.aws("ec2").describe_instances(Filters=[{"Name": "instance-id", "Values": ids}])
        return [one for part in found["Reservations"] for one in part["Instances"]]


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[Clients], Group]]:
    made: list[Group] = []

    def group(aws: Clients, **settings: Any) -> Group:
        name = f"g-{uuid.uuid4().hex[:8]}"
        ec2 = aws("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
        volume = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 8, "Encrypted": True, "KmsKeyId": KEY}}
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "Layer", "Value": "compute"}]}]
        data = {"InstanceType": "t3.micro", "BlockDeviceMappings": [volume], "TagSpecifications": tags}
        template = ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
        id = template["LaunchTemplateId"]
        aws("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=2,
            MaxSize=3,
            HealthCheckGracePeriod=0,
            VPCZoneIdentifier=subnet,
            LaunchTemplate={"LaunchTemplateId": id, "Version": "1"},
            **settings,
        )
        made.append(Group(aws, name, subnet, id))
        return made[-1]

    yield group
    for one in made:
        one.aws("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=one.name, ForceDelete=True)


Make = Callable[..., Group]
Probe = Callable[[Clients, Make], bool]


def volume_key(aws: Clients, make: Make) -> bool:
    (version,) = aws("ec2").describe_launch_template_versions(LaunchTemplateId=make(aws).template)[
        "LaunchTemplateVersions"
    ]
    (device,) = version["LaunchTemplateData"]["BlockDeviceMappings"]
    return device["Ebs"].get("KmsKeyId") == KEY


def group_settings(aws: Clients, make: Make) -> bool:
    policy = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 200}
    found = make(aws, MaxInstanceLifetime=86_400, DefaultInstanceWarmup=30, InstanceMaintenancePolicy=policy).read()
    return (found.get("MaxInstanceLifetime"), found.get("DefaultInstanceWarmup")) == (86_400, 30) and (
        found.get("InstanceMaintenancePolicy") == policy
    )


def template_is_changed(aws: Clients, make: Make) -> bool:
    group = make(aws)
    aws("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=group.name, LaunchTemplate={"LaunchTemplateId": group.template, "Version": "$Latest"}
    )
    return bool(group.read()["LaunchTemplate"]["Version"] == "$Latest")


def size_follows_the_bounds(aws: Clients, make: Make) -> bool:
    group = make(aws)
    aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=group.name, MinSize=3)
    found = group.read()
    return found["DesiredCapacity"] == len(found["Instances"]) == 3


def hooks_of_the_creation(aws: Clients, make: Make) -> bool:
    group = make(aws, LifecycleHookSpecificationList=[HOOK])
    found = aws("autoscaling").describe_lifecycle_hooks(AutoScalingGroupName=group.name)["LifecycleHooks"]
    return len(found) == 1 and HOOK.items() <= found[0].items()


def instances_are_in_the_subnet(aws: Clients, make: Make) -> bool:
    group = make(aws)
    found = group.instances()
    return len(found) == 2 and all(
        one["SubnetId"] == group.subnet
        and one["PrivateIpAddress"].startswith("10.8.1.")
        and one["Tags"] == [{"Key": "Layer", "Value": "compute"}]
        for one in found
    )


def instances_that_leave_are_terminated(aws: Clients, make: Make) -> bool:
    group = make(aws)
    ids = {one["InstanceId"] for one in group.read()["Instances"]}
    aws("autoscaling").update_auto_scaling_group(AutoScalingGroupName=group.name, MinSize=1, DesiredCapacity=1)
    (left,) = ids - {one["InstanceId"] for one in group.read()["Instances"]}
    try:
        found = aws("ec2").describe_instances(InstanceIds=[left])
    except ClientError:
        return False
    return bool(found["Reservations"][0]["Instances"][0]["State"]["Name"] == "terminated")


def unhealthy_instances_are_replaced(aws: Clients, make: Make) -> bool:
    group = make(aws)
    sick = group.read()["Instances"][0]["InstanceId"]
    try:
        aws("autoscaling").set_instance_health(InstanceId=sick, HealthStatus="Unhealthy")
    except ClientError:
        return False
    now = [one["InstanceId"] for one in group.read()["Instances"]]
    return len(now) == 2 and sick not in now


def target_group(aws: Clients) -> str:
    arn: str = aws("elbv2").create_target_group(
        Name=f"t-{uuid.uuid4().hex[:8]}", TargetType="ip", Protocol="HTTP", Port=8080, VpcId="vpc-1"
    )["TargetGroups"][0]["TargetGroupArn"]
    aws("elbv2").register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.8.1.4"}])
    return arn


def listen(aws: Clients, group: str) -> str:
    balancing = aws("elbv2")
    arn: str = balancing.create_load_balancer(Name=f"b-{uuid.uuid4().hex[:8]}")["LoadBalancers"][0]["LoadBalancerArn"]
    action = {"Type": "forward", "TargetGroupArn": group}
    balancing.create_listener(LoadBalancerArn=arn, Protocol="HTTP", Port=80, DefaultActions=[action])
    return arn


def health(aws: Clients, group: str) -> dict[str, str]:
    (found,) = aws("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return dict(found["TargetHealth"])


def targets_without_a_load_balancer_are_unused(aws: Clients, make: Make) -> bool:
    group = target_group(aws)
    before = health(aws, group)
    listen(aws, group)
    return before.get("Reason") == "Target.NotInUse" and health(aws, group)["State"] == "healthy"


def no_interface_is_a_deleted_load_balancers(aws: Clients, make: Make) -> bool:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.8.1.0/24")["Subnet"]["SubnetId"]
    service = "com.amazonaws.us-east-1.sqs"
    ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=service, VpcEndpointType="Interface", SubnetIds=[subnet])
    ec2.create_network_interface(SubnetId=subnet)
    owner = {"Name": "attachment.instance-owner-id", "Values": ["amazon-elb"]}
    description = {"Name": "description", "Values": ["ELB app/web/1"]}
    return ec2.describe_network_interfaces(Filters=[owner, description])["NetworkInterfaces"] == []


def healthy_hosts_are_counted(aws: Clients, make: Make) -> bool:
    group = target_group(aws)
    time.sleep(1.5)  # looked at before it has a load balancer
    balancer = listen(aws, group)
    dimensions = [
        {"Name": "TargetGroup", "Value": group.rsplit(":", 1)[1]},
        {"Name": "LoadBalancer", "Value": balancer.rsplit(":loadbalancer/", 1)[1]},
    ]

    def reported() -> bool:
        found = aws("cloudwatch").list_metrics(Namespace="AWS/ApplicationELB", MetricName="HealthyHostCount")
        return any(metric["Dimensions"] == dimensions for metric in found["Metrics"])

    return eventually(reported, bool, 10)


PROBES: list[Probe] = [
    volume_key,
    group_settings,
    template_is_changed,
    size_follows_the_bounds,
    hooks_of_the_creation,
    instances_are_in_the_subnet,
    instances_that_leave_are_terminated,
    unhealthy_instances_are_replaced,
    targets_without_a_load_balancer_are_unused,
    no_interface_is_a_deleted_load_balancers,
    healthy_hosts_are_counted,
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_sandbox_does_as_aws(probe: Probe, aws: Clients, make: Make) -> None:
    """OPT-02, OPT-08."""
    assert probe(aws, make)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_addition_is_still_needed(probe: Probe, plain_aws: Clients, make: Make) -> None:
    """When this fails, upstream has closed the gap: the addition goes."""
    assert not probe(plain_aws, make)
