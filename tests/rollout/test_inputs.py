"""What an apply goes by: what counts as a change of it and what does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from rollout.engine.inputs import ApplyRecord, Inputs, Reads, inputs_of, parse_record, reads_of, record_of
from rollout.state import DeployedStack
from tests.rollout.support import stack

TOOLS = {"terraform": "1.11.4", "tripoint": "1"}


def document(*reads: str, data: dict[str, Any] | None = None) -> bytes:
    """A synthesized stack that reads these outputs of the stack `data-r1`."""
    source = {"from-data-r1": {"backend": "s3", "config": {"key": "data-r1/terraform.tfstate"}}}
    locals_ = {f"l{number}": f"${{{read}}}" for number, read in enumerate(reads)}
    return json.dumps({"data": {"terraform_remote_state": source, **(data or {})}, "locals": locals_}).encode()


def state(serial: int = 3, **outputs: Any) -> DeployedStack:
    return DeployedStack(stack("data"), serial, datetime.now(UTC), 2, outputs, "1.11.4", lineage="l")


def record(serial: int = 3, **facts: Any) -> ApplyRecord:
    inputs = Inputs("d", {}, {}, TOOLS)
    known = {"lineage": "l", "serial": serial, "applied_at": "then", "rebuilt": "l:1", "changed": "l:2"}
    return ApplyRecord(**{**known, "inputs": inputs, **facts})


def inputs(
    body: bytes,
    *,
    upstream: DeployedStack | None = None,
    last: ApplyRecord | None = None,
    tools: dict[str, str] | None = None,
) -> Inputs:
    states = {"data-r1": upstream} if upstream else {}
    records = {"data-r1": last} if last else {}
    return inputs_of(body, reads_of(body), states=states, records=records, tools=tools or TOOLS)


KEY = "data.terraform_remote_state.from-data-r1.outputs.key_arn"


def test_outputs_read_are_found_wherever_they_stand_in_an_expression() -> None:
    body = document(f"element({KEY}, 0)", "data.terraform_remote_state.from-data-r1.outputs.bucket", KEY)
    assert reads_of(body) == Reads({"data-r1": ("bucket", "key_arn")})


def test_a_remote_state_that_is_read_as_a_whole_stands_for_all_its_outputs() -> None:
    body = document("data.terraform_remote_state.from-data-r1")
    assert reads_of(body).outputs == {"data-r1": None}
    before, after = inputs(body, upstream=state(a="1")), inputs(body, upstream=state(a="1", b="2"))
    assert "data-r1.b changed" in after.differences(before)


def test_a_data_source_that_nobody_can_foresee_is_named() -> None:
    body = document(data={"aws_ami": {}, "aws_subnet": {}, "aws_availability_zones": {}})
    assert reads_of(body) == Reads({"data-r1": ()}, sources=("aws_subnet",), unknown=("aws_ami",))


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ({"body": document(KEY, data={"x": {}})}, ["the synthesized JSON changed"]),
        ({"upstream": state(key_arn="another", bucket="b")}, ["data-r1.key_arn changed"]),
        (
            {"tools": {**TOOLS, "terraform": "1.12.0"}},
            ["terraform 1.11.4 then, 1.12.0 now"],
        ),
        ({"last": record(rebuilt="l:3")}, ["resources of data-r1 changed"]),
        ({"upstream": state(4, key_arn="k", bucket="b")}, ["resources of data-r1 changed"]),
        ({"upstream": None, "last": None}, ["data-r1.key_arn changed", "resources of data-r1 changed"]),
        ({"upstream": state(key_arn="k", bucket="not read")}, []),
        ({"last": record(changed="l:3")}, []),
    ],
)
def test_every_difference_is_named_and_nothing_else(now: dict[str, Any], says: list[str]) -> None:
    """A resource made anew upstream counts even when it has the old name; an output that isn't read does not."""
    then: dict[str, Any] = {"body": document(KEY), "upstream": state(key_arn="k", bucket="b"), "last": record()}
    before, after = then, {**then, **now}
    assert inputs(after.pop("body"), **after).differences(inputs(before.pop("body"), **before)) == says


def test_any_change_upstream_counts_for_a_stack_that_looks_at_the_resources_themselves() -> None:
    body = document(data={"aws_dynamodb_table": {}})
    before = inputs(body, upstream=state(), last=record())
    assert inputs(body, upstream=state(), last=record(changed="l:3")).differences(before) == [
        "resources of data-r1 changed"
    ]


def test_a_record_is_read_as_it_was_written_and_another_schema_is_none() -> None:
    written = record()
    assert parse_record(written.render()) == written
    assert parse_record(written.render().replace(b'"schema": 1', b'"schema": 2')) is None
    assert parse_record(b"{") is None
    assert parse_record(b"[]") is None
    for name, value in (("tools", 7), ("outputs", None), ("ground", [])):
        changed = json.loads(written.render())
        changed["inputs"][name] = value
        assert parse_record(json.dumps(changed).encode()) is None


@pytest.mark.parametrize(
    ("removed", "changed", "rebuilt_now", "changed_now"),
    [(False, False, False, False), (False, True, False, True), (True, True, True, True)],
)
def test_a_record_keeps_since_when_the_ground_is_as_it_is(
    removed: bool, changed: bool, rebuilt_now: bool, changed_now: bool
) -> None:
    made = record_of(
        Inputs("d", {}, {}, TOOLS),
        before=state(3),
        last=record(3),
        after=state(4),
        applied_at="now",
        removed=removed,
        changed=changed,
    )
    assert made.rebuilt == ("l:4" if rebuilt_now else "l:1")
    assert made.changed == ("l:4" if changed_now else "l:2")
    assert made.of(state(4))
    assert not made.of(state(5))


def test_what_somebody_else_did_in_between_may_have_been_anything() -> None:
    made = record_of(
        Inputs("d", {}, {}, TOOLS),
        before=state(5),
        last=record(3),
        after=state(6),
        applied_at="now",
        removed=False,
        changed=False,
    )
    assert (made.rebuilt, made.changed) == ("l:6", "l:6")
