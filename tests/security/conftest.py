"""The stacks of every configuration, joined, and the scanners that judge them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rollout import bootstrap
from rollout.scanners import parliament
from rollout.scanners.environments import CONFIGURATIONS, Joined
from rollout.scanners.joined import join
from rollout.scanners.parliament import Analysis
from tests.stacks.conftest import Synthesized, synthesis

__all__ = ["synthesis"]


@pytest.fixture(scope="session")
def environments(synthesis: Callable[[str], Synthesized]) -> list[Joined]:
    """Every configuration of `config/`, so nothing that can be deployed is left out."""
    found = [(path, synthesis(path.name)) for path in sorted(CONFIGURATIONS.glob("*.toml"))]
    return [Joined(path.stem, stacks.environment, join(stacks.out)) for path, stacks in found]


@pytest.fixture(scope="session")
def scanners() -> Path:
    """The interpreter of the scanners' environment, installed on demand."""
    return bootstrap.scanners()


@pytest.fixture(scope="session")
def analysis(environments: list[Joined], scanners: Path) -> Analysis:
    return parliament.analyse((policy for one in environments for policy in one.policies()), scanners)
