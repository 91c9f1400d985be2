"""The graph follows from what stacks declare; broken declarations are named."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from shared.capabilities import CAPABILITIES
from shared.config import load
from shared.contracts import ContractError, Need, Outputs, StackId, StackSpec, Where, build_graph
from stacks.catalogue import STACKS, graph_of


@dataclass(frozen=True, kw_only=True)
class A(Outputs):
    stack: ClassVar[str] = "a"
    thing: str


@dataclass(frozen=True, kw_only=True)
class B(Outputs):
    stack: ClassVar[str] = "b"
    things: list[str]


def spec(publishes: type[Outputs], *needs: Need) -> StackSpec:
    return StackSpec(
        name=publishes.stack, layer="x", owner="team-x", publishes=publishes, needs=needs, factory="none:None"
    )


def test_need_of_here_primary_and_others() -> None:
    """LAY-02: layers are connected by their contracts alone.

    a-r1 -> a-r2, and b-r1 after a-r2, b-r2 after a-r1.
    """
    graph = build_graph([spec(A, Need(A, Where.PRIMARY)), spec(B, Need(A, Where.OTHERS))], ["r1", "r2"], "r1")
    assert graph.needs[StackId("a", "r1")] == ()
    assert graph.needs[StackId("a", "r2")] == (StackId("a", "r1"),)
    assert graph.needs[StackId("b", "r1")] == (StackId("a", "r2"),)
    assert graph.needs[StackId("b", "r2")] == (StackId("a", "r1"),)


def test_order_puts_producers_first_and_destroy_is_the_reverse() -> None:
    """LAY-04: a rollout runs in dependency order, a destroy in reverse."""
    graph = graph_of(load(Path("config/sandbox.toml")))
    seen: set[StackId] = set()
    for stack in graph.order:
        assert set(graph.needs[stack]) <= seen
        seen.add(stack)
    assert graph.reversed().order == tuple(reversed(graph.order))
    for stack, needs in graph.reversed().needs.items():
        assert set(needs) == set(graph.dependents(stack))


def test_global_table_owner_is_first_and_last() -> None:
    """PAY-02: the primary owns the global tables: applied first, destroyed last."""
    environment = load(Path("config/sandbox.toml"))
    graph = graph_of(environment)
    owner = StackId("data", environment.primary)
    for region in environment.regions:
        if region != environment.primary:
            assert owner in graph.needs[StackId("data", region)]
            assert StackId("data", region) in graph.reversed().needs[owner]


def test_one_regions_stacks_need_of_others_only_the_primarys_tables_and_the_zone() -> None:
    """LAY-04: one region's failure stops only what depends on it; no region's edge needs another's."""
    environment = load(Path("config/sandbox.toml"))
    for stack, needs in graph_of(environment).needs.items():
        if stack.name.endswith("-links"):
            continue  # what links all regions waits for all regions
        foreign = {need for need in needs if need.region != stack.region}
        assert foreign <= {StackId("data", environment.primary), StackId("edge-zone", environment.primary)}


def test_a_stack_of_the_primary_alone() -> None:
    """a is there in r2 alone, and b of every region needs it of there."""
    only = replace(spec(A), only_primary=True)
    graph = build_graph([only, spec(B, Need(A, Where.PRIMARY))], ["r1", "r2", "r3"], "r2")
    a = StackId("a", "r2")
    assert graph.needs == {a: (), **{StackId("b", region): (a,) for region in ("r1", "r2", "r3")}}
    for where in (Where.HERE, Where.OTHERS):
        message = rf"'b' \(owner team-x\) needs A of {where}; stack 'a' is in the primary region alone"
        with pytest.raises(ContractError, match=message):
            build_graph([only, spec(B, Need(A, where))], ["r1", "r2"], "r2")


def test_an_output_that_is_not_promised_is_named_and_is_none_to_python() -> None:
    """LAY-08."""
    outputs: Any = A(thing="x")
    with pytest.raises(ContractError, match=r"^A of stack 'a' promises no output 'other'$"):
        outputs.other  # noqa: B018
    assert not hasattr(outputs, "other")
    assert copy.deepcopy(outputs) == outputs


def test_missing_producer_is_named_with_the_owner() -> None:
    """LAY-08: a consumed output without producer is caught before anything runs."""
    with pytest.raises(ContractError, match=r"'b' \(owner team-x\) needs A of stack 'a', which nothing publishes"):
        build_graph([spec(B, Need(A))], ["r1"], "r1")


def test_circle_is_named() -> None:
    with pytest.raises(ContractError, match="circle: a-r1 -> b-r1 -> a-r1"):
        build_graph([spec(A, Need(B)), spec(B, Need(A))], ["r1"], "r1")


def test_stack_must_publish_its_own_contract() -> None:
    with pytest.raises(ContractError, match="the contract of another"):
        build_graph([replace(spec(A), name="z")], ["r1"], "r1")


def test_every_layer_has_an_owner_and_a_readme() -> None:
    """LAY-07: owner and README with its contract."""
    for stack in STACKS:
        text = (Path("stacks") / stack.layer / "README.md").read_text()
        assert stack.owner in text
        for output in stack.outputs(CAPABILITIES):
            assert f"`{output}`" in text, f"stacks/{stack.layer}/README.md does not tell of {output}"
