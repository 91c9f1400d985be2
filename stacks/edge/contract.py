"""What the edge layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec, Where
from stacks.compute.contract import ComputeOutputs
from stacks.data.contract import DataOutputs


@dataclass(frozen=True, kw_only=True)
class EdgeOutputs(Outputs):
    """A region's REST API, and how the one name leads to it."""

    stack: ClassVar[str] = "edge"

    api_id: str
    api_name: str
    api_stage: str
    # Where callers reach this region's API directly, without a trailing slash.
    api_url: str
    # The one name; the URL with which callers reach the nearest healthy region, without a trailing slash.
    domain_name: str
    custom_url: str
    # What the name's latency record of this region points at.
    regional_domain_name: str
    certificate_arn: str
    hosted_zone_id: str
    name_servers: list[str]
    # Route 53 is global; its metrics (AWS/Route53) are in us-east-1 only.
    health_check_id: str


EDGE = StackSpec(
    name="edge",
    layer="edge",
    owner="team-edge",
    publishes=EdgeOutputs,
    # The primary makes the hosted zone and proves the name to ACM for every region.
    needs=(Need(DataOutputs), Need(ComputeOutputs), Need(EdgeOutputs, Where.PRIMARY)),
    factory="stacks.edge.stack:EdgeStack",
)
