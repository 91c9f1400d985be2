"""Every kind of stack that there is (LAY-01). Adding a layer means adding its spec here."""

from __future__ import annotations

from shared.config import Environment
from shared.contracts import Graph, StackSpec, build_graph
from stacks.compute.contract import COMPUTE, COMPUTE_LINKS
from stacks.data.contract import DATA, DATA_LINKS, RELATIONAL
from stacks.edge.contract import EDGE, EDGE_LINKS, EDGE_ZONE
from stacks.network.contract import NETWORK
from stacks.observability.contract import OBSERVABILITY, OBSERVABILITY_LINKS

STACKS: tuple[StackSpec, ...] = (
    NETWORK,
    DATA,
    DATA_LINKS,
    RELATIONAL,
    COMPUTE,
    COMPUTE_LINKS,
    EDGE_ZONE,
    EDGE,
    EDGE_LINKS,
    OBSERVABILITY,
    OBSERVABILITY_LINKS,
)


def spec_of(name: str) -> StackSpec:
    """The spec of a stack name such as ``data-links``."""
    return next(spec for spec in STACKS if spec.name == name)


def specs_of(environment: Environment) -> tuple[StackSpec, ...]:
    """The kinds of stacks that an environment has, with the capabilities that are on."""
    return tuple(spec for spec in STACKS if spec.exists(environment.capabilities))


def graph_of(environment: Environment) -> Graph:
    """The stacks of an environment and what each needs."""
    return build_graph(STACKS, list(environment.regions), environment.primary, environment.capabilities)
