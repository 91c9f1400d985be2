"""The network layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json
from ipaddress import IPv4Network

import pytest

from stacks.network.addresses import AddressPlan
from tests.stacks.conftest import Synthesized


def test_address_plan_splits_the_block_without_overlap() -> None:
    """PAY-17: non-overlapping blocks over three zones."""
    plan = AddressPlan.of("10.10.0.0/16", 3)
    blocks = [IPv4Network(block) for block in (*plan.private, *plan.public)]
    assert len(plan.private) == len(plan.public) == 3
    assert all(block.subnet_of(IPv4Network("10.10.0.0/16")) for block in blocks)
    assert not any(a.overlaps(b) for i, a in enumerate(blocks) for b in blocks[:i])


def test_three_private_subnets_in_three_zones_and_no_way_out(sandbox: Synthesized) -> None:
    """PAY-17: isolated VPC with private subnets over three availability zones."""
    subnets = sandbox.resources("network-us-east-1", "aws_subnet").values()
    assert len({subnet["availability_zone"] for subnet in subnets}) == len(subnets) == 3
    assert not any(subnet["map_public_ip_on_launch"] for subnet in subnets)
    for absent in ("aws_internet_gateway", "aws_nat_gateway", "aws_route", "aws_vpc_peering_connection"):
        assert not sandbox.resources("network-us-east-1", absent)


def test_one_nat_gateway_and_public_subnets_when_configured(aws: Synthesized) -> None:
    """PAY-17: optional public subnets and a single NAT gateway by configuration."""
    assert len(aws.resources("network-us-east-1", "aws_nat_gateway")) == 1
    assert len(aws.resources("network-us-east-1", "aws_subnet")) == 6


@pytest.mark.parametrize("service", ["s3", "dynamodb"])
def test_gateway_endpoints_are_in_the_private_route_table(sandbox: Synthesized, service: str) -> None:
    """PAY-17: gateway endpoints for S3 and DynamoDB."""
    endpoints = sandbox.resources("network-eu-west-1", "aws_vpc_endpoint").values()
    (found,) = [endpoint for endpoint in endpoints if endpoint["service_name"] == f"com.amazonaws.eu-west-1.{service}"]
    assert found["vpc_endpoint_type"] == "Gateway"
    assert len(found["route_table_ids"]) == 1


def test_interface_endpoints_cover_what_the_functions_call(sandbox: Synthesized) -> None:
    """PAY-17: interface endpoints for the other services used: every service of the functions' grants is reachable."""
    from functions.catalogue import FUNCTIONS

    reachable = {
        endpoint["service_name"].rsplit(".", 1)[1]
        for endpoint in sandbox.resources("network-us-east-1", "aws_vpc_endpoint").values()
    }
    # Called by the services on the functions' behalf, not through the VPC.
    elsewhere = {"kms", "xray"}
    for function in (function for function in FUNCTIONS if function.in_vpc):
        if function.name == "publish_changes":
            calls = {"events"}  # the stream is read by the event source mapping
        else:
            grants = (*function.grants_for("simulator"), *function.grants_for("http"))
            calls = {action.partition(":")[0] for grant in grants for action in grant.actions}
        assert calls - elsewhere <= reachable, function.name


def test_functions_leave_by_endpoints_only(sandbox: Synthesized) -> None:
    """PAY-17: security groups without open egress where an endpoint or prefix list will do."""
    rules = sandbox.resources("network-us-east-1", "aws_vpc_security_group_egress_rule").values()
    assert rules
    for rule in rules:
        assert "cidr_ipv4" not in rule
        assert (rule["from_port"], rule["to_port"]) == (443, 443)


def test_endpoints_admit_principals_and_resources_of_the_account_only(sandbox: Synthesized) -> None:
    """PAY-13: an endpoint is no way to another account's data."""
    for endpoint in sandbox.resources("network-us-east-1", "aws_vpc_endpoint").values():
        (statement,) = json.loads(endpoint["policy"])["Statement"]
        assert statement["Condition"]["StringEquals"] == {
            "aws:PrincipalAccount": "000000000000",
            "aws:ResourceAccount": "000000000000",
        }
