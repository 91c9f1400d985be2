"""Fakes that the engine's tests share."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from rollout.progress import Line
from shared.contracts import Graph, Need, Outputs, StackId, StackSpec, Where, build_graph

CONFIG = """
environment = "test"
suffix = "t1"

[project]
name = "tripoint"
owner = "platform-team"
cost_center = "payments"

[target]
kind = "sandbox"
account_id = "000000000000"
endpoint = "http://127.0.0.1:{port}"

[domain]
name = "pay.tripoint.test"

[regions.us-east-1]
primary = true
cidr = "10.10.0.0/16"

[regions.eu-west-1]
cidr = "10.20.0.0/16"
"""

AWS_CONFIG = CONFIG.replace('kind = "sandbox"', 'kind = "aws"').replace('endpoint = "http://127.0.0.1:{port}"\n', "")


@dataclass(frozen=True, kw_only=True)
class NetworkOutputs(Outputs):
    stack: ClassVar[str] = "network"
    vpc_id: str
    subnet_ids: list[str]


@dataclass(frozen=True, kw_only=True)
class DataOutputs(Outputs):
    stack: ClassVar[str] = "data"
    key_arn: str


@dataclass(frozen=True, kw_only=True)
class LinksOutputs(Outputs):
    stack: ClassVar[str] = "data-links"
    rule_arn: str


@dataclass(frozen=True, kw_only=True)
class ComputeOutputs(Outputs):
    stack: ClassVar[str] = "compute"
    function_arn: str


@dataclass(frozen=True, kw_only=True)
class EdgeOutputs(Outputs):
    stack: ClassVar[str] = "edge"
    api_url: str


def spec(outputs: type[Outputs], *needs: Need, layer: str | None = None) -> StackSpec:
    layer = layer or outputs.stack
    return StackSpec(
        name=outputs.stack, layer=layer, owner=f"team-{layer}", publishes=outputs, needs=needs, factory="none:None"
    )


# A catalogue of the tests' own, in the real one's shape, so that a new layer doesn't change what they expect.
SPECS = (
    spec(NetworkOutputs),
    spec(DataOutputs, Need(DataOutputs, Where.PRIMARY)),
    spec(LinksOutputs, Need(DataOutputs), Need(DataOutputs, Where.OTHERS), layer="data"),
    spec(ComputeOutputs, Need(NetworkOutputs), Need(DataOutputs)),
    spec(EdgeOutputs, Need(ComputeOutputs)),
)
REGIONS = ("us-east-1", "eu-west-1")
GRAPH = build_graph(SPECS, REGIONS, "us-east-1")


def promised(stack: StackId) -> list[str]:
    """The outputs that a stack's contract promises."""
    return next(list(spec.publishes.fields()) for spec in SPECS if spec.name == stack.name)


def ids(*names: str) -> tuple[StackId, ...]:
    """Stacks by their full names, in the order of the graph."""
    found = tuple(stack for stack in GRAPH.order if str(stack) in names)
    assert len(found) == len(names), f"no such stack among {names}"
    return found


def stack(name: str, region: str = "r1") -> StackId:
    return StackId(name, region)


def graph_from(needs: dict[str, list[str]]) -> Graph:
    """A graph from names; needs must come before what needs them."""
    return Graph({stack(name): tuple(map(stack, below)) for name, below in needs.items()})


def write_config(folder: Path, text: str = CONFIG, port: int = 20001) -> Path:
    path = folder / "test.toml"
    path.write_text(text.format(port=port))
    return path


def write_script(path: Path, body: str) -> Path:
    """An executable Python script that stands in for a binary."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def files_below(folder: Path) -> list[str]:
    return sorted(str(Path(base, name).relative_to(folder)) for base, _, names in os.walk(folder) for name in names)


@dataclass
class Recorder:
    """A progress that remembers what it was told."""

    said: list[str] = field(default_factory=list)
    states: list[tuple[str, str]] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def begin(self, stacks: object) -> None: ...

    def update(self, line: Line) -> None:
        self.states.append((str(line.stack), line.state))

    def end(self) -> None: ...
