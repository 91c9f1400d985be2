"""Finds resources that have no name of their own choosing, by the name tag or the settings that they were made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rollout.target import Target

Settings = Mapping[str, Any]
Client = Callable[[str], Any]

# Type -> the EC2 operation that lists what is there, the list in its answer, and the id in an entry. Not DescribeTags:
# the sandbox keeps the tags of what is gone.
_EC2 = {
    "aws_flow_log": ("describe_flow_logs", "FlowLogs", "FlowLogId"),
    "aws_internet_gateway": ("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "aws_launch_template": ("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    "aws_route_table": ("describe_route_tables", "RouteTables", "RouteTableId"),
    "aws_security_group": ("describe_security_groups", "SecurityGroups", "GroupId"),
    "aws_subnet": ("describe_subnets", "Subnets", "SubnetId"),
    "aws_vpc": ("describe_vpcs", "Vpcs", "VpcId"),
    "aws_vpc_endpoint": ("describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId"),
    "aws_vpc_security_group_egress_rule": (
        "describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId",
    ),
    "aws_vpc_security_group_ingress_rule": (
        "describe_security_group_rules", "SecurityGroupRules", "SecurityGroupRuleId",
    ),
}  # fmt: skip


def find(type: str, settings: Settings, target: Target, region: str) -> list[str]:
    """The ids of the resources that are there and could be the one that these settings describe.

    Raises
    ------
    LookupError
        When nobody knows how to look for this type, or AWS doesn't say.
    """
    if type not in _EC2 and type not in _FINDERS:
        raise LookupError(type)
    try:
        if type in _EC2:
            return _in_ec2(type, settings, target.client("ec2", region))
        return _FINDERS[type](settings, lambda service: target.client(service, region))
    except (ClientError, BotoCoreError, KeyError) as error:
        raise LookupError(type) from error


def _in_ec2(type: str, settings: Settings, ec2: Any) -> list[str]:
    operation, entries, id = _EC2[type]
    name = settings["tags"]["Name"]
    wanted = [{"Name": "tag:Name", "Values": [name]}]
    # The one operation whose parameter is in the singular.
    found = getattr(ec2, operation)(**{"Filter" if type == "aws_flow_log" else "Filters": wanted})[entries]
    tagged = [one for one in found if {"Key": "Name", "Value": name} in one.get("Tags", [])]
    return [str(one[id]) for one in tagged if not str(one.get("State", "")).lower().startswith("delet")]


def _keys(settings: Settings, client: Client) -> list[str]:
    pages = (
        client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(ResourceTypeFilters=["kms:key"], TagFilters=[{"Key": "Name", "Values": [settings["tags"]["Name"]]}])
    )
    ids = [entry["ResourceARN"].rpartition("/")[2] for page in pages for entry in page["ResourceTagMappingList"]]
    kms = client("kms")
    keys = [kms.describe_key(KeyId=id)["KeyMetadata"] for id in ids]
    return [
        str(key["KeyId"])
        for key in keys
        if key["KeyState"] != "PendingDeletion" and key.get("Description") == settings["description"]
    ]


def _rest_apis(settings: Settings, client: Client) -> list[str]:
    apis = client("apigateway").get_rest_apis(limit=500)["items"]
    return [str(api["id"]) for api in apis if api["name"] == settings["name"]]


def _api_resources(settings: Settings, client: Client) -> list[str]:
    api, parent, part = settings["rest_api_id"], settings["parent_id"], settings["path_part"]
    found = client("apigateway").get_resources(restApiId=api, limit=500)["items"]
    return [str(one["id"]) for one in found if (one.get("parentId"), one.get("pathPart")) == (parent, part)]


def _validators(settings: Settings, client: Client) -> list[str]:
    found = client("apigateway").get_request_validators(restApiId=settings["rest_api_id"])["items"]
    return [str(one["id"]) for one in found if one["name"] == settings["name"]]


def _event_source_mappings(settings: Settings, client: Client) -> list[str]:
    found = client("lambda").list_event_source_mappings(
        FunctionName=settings["function_name"], EventSourceArn=settings["event_source_arn"]
    )
    return [str(one["UUID"]) for one in found["EventSourceMappings"]]


def _state_machines(settings: Settings, client: Client) -> list[str]:
    pages = client("stepfunctions").get_paginator("list_state_machines").paginate()
    return [
        str(one["stateMachineArn"])
        for page in pages
        for one in page["stateMachines"]
        if one["name"] == settings["name"]
    ]


def _load_balancers(settings: Settings, client: Client) -> list[str]:
    found = client("elbv2").describe_load_balancers(Names=[settings["name"]])["LoadBalancers"]
    return [str(one["LoadBalancerArn"]) for one in found]


def _target_groups(settings: Settings, client: Client) -> list[str]:
    found = client("elbv2").describe_target_groups(Names=[settings["name"]])["TargetGroups"]
    return [str(one["TargetGroupArn"]) for one in found]


def _listeners(settings: Settings, client: Client) -> list[str]:
    found = client("elbv2").describe_listeners(LoadBalancerArn=settings["load_balancer_arn"])["Listeners"]
    return [str(one["ListenerArn"]) for one in found if one["Port"] == settings["port"]]


_FINDERS: dict[str, Callable[[Settings, Client], list[str]]] = {
    "aws_api_gateway_request_validator": _validators,
    "aws_api_gateway_resource": _api_resources,
    "aws_api_gateway_rest_api": _rest_apis,
    "aws_kms_key": _keys,
    "aws_lambda_event_source_mapping": _event_source_mappings,
    "aws_lb": _load_balancers,
    "aws_lb_listener": _listeners,
    "aws_lb_target_group": _target_groups,
    "aws_sfn_state_machine": _state_machines,
}
