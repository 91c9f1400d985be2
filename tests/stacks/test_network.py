"""The network layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import LONGEST_PREFIX, PRIVATE_BLOCKS, SHORTEST_PREFIX
from stacks.network.addresses import AddressPlan
from tests.stacks.conftest import Synthesized


@st.composite
def blocks(draw: st.DrawFn) -> str:
    """Any block that a configuration may give a region."""
    outer = draw(st.sampled_from(PRIVATE_BLOCKS))
    prefix = draw(st.integers(max(SHORTEST_PREFIX, outer.prefixlen), LONGEST_PREFIX))
    index = draw(st.integers(0, 2 ** (prefix - outer.prefixlen) - 1))
    return str(IPv4Network((int(outer.network_address) + (index << (32 - prefix)), prefix)))


def subnets(plan: AddressPlan) -> list[IPv4Network]:
    return [IPv4Network(block) for block in (*plan.private, *plan.public)]


@given(cidr=blocks(), zones=st.integers(1, 3))
def test_address_plan_splits_any_block_without_overlap(cidr: str, zones: int) -> None:
    """PAY-17: non-overlapping blocks over the zones, all within the region's."""
    plan = AddressPlan.of(cidr, zones)
    found = subnets(plan)
    assert len(plan.private) == len(plan.public) == zones
    assert all(subnet.subnet_of(IPv4Network(cidr)) for subnet in found)
    assert not any(one.overlaps(other) for one, other in combinations(found, 2))
    # AWS reserves five addresses of a subnet; a load balancer wants at least 8 free ones in each of its.
    assert all(subnet.num_addresses - 5 >= (8 if str(subnet) in plan.public else 1_000) for subnet in found)


@given(first=blocks(), second=blocks(), zones=st.integers(1, 3))
def test_plans_overlap_only_where_the_blocks_do(first: str, second: str, zones: int) -> None:
    """PAY-17: what `shared/config.py` refuses is all that could collide."""
    if not IPv4Network(first).overlaps(IPv4Network(second)):
        one, other = subnets(AddressPlan.of(first, zones)), subnets(AddressPlan.of(second, zones))
        assert not any(a.overlaps(b) for a, b in product(one, other))


def test_address_plan_of_a_block_of_16_stays_as_it_is() -> None:
    """Another plan would replace every subnet of what is deployed."""
    assert AddressPlan.of("10.10.0.0/16", 3) == AddressPlan(
        private=("10.10.0.0/18", "10.10.64.0/18", "10.10.128.0/18"),
        public=("10.10.192.0/24", "10.10.193.0/24", "10.10.194.0/24"),
    )


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
