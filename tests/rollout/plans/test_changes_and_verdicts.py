"""Reading plans, and which of them may be applied as they are."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from rich.console import Console

from rollout.plans.applicable import refusals
from rollout.plans.changes import Action, ResourceChange, StackDiff, StackPlan, planned_outputs, read_plan
from rollout.plans.document import document
from rollout.plans.stateful import STATEFUL
from rollout.plans.table import loss_lines, table
from rollout.report import RunReport, StackResult
from rollout.schedule import Status
from shared.contracts import StackId
from tests.rollout.support import GRAPH, ids


def entry(address: str, *actions: str, **more: Any) -> dict[str, Any]:
    change = {"actions": list(actions), "before": None, "after": None, **more.pop("change", {})}
    return {"address": address, "type": address.partition(".")[0], "mode": "managed", "change": change, **more}


DOCUMENT = {
    "resource_changes": [
        entry("aws_vpc.same", "no-op"),
        entry("aws_vpc.new", "create"),
        entry("aws_sqs_queue.q", "update", change={
            "before": {"delay": 1, "name": "q", "tags": None}, "after": {"delay": 2, "name": "q", "tags": None},
            "after_unknown": {"arn": True},
        }),
        entry("aws_dynamodb_table.t", "delete", "create", action_reason="replace_because_cannot_update",
              change={"replace_paths": [["attribute", 0, "name"], ["hash_key"]]}),
        entry("aws_vpc.swap", "create", "delete", action_reason="replace_because_tainted"),
        entry("aws_kms_key.k", "delete", action_reason="delete_because_no_resource_config"),
        entry("aws_iam_role.r", "delete"),
        entry("aws_s3_bucket.kept", "forget"),
        {**entry("data.aws_region.here", "read"), "mode": "data"},
        entry("terraform_data.guard", "create"),
    ],
    "output_changes": {
        "same": {"actions": ["no-op"], "after": "a"}, "new": {"actions": ["create"], "after_unknown": True},
        "other": {"actions": ["update"], "after": "b", "after_unknown": False}, "gone": {"actions": ["delete"]},
    },
}  # fmt: skip


def test_a_plan_is_read_as_terraform_describes_it() -> None:
    plan = read_plan(DOCUMENT, without=["terraform_data.guard"])
    found = {change.address: change for change in plan.resources}
    assert {address: str(change.action) for address, change in found.items()} == {
        "aws_vpc.new": "create", "aws_sqs_queue.q": "update", "aws_dynamodb_table.t": "replace",
        "aws_vpc.swap": "replace", "aws_kms_key.k": "delete", "aws_iam_role.r": "delete",
        "aws_s3_bucket.kept": "forget",
    }  # fmt: skip
    assert found["aws_sqs_queue.q"].attributes == ("arn", "delay")
    assert found["aws_dynamodb_table.t"].why == "cannot be changed in place (attribute[0].name, hash_key)"
    assert (plan.new_outputs, plan.lost_outputs) == (("new", "other"), ("gone",))
    counted = plan.as_changes
    assert (counted.add, counted.change, counted.remove, counted.outputs) == (3, 1, 4, 3)
    assert counted.replaced == ("aws_dynamodb_table.t", "aws_vpc.swap")
    assert read_plan({}).none


def test_only_what_holds_something_and_goes_is_a_loss() -> None:
    assert [change.address for change in read_plan(DOCUMENT).losses] == ["aws_dynamodb_table.t", "aws_kms_key.k"]


def test_what_holds_data_in_this_platform_counts_as_stateful() -> None:
    """Every kind of store that the layers make; a new one is to be added to the list."""
    lines = (Path(__file__).parents[2] / "stacks/core_resources.txt").read_text().splitlines()
    wanted = {
        "aws_dynamodb_table", "aws_dynamodb_table_replica", "aws_s3_bucket", "aws_kms_key", "aws_sqs_queue",
        "aws_cloudwatch_log_group", "aws_route53_zone",
    }  # fmt: skip
    assert wanted <= STATEFUL
    assert wanted <= {line.split()[1] for line in lines}


def test_what_a_plan_knows_of_outputs() -> None:
    assert planned_outputs(DOCUMENT) == {"same": ("a", None), "new": (None, True), "other": ("b", False)}


def verdicts(plans: dict[str, StackPlan], mocked: dict[str, str] | None = None) -> dict[str, str]:
    by_name = {str(stack): stack for stack in GRAPH.order}
    found = refusals(
        GRAPH,
        {by_name[name]: plan for name, plan in plans.items()},
        {by_name[name]: [by_name[upstream]] for name, upstream in (mocked or {}).items()},
    )
    return {str(stack): why for stack, why in found.items()}


VPC = ResourceChange("aws_vpc.a", "aws_vpc", Action.UPDATE)
CHANGES, NOTHING = StackPlan((VPC,)), StackPlan()


def test_a_plan_whose_upstream_changes_no_output_may_be_applied() -> None:
    assert verdicts({"network-us-east-1": CHANGES, "compute-us-east-1": CHANGES, "edge-us-east-1": CHANGES}) == {}


def test_changed_outputs_have_everything_above_planned_again() -> None:
    found = verdicts({
        "network-us-east-1": StackPlan((VPC,), ("vpc_id",)), "compute-us-east-1": NOTHING, "edge-us-east-1": CHANGES,
        "compute-eu-west-1": CHANGES,
    })  # fmt: skip
    assert found == {
        "compute-us-east-1": "must be planned again after network-us-east-1",
        "edge-us-east-1": "must be planned again after compute-us-east-1",
    }


def test_a_plan_with_mock_outputs_and_all_above_it_may_not_be_applied() -> None:
    found = verdicts(
        {"compute-us-east-1": CHANGES, "edge-us-east-1": NOTHING}, {"compute-us-east-1": "network-us-east-1"}
    )
    assert found == {
        "compute-us-east-1": "planned with mock outputs of network-us-east-1",
        "edge-us-east-1": "must be planned again after compute-us-east-1",
    }


def test_an_output_is_withdrawn_after_its_consumers_have_changed() -> None:
    """LAY-08: consumers let go first."""
    losing = StackPlan((VPC,), (), ("subnet_ids",))
    assert verdicts({"network-us-east-1": losing, "compute-us-east-1": CHANGES}) == {
        "network-us-east-1": "withdraws subnet_ids: must be planned again after compute-us-east-1",
    }
    assert verdicts({"network-us-east-1": losing, "compute-us-east-1": NOTHING}) == {}


def test_a_stack_that_is_no_longer_configured_is_not_applied_from_a_plan() -> None:
    stray = StackId("relational", "us-east-1")
    [why] = refusals(GRAPH, {stray: CHANGES}, {}, [stray]).values()
    assert why == "no longer configured: destroyed by tripoint rollout --retire"


def report() -> RunReport:
    found = RunReport("diff", "test", "t1", "c", {"account_id": "0"}, 1, seconds=3.0)
    data, compute = ids("data-us-east-1", "compute-us-east-1")
    found.stacks = [
        StackResult(data, Path("x"), Status.PLANNED, diff=StackDiff(read_plan(DOCUMENT))),
        StackResult(compute, Path("x"), Status.PLANNED, diff=StackDiff(
            CHANGES, {data: ("key_arn",)}, "planned with mock outputs of data-us-east-1"
        )),
    ]  # fmt: skip
    return found


def test_the_table_counts_replacements_once_and_marks_what_is_lost_in_red() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=160, force_terminal=True, color_system="standard")
    console.print(table(report()))
    text = stream.getvalue()
    plain = io.StringIO()
    Console(file=plain, width=160).print(table(report()))
    rows = [line.split() for line in plain.getvalue().splitlines() if line.strip()]
    assert ["data-us-east-1", "planned", "2", "1", "2", "2", "3", "2"] in rows
    assert ["2", "stacks", "2", "2", "2", "2", "3", "2"] in rows
    [labelled] = [row for row in rows if row[0] == "compute-us-east-1"]
    assert " ".join(labelled[8:]) == "planned with mock outputs of data-us-east-1"
    red = "\x1b[1;31m"
    # Of data-us-east-1 and of the totals: what is replaced, what is destroyed, and what is lost.
    assert text.count(red) == 6
    lines = [str(line) for line in loss_lines(report())]
    assert lines == [
        "Destroyed with what they hold:",
        "  data-us-east-1: aws_dynamodb_table.t replaced: cannot be changed in place (attribute[0].name, hash_key)",
        "  data-us-east-1: aws_kms_key.k destroyed: no longer in the stack",
    ]
    assert all("red" in str(line.style) for line in loss_lines(report()))


def test_no_changes_for_now_is_told_from_no_changes() -> None:
    """What is planned on outputs that are about to change says so, although it would do nothing yet."""
    found = report()
    refused = StackDiff(NOTHING, refusal="must be planned again after network-us-east-1")
    found.stacks = [StackResult(ids("compute-us-east-1")[0], Path("x"), Status.UNCHANGED, diff=refused)]
    stream = io.StringIO()
    Console(file=stream, width=160).print(table(found))
    assert "0  must be planned again after network-us-east-1" in stream.getvalue()


def test_without_losses_nothing_is_red() -> None:
    found = report()
    found.stacks = found.stacks[1:]
    stream = io.StringIO()
    Console(file=stream, width=160, force_terminal=True, color_system="standard").print(table(found))
    assert "\x1b[1;31m" not in stream.getvalue()
    assert loss_lines(found) == []


def test_the_document_says_per_stack_what_changes_and_on_what_ground_and_no_values() -> None:
    found = document(report())
    assert found["changes"]
    assert found["totals"] == {
        "create": 2, "update": 2, "replace": 2, "delete": 2, "forget": 1, "import": 0, "outputs": 3, "stateful": 2,
    }  # fmt: skip
    data, compute = found["stacks"]
    [lost] = [change for change in data["changes"] if change["address"] == "aws_dynamodb_table.t"]
    assert lost == {
        "address": "aws_dynamodb_table.t", "type": "aws_dynamodb_table", "action": "replace", "stateful": True,
        "loses_state": True, "attributes": [], "reason": "cannot be changed in place",
        "forced_by": ["attribute[0].name", "hash_key"],
    }  # fmt: skip
    assert (data["applicable"], data["mock_outputs"]) == (True, {})
    assert (compute["applicable"], compute["mock_outputs"]) == (False, {"data-us-east-1": ["key_arn"]})
    assert json.loads(json.dumps(found)) == found
