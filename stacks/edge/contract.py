"""What the edge layer promises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.contracts import Need, Outputs, StackSpec
from stacks.compute.contract import ComputeOutputs
from stacks.data.contract import DataOutputs


@dataclass(frozen=True, kw_only=True)
class EdgeOutputs(Outputs):
    """A region's REST API."""

    stack: ClassVar[str] = "edge"

    api_id: str
    api_name: str
    api_stage: str
    # Where callers reach this region's API directly, without a trailing slash.
    api_url: str


EDGE = StackSpec(
    name="edge",
    layer="edge",
    owner="team-edge",
    publishes=EdgeOutputs,
    needs=(Need(DataOutputs), Need(ComputeOutputs)),
    factory="stacks.edge.stack:EdgeStack",
)
