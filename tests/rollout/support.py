"""Fakes that the engine's tests share."""

from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rollout.progress import Line
from shared.contracts import Graph, StackId

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
