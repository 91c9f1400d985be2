"""What the network layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Outputs, StackSpec


@dataclass(frozen=True, kw_only=True)
class NetworkOutputs(Outputs):
    """A region's VPC and where functions may live in it."""

    stack: ClassVar[str] = "network"

    vpc_id: str
    private_subnet_ids: list[str]
    functions_security_group_id: str


@dataclass(frozen=True, kw_only=True)
class ApplicationTierOutputs(Outputs):
    """The group of what serves the web tier and may reach the relational store."""

    stack: ClassVar[str] = "network"
    capabilities: ClassVar[tuple[str, ...]] = ("web", "relational")

    application_security_group_id: str


@dataclass(frozen=True, kw_only=True)
class WebNetworkOutputs(Outputs):
    """Where the web tier's load balancer stands."""

    stack: ClassVar[str] = "network"
    capabilities: ClassVar[tuple[str, ...]] = ("web",)

    public_subnet_ids: list[str]
    load_balancer_security_group_id: str


NETWORK = StackSpec(
    name="network",
    layer="network",
    owner="team-network",
    publishes=NetworkOutputs,
    also=(ApplicationTierOutputs, WebNetworkOutputs),
    factory="stacks.network.stack:NetworkStack",
)
