"""Which stacks a command means, and what the graph refuses (LAY-03, LAY-05, LAY-08)."""

from __future__ import annotations

import pytest

from rollout.selection import (
    DependentsDeployedError,
    UpstreamMissingError,
    check_upstream,
    restrict,
    select,
    to_destroy,
)
from shared.contracts import Graph, StackId, StackSpec
from shared.errors import UsageError
from tests.rollout.support import GRAPH, REGIONS, SPECS, ids, promised


def owner(stack: StackId) -> str:
    return next(spec.owner for spec in SPECS if spec.name == stack.name)


def test_a_layer_means_all_its_stacks_in_all_regions() -> None:
    chosen = select(GRAPH, SPECS, "data")
    assert {stack.region for stack in chosen} == set(REGIONS)
    assert {stack.name for stack in chosen} == {"data", "data-links"}


def test_a_kind_of_stack_means_that_kind_alone() -> None:
    assert {stack.name for stack in select(GRAPH, SPECS, "data-links")} == {"data-links"}


def test_a_region_narrows_it_and_a_full_name_is_one_stack() -> None:
    """LAY-03."""
    assert [str(one) for one in select(GRAPH, SPECS, "network", "eu-west-1")] == ["network-eu-west-1"]
    assert [str(one) for one in select(GRAPH, SPECS, "network-eu-west-1")] == ["network-eu-west-1"]
    assert select(GRAPH, SPECS) == GRAPH.order


def test_an_unknown_layer_is_named_with_what_is_allowed() -> None:
    with pytest.raises(UsageError) as caught:
        select(GRAPH, SPECS, "nope")
    assert str(caught.value) == (
        "layer 'nope' does not exist; allowed: network, data, compute, edge, data-links, "
        "or one stack such as network-us-east-1"
    )


def test_an_unknown_region_is_named_with_what_is_allowed() -> None:
    with pytest.raises(
        UsageError, match=r"^region 'mars-1' is not in this environment; allowed: us-east-1, eu-west-1$"
    ):
        select(GRAPH, SPECS, None, "mars-1")


def test_a_layer_that_has_nothing_in_a_region_is_refused() -> None:
    """Nothing was done would read as all is well."""
    alone = StackSpec(
        name="zone", layer="zone", owner="o", publishes=SPECS[0].publishes, only_primary=True, factory="none:None"
    )
    graph = Graph({StackId("zone", "us-east-1"): (), **GRAPH.needs})
    with pytest.raises(UsageError, match=r"^'zone' has no stack in region 'eu-west-1'; it has in: us-east-1$"):
        select(graph, [alone, *SPECS], "zone", "eu-west-1")


def test_a_stack_of_another_region_is_refused() -> None:
    with pytest.raises(UsageError, match="not in region 'us-east-1'"):
        select(GRAPH, SPECS, "network-eu-west-1", "us-east-1")


def test_a_restricted_graph_keeps_needs_through_what_was_left_out() -> None:
    # edge-eu-west-1 needs data-us-east-1 only by way of other stacks.
    chosen = ids("data-us-east-1", "edge-eu-west-1")
    assert restrict(GRAPH, chosen).needs == {chosen[0]: (), chosen[1]: (chosen[0],)}


def test_deploying_without_upstream_names_what_is_missing() -> None:
    """LAY-03."""
    deployed = {stack: promised(stack) for stack in ids("network-eu-west-1", "data-us-east-1")}
    with pytest.raises(
        UpstreamMissingError, match=r"^compute-eu-west-1: .* not deployed: data-eu-west-1 \(owner team-data\); "
    ):
        check_upstream(GRAPH, ids("compute-eu-west-1"), deployed, promised, owner)


def test_deploying_on_upstream_that_lacks_an_output_names_it() -> None:
    """LAY-08: live, not only in the code."""
    deployed = {stack: promised(stack) for stack in GRAPH.order}
    deployed[ids("network-eu-west-1")[0]].remove("vpc_id")
    lacking = r"network-eu-west-1 \(owner team-network\) is deployed without the outputs vpc_id; "
    with pytest.raises(UpstreamMissingError, match=lacking):
        check_upstream(GRAPH, ids("compute-eu-west-1"), deployed, promised, owner)


def test_upstream_that_is_deployed_together_needs_no_outputs_yet() -> None:
    check_upstream(GRAPH, GRAPH.order, {}, promised, owner)


def test_destroying_below_deployed_stacks_is_refused_and_names_them() -> None:
    """LAY-05."""
    with pytest.raises(DependentsDeployedError, match=r"^network-eu-west-1: .*: compute-eu-west-1, edge-eu-west-1; "):
        to_destroy(GRAPH, ids("network-eu-west-1"), GRAPH.order, with_dependents=False)


def test_with_dependents_takes_them_along_and_nothing_else() -> None:
    """LAY-05."""
    doomed = to_destroy(GRAPH, ids("network-eu-west-1"), GRAPH.order, with_dependents=True)
    assert doomed == ids("network-eu-west-1", "compute-eu-west-1", "edge-eu-west-1")


def test_stacks_that_are_not_deployed_are_left_out_of_a_destroy() -> None:
    deployed = ids("network-us-east-1")
    assert to_destroy(GRAPH, GRAPH.order, deployed, with_dependents=False) == tuple(deployed)
