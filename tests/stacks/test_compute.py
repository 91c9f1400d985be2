"""The compute layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json

from functions.catalogue import FUNCTIONS, WORKFLOW_FUNCTIONS
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
            assert "private_subnet_ids" in json.dumps(function["vpc_config"])
            assert function["tracing_config"] == {"mode": "Active"}
            assert function["kms_key_arn"]


def test_each_function_has_a_role_of_its_own(sandbox: Synthesized) -> None:
    """PAY-13: one role per function."""
    functions = sandbox.resources("compute-us-east-1", "aws_lambda_function").values()
    assert len({function["role"] for function in functions}) == len(functions)


def test_each_function_is_told_and_granted_what_the_catalogue_says(sandbox: Synthesized) -> None:
    """PAY-13: exactly the catalogue's actions, besides those of any function in a VPC."""
    every = {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:DeleteNetworkInterface",
        "ec2:AssignPrivateIpAddresses",
        "ec2:UnassignPrivateIpAddresses",
        "kms:Decrypt",
        "kms:GenerateDataKey",
    }
    stack = "compute-us-east-1"
    for spec in FUNCTIONS:
        id = f"functions_{spec.name}_"
        (function,) = [f for n, f in sandbox.resources(stack, "aws_lambda_function").items() if n.startswith(id)]
        assert set(function["environment"]["variables"]) == set(spec.env_for("simulator"))
        (policy,) = [p for n, p in sandbox.resources(stack, "aws_iam_role_policy").items() if n.startswith(id)]
        allowed = {a for s in json.loads(policy["policy"])["Statement"] for a in s["Action"]}
        own = {a for grant in spec.grants_for("simulator") for a in grant.actions}
        extra = {"sqs:SendMessage"} if spec.name == "publish_changes" else set()
        assert allowed == every | own | extra


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
