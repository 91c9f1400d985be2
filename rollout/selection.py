"""Which stacks a command is about, and whether the graph allows it. Pure decisions, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from shared.contracts import Graph, StackId, StackSpec
from shared.errors import TripointError, UsageError


class UpstreamMissingError(TripointError):
    """Stacks are to be deployed whose producers are not."""


class DependentsDeployedError(TripointError):
    """Stacks are to be destroyed that deployed ones depend on."""


class StrayStacksError(TripointError):
    """Stacks are deployed that the configuration no longer has, because a capability was switched off."""

    def __init__(self, strays: Iterable[StackId]) -> None:
        super().__init__(
            f"{_names(strays)}: deployed, and no longer configured; switch the capability on again, or destroy them "
            "with all they hold: tripoint rollout --retire"
        )


def select(
    graph: Graph, specs: Sequence[StackSpec], layer: str | None = None, region: str | None = None
) -> tuple[StackId, ...]:
    """The stacks meant by a layer and a region, producers first.

    Parameters
    ----------
    graph, specs
        The environment's stacks.
    layer
        A layer (``data``: all stacks of it), a kind of stack (``data-links``), one stack (``data-eu-west-1``), or None
        for all.
    region
        A region of the environment, or None for all.

    Raises
    ------
    UsageError
        When there is no such layer or region, or the layer has no stack there; the message names the value and what is
        allowed.
    """
    regions = list(dict.fromkeys(stack.region for stack in graph.order))
    if region is not None and region not in regions:
        raise UsageError(f"region {region!r} is not in this environment; allowed: {', '.join(regions)}")
    in_region = [stack for stack in graph.order if region in (None, stack.region)]
    if layer is None:
        return tuple(in_region)
    one = [stack for stack in graph.order if str(stack) == layer]
    if one:
        if one[0] not in in_region:
            raise UsageError(f"stack {layer!r} is not in region {region!r}; leave --region out")
        return tuple(one)
    layers = list(dict.fromkeys(spec.layer for spec in specs))
    names = {spec.name for spec in specs if layer == spec.layer} or {spec.name for spec in specs if layer == spec.name}
    if not names:
        kinds = list(dict.fromkeys([*layers, *(spec.name for spec in specs)]))
        raise UsageError(
            f"layer {layer!r} does not exist; allowed: {', '.join(kinds)}, or one stack such as {graph.order[0]}"
        )
    found = tuple(stack for stack in in_region if stack.name in names)
    if not found:
        elsewhere = dict.fromkeys(stack.region for stack in graph.order if stack.name in names)
        raise UsageError(f"{layer!r} has no stack in region {region!r}; it has in: {', '.join(elsewhere)}")
    return found


def restrict(graph: Graph, chosen: Collection[StackId]) -> Graph:
    """The graph of the chosen stacks alone. Needs that pass through a stack that isn't chosen still hold."""
    return Graph(
        {
            stack: tuple(need for need in graph.order if need in chosen and need in graph.all_needs([stack]))
            for stack in graph.order
            if stack in chosen
        }
    )


def check_upstream(
    graph: Graph,
    chosen: Collection[StackId],
    deployed: Mapping[StackId, Collection[str]],
    promised: Callable[[StackId], Collection[str]],
    owner: Callable[[StackId], str],
) -> None:
    """Refuse to deploy stacks whose producers are neither deployed nor among them (LAY-03, LAY-08).

    Parameters
    ----------
    deployed
        The deployed stacks, each with the names of its deployed outputs.
    promised
        The outputs that a stack's contract promises.
    owner
        Who answers for a stack's layer.

    Raises
    ------
    UpstreamMissingError
        Naming the stacks that are missing, or the outputs that a deployed one lacks, and their owners.
    """
    missing = [stack for stack in graph.order if stack in graph.all_needs(chosen) and stack not in deployed]
    if missing:
        owned = ", ".join(f"{stack} (owner {owner(stack)})" for stack in missing)
        raise UpstreamMissingError(
            f"{_names(chosen)}: upstream stacks are not deployed: {owned}; deploy them first, "
            "or everything with: tripoint rollout"
        )
    for stack in chosen:
        for need in graph.needs[stack]:
            absent = [] if need in chosen else lacking(need, deployed, promised)
            if absent:
                raise UpstreamMissingError(
                    f"{stack}: upstream stack {need} (owner {owner(need)}) is deployed without the outputs "
                    f"{', '.join(absent)}; deploy it again first: tripoint deploy {need}"
                )


def lacking(
    stack: StackId, deployed: Mapping[StackId, Collection[str]], promised: Callable[[StackId], Collection[str]]
) -> list[str]:
    """The outputs that a stack promises and that are not deployed."""
    return [name for name in promised(stack) if name not in deployed.get(stack, ())]


def withdrawals(
    graph: Graph,
    chosen: Collection[StackId],
    deployed: Mapping[StackId, Collection[str]],
    promised: Callable[[StackId], Collection[str]],
) -> tuple[StackId, ...]:
    """The chosen stacks that must be applied before the others, consumers before producers.

    A stack that no longer promises an output may take away what the output told of; its consumers must have let go of
    it by then, or the producer cannot delete it. So they come first, in the order of a destroy.

    Raises
    ------
    UpstreamMissingError
        When one of them needs an output that is not deployed yet: it would have to come first and last.
    """
    losing = [stack for stack in chosen if stack in deployed and set(deployed[stack]) - set(promised(stack))]
    affected = {*losing, *(stack for stack in graph.all_dependents(losing) if stack in chosen and stack in deployed)}
    for stack in affected:
        for need in graph.needs[stack]:
            absent = lacking(need, deployed, promised)
            if absent:
                raise UpstreamMissingError(
                    f"{stack}: {_names(losing)} withdraws outputs, and {need} is to add {', '.join(absent)}; "
                    "do it in two rollouts: first what is switched off, then what is switched on"
                )
    return tuple(stack for stack in reversed(graph.order) if stack in affected)


def to_destroy(
    graph: Graph, chosen: Collection[StackId], deployed: Collection[StackId], *, with_dependents: bool
) -> tuple[StackId, ...]:
    """The stacks that destroying the chosen ones takes along, producers first (LAY-05).

    Raises
    ------
    DependentsDeployedError
        When deployed stacks depend on a chosen one and ``with_dependents`` is not set.
    """
    doomed = [stack for stack in chosen if stack in deployed]
    dependents = {stack for stack in graph.all_dependents(doomed) if stack in deployed and stack not in doomed}
    if dependents and not with_dependents:
        ordered = [stack for stack in graph.order if stack in dependents]
        raise DependentsDeployedError(
            f"{_names(doomed)}: deployed stacks depend on this: {_names(ordered)}; destroy them first, "
            "or all together with --with-dependents"
        )
    return tuple(stack for stack in graph.order if stack in dependents or stack in doomed)


def _names(stacks: Iterable[StackId]) -> str:
    return ", ".join(map(str, stacks))
