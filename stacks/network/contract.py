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


NETWORK = StackSpec(
    name="network",
    layer="network",
    owner="team-network",
    publishes=NetworkOutputs,
    factory="stacks.network.stack:NetworkStack",
)
