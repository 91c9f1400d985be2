"""The compute layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json

from functions.catalogue import FUNCTIONS, WORKFLOW_FUNCTIONS
from functions.payments.events import DETAIL_TYPES
from functions.payments.model import Status
from functions.workflow import DEFINITION
from shared.config import FailoverSettings
from tests.stacks.conftest import Synthesized


def test_every_function_of_the_catalogue_in_every_region(sandbox: Synthesized) -> None:
    """PAY-03: memory, timeout, reserved concurrency, zip, private subnets, tracing."""
    for region in sandbox.environment.regions:
        functions = sandbox.resources(f"compute-{region}", "aws_lambda_function")
        assert len(functions) == len(FUNCTIONS)
        for function in functions.values():
            assert (function["memory_size"], function["timeout"]) == (3072, 900)
            assert 1 <= function["reserved_concurrent_executions"] <= 5
            assert function["s3_key"].startswith("${aws_s3_object.")
            assert function["source_code_hash"]
            assert function["tracing_config"] == {"mode": "Active"}
            assert function["kms_key_arn"]


def test_functions_that_touch_payments_are_in_the_private_subnets(sandbox: Synthesized) -> None:
    """PAY-03: in the private subnets; outside runs only what reads metrics of other regions."""
    outside = set()
    for name, function in sandbox.resources("compute-us-east-1", "aws_lambda_function").items():
        if "vpc_config" not in function:
            outside.add(name.removeprefix("functions_").rpartition("_function_")[0])
            assert "PAYMENTS_TABLE" not in function["environment"]["variables"]
        else:
            assert "private_subnet_ids" in json.dumps(function["vpc_config"])
    assert outside == {"aggregate_outcomes"}


def test_each_function_has_a_role_of_its_own(sandbox: Synthesized) -> None:
    """PAY-13: one role per function."""
    functions = sandbox.resources("compute-us-east-1", "aws_lambda_function").values()
    assert len({function["role"] for function in functions}) == len(functions)


def test_each_function_is_told_and_granted_what_the_catalogue_says(sandbox: Synthesized) -> None:
    """PAY-13: exactly the catalogue's actions, besides those of any function in a VPC."""
    every = {"logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt"}
    in_vpc = {
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
    }
    stack = "compute-us-east-1"
    for spec in FUNCTIONS:
        id = f"functions_{spec.name}_"
        (function,) = [f for n, f in sandbox.resources(stack, "aws_lambda_function").items() if n.startswith(id)]
        assert set(function["environment"]["variables"]) == set(spec.env_for("simulator"))
        (policy,) = [p for n, p in sandbox.resources(stack, "aws_iam_role_policy").items() if n.startswith(id)]
        allowed = {a for s in json.loads(policy["policy"])["Statement"] for a in s["Action"]}
        own = {a for grant in spec.grants_for("simulator") for a in grant.actions}
        # What is sent to an encrypted queue takes a data key; reaching a table takes decryption only.
        sends = {"sqs:SendMessage", "kms:GenerateDataKey"}
        extra = sends if spec.name in {"publish_changes", "take_over"} else set()
        assert allowed == every | own | extra | (in_vpc if spec.in_vpc else set())


def test_workflow_has_every_step_logs_and_traces(sandbox: Synthesized) -> None:
    """PAY-04: validate, authorize, capture, receipt, complete; logging and tracing on."""
    machine = sandbox.only("compute-ap-southeast-1", "aws_sfn_state_machine")
    for name in WORKFLOW_FUNCTIONS:
        assert f"functions_{name}_" in machine["definition"]
    assert machine["tracing_configuration"] == {"enabled": True}
    assert machine["logging_configuration"]["include_execution_data"] is False
    assert machine["type"] == "STANDARD"


def test_changes_are_captured_once_over_all_regions(sandbox: Synthesized) -> None:
    """PAY-10: filtered by home region; batch, partial failures, bisect, maximum age, on-failure queue."""
    for region in sandbox.environment.regions:
        mapping = sandbox.only(f"compute-{region}", "aws_lambda_event_source_mapping")
        (pattern,) = mapping["filter_criteria"]["filter"]
        assert json.loads(pattern["pattern"]) == {"dynamodb": {"NewImage": {"home_region": {"S": [region]}}}}
        assert mapping["function_response_types"] == ["ReportBatchItemFailures"]
        assert mapping["bisect_batch_on_function_error"] is True
        assert mapping["maximum_record_age_in_seconds"] == 3600
        assert "changes-dlq" in mapping["destination_config"]["on_failure"]["destination_arn"]


