"""Auto Scaling groups keep their settings, and their instances are instances of EC2.

Upstream: a group forgets its instances' lifetime, warm-up and maintenance policy, the lifecycle hooks given with its
creation, a later launch template, and that its size follows its bounds. Its instances exist in the group alone;
SetInstanceHealth does not exist.

AWS: CreateAutoScalingGroup, UpdateAutoScalingGroup and SetInstanceHealth (EC2 Auto Scaling API reference);
DescribeInstances tells the private address of every instance, one of its subnet, and takes a filter `instance-id`
(EC2 API reference).

Patched: `_create_asg`, `_update_asg`, `_delete_asg`, `_describe_asgs`, `_reconcile_instances`, `_ACTION_MAP`, and
EC2's `_matches_filters`. Nothing runs: an instance is in service at once, no lifecycle action waits and none is told to
EventBridge. An instance that is marked unhealthy is replaced at once.
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import Any

from rollout.sandbox.emulator import module, wrap

_NUMBERS = ("MaxInstanceLifetime", "DefaultInstanceWarmup")
_POLICY = ("MinHealthyPercentage", "MaxHealthyPercentage")
_HOOK = (
    "LifecycleTransition",
    "HeartbeatTimeout",
    "DefaultResult",
    "NotificationTargetARN",
    "RoleARN",
    "NotificationMetadata",
)


def apply() -> None:
    groups, instances = module("services.autoscaling"), module("services.ec2")
    _keep_settings(groups)
    _launch(groups, instances)
    groups._ACTION_MAP["SetInstanceHealth"] = lambda params: _set_health(groups, params)
    wrap(instances, "_matches_filters", _matches)


def _keep_settings(groups: Any) -> None:
    def create(original: Any, params: Any) -> Any:
        answer = original(params)
        if answer[0] == 200:
            name = groups._p(params, "AutoScalingGroupName")
            _store(groups, params, groups._asgs[name])
            _make_hooks(groups, params, name)
        return answer

    def update(original: Any, params: Any) -> Any:
        answer = original(params)
        if answer[0] == 200:
            group = groups._asgs[groups._p(params, "AutoScalingGroupName")]
            _store(groups, params, group)
            # "the new minimum becomes the desired capacity", and the new maximum likewise (UpdateAutoScalingGroup).
            group["DesiredCapacity"] = min(max(group["DesiredCapacity"], group["MinSize"]), group["MaxSize"])
            groups._reconcile_instances(group)
        return answer

    def describe(original: Any, params: Any) -> Any:
        status, headers, body = original(params)
        text = body.decode()
        for group in groups._asgs.values():
            mark = f"<AutoScalingGroupARN>{group['AutoScalingGroupARN']}</AutoScalingGroupARN>"
            text = text.replace(mark, mark + _settings_xml(groups, group))
        return status, headers, text.encode()

    wrap(groups, "_create_asg", create)
    wrap(groups, "_update_asg", update)
    wrap(groups, "_describe_asgs", describe)


def _store(groups: Any, params: Any, group: Any) -> None:
    for name in _NUMBERS:
        if groups._p(params, name):
            group[name] = int(groups._p(params, name))
    policy = {name: groups._p(params, f"InstanceMaintenancePolicy.{name}") for name in _POLICY}
    if any(policy.values()):
        group["InstanceMaintenancePolicy"] = policy
    version = groups._p(params, "LaunchTemplate.Version")
    if version and group.get("LaunchTemplate"):
        template = groups._p(params, "LaunchTemplate.LaunchTemplateId") or group["LaunchTemplate"]["LaunchTemplateId"]
        group["LaunchTemplate"] = {"LaunchTemplateId": template, "LaunchTemplateName": template, "Version": version}


def _make_hooks(groups: Any, params: Any, group: str) -> None:
    number = 1
    while name := groups._p(params, f"LifecycleHookSpecificationList.member.{number}.LifecycleHookName"):
        given = {key: groups._p(params, f"LifecycleHookSpecificationList.member.{number}.{key}") for key in _HOOK}
        groups._hooks[f"{group}/{name}"] = groups._hook_record(group, name, given)
        number += 1


def _settings_xml(groups: Any, group: Any) -> str:
    found = {name: group[name] for name in (*_NUMBERS, "InstanceMaintenancePolicy") if name in group}
    return str(groups._member_xml(found))


def _launch(groups: Any, instances: Any) -> None:
    def reconcile(original: Any, group: Any) -> None:
        before = list(group["Instances"])
        original(group)
        kept = {one["InstanceId"] for one in group["Instances"]}
        _terminate(instances, [one["InstanceId"] for one in before if one["InstanceId"] not in kept])
        known = {one["InstanceId"] for one in before}
        for one in group["Instances"]:
            if one["InstanceId"] not in known:
                _run(instances, group, one)

    def delete(original: Any, params: Any) -> Any:
        group = groups._asgs.get(groups._p(params, "AutoScalingGroupName"))
        if group is not None:
            _terminate(instances, [one["InstanceId"] for one in group["Instances"]])
        return original(params)

    wrap(groups, "_reconcile_instances", reconcile)
    wrap(groups, "_delete_asg", delete)


def _run(instances: Any, group: Any, member: Any) -> None:
    """Make the EC2 instance of a member of the group, by its template, in the subnet that has the fewest."""
    data = _template(instances, group)
    subnets = [part for part in group["VPCZoneIdentifier"].split(",") if part]
    taken = [one.get("_subnet") for one in group["Instances"]]
    subnet = min(subnets, key=taken.count) if subnets else instances._DEFAULT_SUBNET_ID
    (made,) = instances._launch_instances_internal(
        image_id=data.get("ImageId", "ami-00000000"),
        instance_type=data.get("InstanceType", "t2.micro"),
        subnet_id=subnet,
        count=1,
        user_data=data.get("UserData", ""),
        sg_ids=data.get("SecurityGroupIds"),
        requested_private_ip=_free_address(instances, subnet),
    )
    for tags in data.get("TagSpecifications", []):
        if tags["ResourceType"] == "instance":
            instances._tags[made["InstanceId"]] = list(tags["Tags"])
    member.update(InstanceId=made["InstanceId"], _subnet=subnet, _since=datetime.datetime.now(datetime.UTC).timestamp())
    member["AvailabilityZone"] = instances._subnets.get(subnet, {}).get("AvailabilityZone", member["AvailabilityZone"])


def _template(instances: Any, group: Any) -> Any:
    wanted = group.get("LaunchTemplate") or {}
    template = instances._launch_templates.get(wanted.get("LaunchTemplateId", ""))
    if template is None:
        return {}
    numbers = {"$Latest": template["LatestVersionNumber"], "$Default": template["DefaultVersionNumber"]}
    number = str(numbers.get(wanted["Version"], wanted["Version"]))
    return next(one["LaunchTemplateData"] for one in template["Versions"] if str(one["VersionNumber"]) == number)


def _free_address(instances: Any, subnet: str) -> str | None:
    if subnet not in instances._subnets:
        return None
    taken = {one["PrivateIpAddress"] for one in instances._instances.values() if one["SubnetId"] == subnet}
    # AWS reserves the first four addresses of a subnet.
    network = ipaddress.ip_network(instances._subnets[subnet]["CidrBlock"])
    hosts = (str(network[number]) for number in range(4, network.num_addresses - 1))
    return next(host for host in hosts if host not in taken)


def _terminate(instances: Any, ids: list[str]) -> None:
    for id in ids:
        instance = instances._instances.get(id)
        if instance is None:
            continue
        instances._terminate_instances({"InstanceId.1": id})
        for device in instance["BlockDeviceMappings"]:
            instances._volumes.pop(device["Ebs"]["VolumeId"], None)


def _set_health(groups: Any, params: Any) -> Any:
    id = groups._p(params, "InstanceId")
    respect = groups._p(params, "ShouldRespectGracePeriod") != "false"
    for group in groups._asgs.values():
        for one in group["Instances"]:
            if one["InstanceId"] == id:
                age_s = datetime.datetime.now(datetime.UTC).timestamp() - one.get("_since", 0)
                sick = groups._p(params, "HealthStatus") == "Unhealthy"
                if sick and not (respect and age_s < group["HealthCheckGracePeriod"]):
                    _replace(groups, group, one)
                return groups._xml(200, "SetInstanceHealthResponse", "")
    return groups._error("ValidationError", f"Instance Id not found - No managed instance found for instance ID: {id}")


def _replace(groups: Any, group: Any, sick: Any) -> None:
    group["Instances"] = [one for one in group["Instances"] if one is not sick]
    _terminate(module("services.ec2"), [sick["InstanceId"]])
    groups._reconcile_instances(group)


def _matches(original: Any, instance: Any, filters: Any) -> bool:
    wanted = filters.get("instance-id")
    return (wanted is None or instance["InstanceId"] in wanted) and bool(original(instance, filters))
