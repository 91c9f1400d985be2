"""What layers promise each other, and the graph that follows from it.

A stack publishes the fields of one frozen dataclass, its :class:`Outputs`; a stack that needs them says so in its
:class:`StackSpec`. The graph of stacks is derived from these declarations alone: there is no second list of
dependencies, and no I/O here.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from shared.errors import UsageError


class ContractError(UsageError):
    """A contract is broken: an output without producer, an undeclared read, a cycle."""


class MissingOutputError(ContractError, AttributeError):
    """An output is read that its contract does not promise."""

    def __init__(self, outputs: type[Outputs], name: str) -> None:
        super().__init__(f"{outputs.__name__} of stack {outputs.stack!r} promises no output {name!r}")
        self.stack = outputs.stack
        self.output = name


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Base of a layer's contract. Fields are ``str`` or ``list[str]``; nothing secret may be one of them.

    ``capabilities`` names the optional capabilities that the outputs belong to: they are published, and may be read,
    where any of them is on. Empty: always.
    """

    stack: ClassVar[str]
    capabilities: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def fields(cls) -> dict[str, type]:
        """Output name -> its type, ``str`` or ``list``."""
        hints = get_type_hints(cls)
        return {field.name: _plain(hints[field.name]) for field in dataclasses.fields(cls)}

    if not TYPE_CHECKING:  # or mypy took every name for an output

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            raise MissingOutputError(type(self), name)


def _plain(hint: Any) -> type:
    if hint is str:
        return str
    if hint == list[str]:
        return list
    raise ContractError(f"an output must be str or list[str], not {hint}")


class Where(StrEnum):
    """Which regions' stacks a need is about, seen from the stack that has it."""

    HERE = "this region"
    PRIMARY = "the primary region"
    OTHERS = "every other region"


@dataclass(frozen=True)
class Need:
    """A stack reads these outputs from the remote state of the stacks in these regions.

    A stack never needs itself: a need of :attr:`Where.PRIMARY` on its own kind is void in the primary region. With
    ``capabilities`` it has the need only where any of them is on.
    """

    outputs: type[Outputs]
    where: Where = Where.HERE
    capabilities: tuple[str, ...] = ()

    def holds(self, on: Collection[str]) -> bool:
        """Whether the need is there with these capabilities on."""
        return _any_on(self.capabilities, on) and _any_on(self.outputs.capabilities, on)


def _any_on(capabilities: Sequence[str], on: Collection[str]) -> bool:
    return not capabilities or any(name in on for name in capabilities)


@dataclass(frozen=True, kw_only=True)
class StackSpec:
    """One kind of stack, with its owner (LAY-07), deployed once in every region unless ``only_primary``.

    Attributes
    ----------
    name
        ``data`` for the layer's regional stack, ``data-links`` for what needs the layer in all regions first.
    layer, owner
        The layer it belongs to (a folder of ``stacks/``) and the team that answers for it.
    publishes
        Its contract.
    also
        What it publishes besides, of capabilities that are on.
    needs
        What it reads of other stacks. This is the graph.
    capabilities
        The stack is there only where any of these is on; always when empty.
    only_primary
        It is there in the primary region alone; the other regions' stacks may need it of there.
    factory
        ``module:Class`` of the construct; imported only to synthesize.
    """

    name: str
    layer: str
    owner: str
    publishes: type[Outputs]
    also: tuple[type[Outputs], ...] = ()
    needs: tuple[Need, ...] = ()
    capabilities: tuple[str, ...] = ()
    only_primary: bool = False
    factory: str

    def exists(self, on: Collection[str]) -> bool:
        """Whether the stack is there with these capabilities on."""
        return _any_on(self.capabilities, on)

    def regions(self, regions: Sequence[str], primary: str) -> list[str]:
        """Where the stack is, of an environment's regions."""
        return [region for region in regions if region == primary or not self.only_primary]

    def contracts(self, on: Collection[str]) -> tuple[type[Outputs], ...]:
        """What the stack publishes with these capabilities on."""
        return (self.publishes, *(outputs for outputs in self.also if _any_on(outputs.capabilities, on)))

    def outputs(self, on: Collection[str]) -> dict[str, type]:
        """Output name -> type, of everything that it publishes with these capabilities on."""
        return {name: kind for outputs in self.contracts(on) for name, kind in outputs.fields().items()}

    def load(self) -> Any:
        """Import the stack class. Imports cdktf, so only synthesis calls it."""
        module, _, name = self.factory.partition(":")
        return getattr(importlib.import_module(module), name)


@dataclass(frozen=True, order=True)
class StackId:
    """A stack of the environment, written ``<name>-<region>``."""

    name: str
    region: str

    def __str__(self) -> str:
        return f"{self.name}-{self.region}"