def test_nothing_is_started_anew_while_its_workflow_may_run(sandbox: Synthesized) -> None:
    """PAY-23: the least that `failover.stale_after_s` may be is more than the longest run."""
    longest = json.loads(DEFINITION.read_text())["TimeoutSeconds"]
    (least,) = (one.ge for one in FailoverSettings.model_fields["stale_after_s"].metadata if hasattr(one, "ge"))
    assert least > longest
    for region in sandbox.environment.regions:
        functions = sandbox.resources(f"compute-{region}", "aws_lambda_function").values()
        (sweeper,) = (one for one in functions if one["function_name"] == "tripoint-sweep-payments-sandbox")
        variables = sweeper["environment"]["variables"]
        assert (variables["STALE_AFTER_S"], variables["DOWN_AFTER_S"]) == ("300", "180")
        assert variables["FAILOVER_ORDER"].split(",") == list(sandbox.environment.failover_order)


def test_payment_is_forwarded_once_and_never_loops(sandbox: Synthesized) -> None:
    """PAY-05: rules route by the one receiver that the event names; a region's own events are not forwarded."""
    for region in sandbox.environment.regions:
        (arrivals,) = [
            rule
            for rule in sandbox.resources(f"compute-{region}", "aws_cloudwatch_event_rule").values()
            if "next_region" in rule.get("event_pattern", "")
        ]
        assert json.loads(arrivals["event_pattern"])["detail"] == {"next_region": [region]}
        stack = f"compute-links-{region}"
        routes = sandbox.resources(stack, "aws_cloudwatch_event_rule").values()
        receivers = [json.loads(rule["event_pattern"])["detail"]["next_region"] for rule in routes]
        assert sorted(receivers) == sorted([other] for other in sandbox.environment.regions if other != region)
        for target in sandbox.resources(stack, "aws_cloudwatch_event_target").values():
            assert "events_dlq_arn" in target["dead_letter_config"]["arn"]
            assert target["role_arn"].startswith("${aws_iam_role.")


def test_journal_keeps_every_final_state_that_the_region_publishes_and_nothing_else(sandbox: Synthesized) -> None:
    """PAY-23: under the region's key, written by its rule only."""
    for region in sandbox.environment.regions:
        stack = f"compute-{region}"
        (target,) = [
            one
            for one in sandbox.resources(stack, "aws_cloudwatch_event_target").values()
            if one["target_id"] == "journal"
        ]
        assert "aws_cloudwatch_log_group.journal_" in target["arn"]
        assert "role_arn" not in target, "EventBridge takes no role for a log group"
        (pattern,) = [
            json.loads(rule["event_pattern"])
            for rule in sandbox.resources(stack, "aws_cloudwatch_event_rule").values()
            if "journal" in rule["name"]
        ]
        assert set(pattern["detail-type"]) == {DETAIL_TYPES[status] for status in Status if status.is_final}
        assert pattern["detail"] == {"origin_region": [region]}
        policy = json.loads(sandbox.only(stack, "aws_cloudwatch_log_resource_policy")["policy_document"])
        allowed = {statement["Action"]: statement for statement in policy["Statement"]}
        assert set(allowed) == {"logs:CreateLogStream", "logs:PutLogEvents"}
        assert "aws_cloudwatch_event_rule.journal_" in str(allowed["logs:PutLogEvents"]["Condition"])
        assert {statement["Resource"] for statement in allowed.values()} == {target["arn"] + ":*"}


def test_bus_admits_the_routes_of_the_other_regions_only(sandbox: Synthesized) -> None:
    """PAY-05, PAY-13: the bus's policy names the roles of the other regions' routes."""
    (statement,) = json.loads(sandbox.only("compute-eu-west-1", "aws_cloudwatch_event_bus_policy")["policy"])[
        "Statement"
    ]
    admitted = statement["Condition"]["ArnEquals"]["aws:PrincipalArn"]
    assert [arn.rpartition("/")[2] for arn in admitted] == [
        "tripoint-event-routes-us-east-1-sandbox",
        "tripoint-event-routes-ap-southeast-1-sandbox",
    ]
    for region in ("us-east-1", "ap-southeast-1"):
        role = sandbox.only(f"compute-links-{region}", "aws_iam_role")
        assert role["name"] == f"tripoint-event-routes-{region}-sandbox"
