"""What the edge layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec, Where
from stacks.compute.contract import ComputeOutputs, ProcessingOutputs, WebComputeOutputs
from stacks.data.contract import DataOutputs
from stacks.network.contract import WebNetworkOutputs


@dataclass(frozen=True, kw_only=True)
class ZoneOutputs(Outputs):
    """The hosted zone of the environment's names, in which every region's name is proved to ACM."""

    stack: ClassVar[str] = "edge-zone"

    hosted_zone_id: str
    name_servers: list[str]
    # Of the primary region, for the one name: asked for, and issued once ACM finds the proof.
    certificate_arn: str


@dataclass(frozen=True, kw_only=True)
class WebZoneOutputs(Outputs):
    """The same for the web tier's name."""

    stack: ClassVar[str] = "edge-zone"
    capabilities: ClassVar[tuple[str, ...]] = ("web",)

    web_certificate_arn: str


EDGE_ZONE = StackSpec(
    name="edge-zone",
    layer="edge",
    owner="team-edge",
    publishes=ZoneOutputs,
    also=(WebZoneOutputs,),
    only_primary=True,
    factory="stacks.edge.zone:EdgeZoneStack",
)


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
    # Route 53 is global; its metrics (AWS/Route53) are in us-east-1 only.
    health_check_id: str


@dataclass(frozen=True, kw_only=True)
class AssetsOutputs(Outputs):
    """A region's assets bucket, and the one distribution that serves the assets of all regions."""

    stack: ClassVar[str] = "edge"
    capabilities: ClassVar[tuple[str, ...]] = ("assets",)

    assets_bucket_name: str
    assets_bucket_arn: str
    assets_key_arn: str
    # The primary makes the distribution; the others publish its values.
    distribution_id: str
    distribution_arn: str
    distribution_domain_name: str
    distribution_logs_bucket_name: str
    # Without a trailing slash.
    assets_url: str


@dataclass(frozen=True, kw_only=True)
class WebOutputs(Outputs):
    """A region's load balancer, and the name that leads to it."""

    stack: ClassVar[str] = "edge"
    capabilities: ClassVar[tuple[str, ...]] = ("web",)

    web_domain_name: str
    # Without a trailing slash.
    web_url: str
    web_certificate_arn: str
    load_balancer_arn: str
    # How CloudWatch names it: the end of its ARN.
    load_balancer_dimension: str
    load_balancer_dns_name: str


EDGE = StackSpec(
    name="edge",
    layer="edge",
    owner="team-edge",
    publishes=EdgeOutputs,
    also=(AssetsOutputs, WebOutputs),
    # With the static edge, the primary makes the distribution.
    needs=(
        Need(DataOutputs),
        Need(ComputeOutputs),
        Need(ZoneOutputs, Where.PRIMARY),
        Need(WebZoneOutputs, Where.PRIMARY),
        Need(AssetsOutputs, Where.PRIMARY),
        Need(WebNetworkOutputs),
        Need(WebComputeOutputs),
        Need(ProcessingOutputs),
    ),
    factory="stacks.edge.stack:EdgeStack",
)


@dataclass(frozen=True, kw_only=True)
class AssetsLinksOutputs(Outputs):
    """Where a region's assets are replicated to."""

    stack: ClassVar[str] = "edge-links"
    capabilities: ClassVar[tuple[str, ...]] = ("assets",)

    assets_replicated_to: list[str]


EDGE_LINKS = StackSpec(
    name="edge-links",
    layer="edge",
    owner="team-edge",
    publishes=AssetsLinksOutputs,
    # Replication needs every bucket to exist with versioning on.
    needs=(Need(AssetsOutputs), Need(AssetsOutputs, Where.OTHERS)),
    capabilities=("assets",),
    factory="stacks.edge.links:EdgeLinksStack",
)