@dataclass(frozen=True)
class Graph:
    """The stacks of an environment and what each needs, in a deterministic topological order (LAY-04)."""

    needs: dict[StackId, tuple[StackId, ...]]

    @property
    def order(self) -> tuple[StackId, ...]:
        """Producers before consumers."""
        return tuple(self.needs)

    def dependents(self, stack: StackId) -> tuple[StackId, ...]:
        """The stacks that read this one's outputs directly."""
        return tuple(other for other, needs in self.needs.items() if stack in needs)

    def all_needs(self, stacks: Iterable[StackId]) -> set[StackId]:
        """Everything below these stacks, without them."""
        return self._reach(stacks, lambda stack: self.needs[stack])

    def all_dependents(self, stacks: Iterable[StackId]) -> set[StackId]:
        """Everything above these stacks, without them."""
        return self._reach(stacks, self.dependents)

    def waves(self) -> list[list[StackId]]:
        """Stacks that can run at the same time, wave after wave."""
        depth: dict[StackId, int] = {}
        for stack, needs in self.needs.items():
            depth[stack] = 1 + max((depth[need] for need in needs), default=-1)
        waves: list[list[StackId]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
        for stack, level in depth.items():
            waves[level].append(stack)
        return waves

    def reversed(self) -> Graph:
        """The graph of a destroy: consumers before producers."""
        return Graph({stack: self.dependents(stack) for stack in reversed(self.order)})

    @staticmethod
    def _reach(start: Iterable[StackId], step: Any) -> set[StackId]:
        seen: set[StackId] = set()
        todo = list(start)
        begin = set(todo)
        while todo:
            for stack in step(todo.pop()):
                if stack not in seen:
                    seen.add(stack)
                    todo.append(stack)
        return seen - begin


def needed_stacks(spec: StackSpec, need: Need, region: str, regions: Sequence[str], primary: str) -> list[StackId]:
    """The stacks that one need of one stack is about."""
    match need.where:
        case Where.HERE:
            found = [region]
        case Where.PRIMARY:
            found = [primary]
        case Where.OTHERS:
            found = [other for other in regions if other != region]
    stacks = [StackId(need.outputs.stack, other) for other in found]
    return [stack for stack in stacks if stack != StackId(spec.name, region)]


def build_graph(
    specs: Sequence[StackSpec], regions: Sequence[str], primary: str, capabilities: Collection[str] = ()
) -> Graph:
    """Derive the graph of an environment from the declared contracts and the capabilities that are on.

    Raises
    ------
    ContractError
        When a need has no producer, or none where it looks for one, or stacks need each other in a circle; the message
        names them.
    """
    specs = [spec for spec in specs if spec.exists(capabilities)]
    producers = {spec.name: spec for spec in specs}
    needs: dict[StackId, tuple[StackId, ...]] = {}
    for spec in specs:
        for outputs in spec.contracts(capabilities):
            if outputs.stack != spec.name:
                raise ContractError(f"stack {spec.name!r} publishes {outputs.__name__}, the contract of another")
        held = [need for need in spec.needs if need.holds(capabilities)]
        for need in held:
            producer = producers.get(need.outputs.stack)
            if producer is None or need.outputs not in producer.contracts(capabilities):
                raise ContractError(
                    f"stack {spec.name!r} (owner {spec.owner}) needs {need.outputs.__name__} of stack "
                    f"{need.outputs.stack!r}, which nothing publishes"
                )
            if producer.only_primary and need.where is not Where.PRIMARY:
                raise ContractError(
                    f"stack {spec.name!r} (owner {spec.owner}) needs {need.outputs.__name__} of {need.where}; "
                    f"stack {producer.name!r} is in the primary region alone: Where.PRIMARY"
                )
        for region in spec.regions(regions, primary):
            found: dict[StackId, None] = {}
            for need in held:
                found.update(dict.fromkeys(needed_stacks(spec, need, region, regions, primary)))
            needs[StackId(spec.name, region)] = tuple(found)
    return Graph(_topological(needs))


def _topological(needs: dict[StackId, tuple[StackId, ...]]) -> dict[StackId, tuple[StackId, ...]]:
    ordered: dict[StackId, tuple[StackId, ...]] = {}
    waiting = dict(needs)
    while waiting:
        ready = [stack for stack, below in waiting.items() if all(other in ordered for other in below)]
        if not ready:
            raise ContractError(f"stacks need each other in a circle: {' -> '.join(map(str, _circle(waiting)))}")
        for stack in ready:
            ordered[stack] = waiting.pop(stack)
    return ordered


def _circle(waiting: dict[StackId, tuple[StackId, ...]]) -> list[StackId]:
    path = [next(iter(waiting))]
    while True:
        following = next(stack for stack in waiting[path[-1]] if stack in waiting)
        if following in path:
            return [*path[path.index(following) :], following]
        path.append(following)
