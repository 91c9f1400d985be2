"""Drift: what somebody changed and a deployment would undo, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rollout.drift import Difference, document, lines, read_drift
from rollout.report import RunReport
from rollout.schedule import Status
from tests.rollout.support import GRAPH, ids
from tests.rollout.test_engine import World, statuses


def change(address: str, actions: str, before: Any = None, after: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "address": address,
        "type": address.partition(".")[0],
        "change": {"actions": actions.split(), "before": before, "after": after, **more},
    }


def found(drifted: dict[str, Any], planned: dict[str, Any] | None = None) -> list[str]:
    drift = read_drift({"resource_drift": [drifted], "resource_changes": [planned] if planned else []})
    return [str(difference) for one in drift.resources for difference in one.differences]


def test_an_attribute_that_somebody_changed_is_named_with_both_values() -> None:
    drifted = change("aws_sqs_queue.q", "update", {"delay": 30, "name": "q"}, {"delay": 77, "name": "q"})
    planned = change("aws_sqs_queue.q", "update", {"delay": 77, "name": "q"}, {"delay": 30, "name": "q"})
    assert found(drifted, planned) == ["delay: 30 -> 77"]


def test_what_no_deployment_would_undo_is_only_counted() -> None:
    """A bucket's policy is another resource's; AWS answers with nothing where nothing was set."""
    drifted = change("aws_s3_bucket.b", "update", {"policy": "", "tags": None}, {"policy": "{}", "tags": {}})
    same = change("aws_s3_bucket.b", "no-op", {"policy": "{}", "tags": {}}, {"policy": "{}", "tags": {}})
    drift = read_drift({"resource_drift": [drifted], "resource_changes": [same]})
    assert (drift.resources, drift.unmanaged) == ((), 1)


def test_a_change_of_the_configuration_is_not_drift() -> None:
    drifted = change("aws_sqs_queue.q", "update", {"layers": None, "delay": 1}, {"layers": [], "delay": 1})
    planned = change("aws_sqs_queue.q", "update", {"layers": [], "delay": 1}, {"layers": [], "delay": 2})
    assert found(drifted, planned) == []
    assert found(change("aws_vpc.a", "no-op"), change("aws_sqs_queue.q", "update", {"delay": 1}, {"delay": 2})) == []


def test_a_tag_is_told_once_and_as_it_was() -> None:
    """``tags`` leaves out the provider's default tags."""
    before = {"tags": None, "tags_all": {"Owner": "platform", "Layer": "data"}}
    after = {"tags": {"Owner": "me", "Extra": "x"}, "tags_all": {"Owner": "me", "Extra": "x", "Layer": "data"}}
    drifted = change("aws_dynamodb_table.t", "update", before, after)
    planned = change("aws_dynamodb_table.t", "update", after, before)
    assert found(drifted, planned) == ['tags.Extra: null -> "x"', 'tags.Owner: "platform" -> "me"']


def test_a_deep_change_is_named_by_its_path_and_a_sensitive_one_not_shown() -> None:
    before = {"rule": [{"days": 1, "key": "a"}], "secret": "old"}
    after = {"rule": [{"days": 2, "key": "b"}], "secret": "new"}
    marks = {"rule": [{"key": True}], "secret": True}
    drifted = change("aws_x.a", "update", before, after, before_sensitive=marks, after_sensitive={})
    planned = change("aws_x.a", "update", after, before)
    assert found(drifted, planned) == [
        "rule[0].days: 1 -> 2", "rule[0].key: (sensitive) -> (sensitive)", "secret: (sensitive) -> (sensitive)",
    ]  # fmt: skip


def test_a_long_value_is_cut_short() -> None:
    assert len(str(Difference("policy", "x" * 1000, "y" * 1000))) < 300


def test_a_resource_that_somebody_deleted_is_named_and_one_that_is_to_go_is_not() -> None:
    gone = change("aws_vpc.a", "delete", {"id": "vpc-1"})
    drift = read_drift({"resource_drift": [gone], "resource_changes": [change("aws_vpc.a", "create")]})
    assert [(one.address, one.deleted) for one in drift.resources] == [("aws_vpc.a", True)]
    assert read_drift({"resource_drift": [gone]}).resources == ()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_only_what_is_deployed_is_looked_at_and_nothing_is_changed(world: World) -> None:
    chosen = ids("network-us-east-1", "data-us-east-1")
    world.engine().deploy(chosen)
    before = world.calls("apply")
    report = world.engine().drift(GRAPH.order)
    assert statuses(report) == {"network-us-east-1": "unchanged", "data-us-east-1": "unchanged"}
    assert world.calls("apply") == before
    said = document(report, GRAPH.order)
    assert (said["drift"], len(said["not_deployed"])) == (False, len(GRAPH.order) - 2)


def test_the_lines_and_the_document_name_stack_resource_and_attribute(world: World) -> None:
    world.engine().deploy(ids("network-us-east-1"))
    report: RunReport = world.engine().drift(ids("network-us-east-1"))
    [result] = report.stacks
    result.status = Status.DRIFTED
    drifted = change("aws_vpc.a", "update", {"tags": {"a": 1}}, {"tags": {"a": 2}})
    planned = change("aws_vpc.a", "update", {"tags": {"a": 2}}, {"tags": {"a": 1}})
    result.drift = read_drift({"resource_drift": [drifted], "resource_changes": [planned]})
    assert list(lines(report)) == ["network-us-east-1: aws_vpc.a", "  tags.a: 1 -> 2"]
    [stack] = document(report, GRAPH.order)["stacks"]
    assert stack["status"] == "drifted"
    assert stack["resources"] == [{
        "address": "aws_vpc.a", "type": "aws_vpc", "action": "update",
        "attributes": [{"path": "tags.a", "before": 1, "after": 2}],
    }]  # fmt: skip
    assert report.ok
