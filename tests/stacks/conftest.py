"""Stacks synthesized once per configuration and session, and read back as Terraform would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.config import Environment, load
from shared.tags import PIPELINE_TAGS
from stacks.synth import synthesize


@dataclass(frozen=True)
class Synthesized:
    """The Terraform JSON of an environment's stacks."""

    environment: Environment
    out: Path

    @property
    def stacks(self) -> list[str]:
        return sorted(folder.name for folder in (self.out / "stacks").iterdir())

    def stack(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.out / "stacks" / name / "cdk.tf.json").read_text())
        return found

    def resources(self, stack: str, type: str) -> dict[str, dict[str, Any]]:
        """The resources of one type, by their Terraform names."""
        found: dict[str, dict[str, Any]] = self.stack(stack).get("resource", {}).get(type, {})
        return found

    def only(self, stack: str, type: str) -> dict[str, Any]:
        """The one resource of a type."""
        (found,) = self.resources(stack, type).values()
        return found

    def everything(self) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
        """(stack, type, name, resource) of every resource of every stack."""
        for stack in self.stacks:
            for type, resources in self.stack(stack).get("resource", {}).items():
                for name, resource in resources.items():
                    yield stack, type, name, resource


# Not the fixture's own: suites that take the fixture over have an instance each.
_DONE: dict[str, Synthesized] = {}


@pytest.fixture(scope="session")
def synthesis(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Synthesized]:
    """Synthesize a configuration of `config/`, once."""

    def of(name: str) -> Synthesized:
        if name not in _DONE:
            environment = load(Path("config") / name)
            out = tmp_path_factory.mktemp(name.removesuffix(".toml"))
            with pytest.MonkeyPatch.context() as patch:
                for variable in PIPELINE_TAGS:  # those of the pipeline that runs the tests
                    patch.delenv(variable, raising=False)
                synthesize(environment, out=out, functions=Path(".tripoint/functions"))
            _DONE[name] = Synthesized(environment, out)
        return _DONE[name]

    return of


@pytest.fixture(scope="session")
def sandbox(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox.toml")


@pytest.fixture(scope="session")
def aws(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("example-aws.toml")
