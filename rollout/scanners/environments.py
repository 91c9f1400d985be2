"""What the scanners look at: every configuration of `config/`, synthesized and joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rollout.scanners.joined import Placed, join
from rollout.scanners.policies import Policy, policies
from shared.config import Environment, load
from stacks.synth import synthesize

CONFIGURATIONS = Path("config")


@dataclass(frozen=True)
class Joined:
    """One configuration's stacks, joined."""

    name: str
    environment: Environment
    resources: Mapping[str, Placed]

    def policies(self) -> Iterator[Policy]:
        """Its policy documents."""
        return policies(self.resources, self.environment.target.account_id, self.name)


def every(out: Path, functions: Path) -> list[Joined]:
    """Synthesize and join all of them."""
    found = []
    for path in sorted(CONFIGURATIONS.glob("*.toml")):
        environment = load(path)
        (out / path.stem).mkdir(parents=True)
        synthesize(environment, out=out / path.stem, functions=functions)
        found.append(Joined(path.stem, environment, join(out / path.stem)))
    return found
