"""Python functions fail, import, log and are measured as in AWS's own runtime."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollout.sandbox import Sandbox
from tests.sandbox.clients import ACCOUNT, Clients, eventually

DECLINES = """
import os
class PaymentDeclined(Exception):
    pass
def handler(event, context):
    print("trying")
    if event.get("fail"):
        raise PaymentDeclined("card refused")
    return {"pid": os.getpid()}
"""


def run_workflow(aws: Clients, name: str, definition: dict[str, Any]) -> dict[str, Any]:
    states = aws("stepfunctions")
    machine = states.create_state_machine(
        name=name,
        definition=json.dumps(definition),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/workflow",
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    return eventually(
        lambda: states.describe_execution(executionArn=execution),
        lambda found: found["status"] != "RUNNING",
    )


def metric_sum(aws: Clients, namespace: str, metric: str, **dimensions: str) -> float:
    now = datetime.now(UTC)
    found = aws("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in found["Datapoints"]))


@pytest.fixture(scope="module")
def declines(aws: Clients) -> str:
    aws.function("declines", DECLINES)
    return "declines"


def test_an_exception_is_reported_under_its_class_name(aws: Clients, declines: str) -> None:
    answer = aws.invoke(declines, {"fail": True})
    assert answer["error"]
    assert answer["payload"]["errorType"] == "PaymentDeclined"
    assert answer["payload"]["errorMessage"] == "card refused"
    assert 'raise PaymentDeclined("card refused")' in answer["payload"]["stackTrace"][-1]


def test_upstream_still_hides_the_class_of_an_exception(plain_aws: Clients) -> None:
    plain_aws.function("declines", DECLINES)
    answer = plain_aws.invoke("declines", {"fail": True})
    assert answer["payload"]["errorType"] == "Runtime.HandlerError"


def test_a_failed_invocation_leaves_its_environment_warm(aws: Clients, declines: str) -> None:
    before = aws.invoke(declines)["payload"]["pid"]
    aws.invoke(declines, {"fail": True})
    assert aws.invoke(declines)["payload"]["pid"] == before


def test_step_functions_catches_an_exception_by_name(aws: Clients, declines: str) -> None:
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": declines, "Payload": {"fail": True}},
        "Retry": [{"ErrorEquals": ["Transient"], "MaxAttempts": 3}],
        "Catch": [{"ErrorEquals": ["PaymentDeclined"], "Next": "Declined"}],
        "End": True,
    }
    declined = {"Type": "Pass", "Result": {"status": "DECLINED"}, "End": True}
    ended = run_workflow(
        aws,
        "catches",
        {"StartAt": "Pay", "States": {"Pay": task, "Declined": declined}},
    )
    assert ended["status"] == "SUCCEEDED"
    assert json.loads(ended["output"]) == {"status": "DECLINED"}


def test_a_throttled_task_fails_under_the_documented_name(aws: Clients, declines: str) -> None:
    aws.function("closed", DECLINES)
    aws("lambda").put_function_concurrency(FunctionName="closed", ReservedConcurrentExecutions=0)
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "closed", "Payload": {}},
        "Catch": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "Next": "Later"}],
        "End": True,
    }
    ended = run_workflow(
        aws,
        "throttled",
        {"StartAt": "Pay", "States": {"Pay": task, "Later": {"Type": "Succeed"}}},
    )
    assert ended["status"] == "SUCCEEDED"


@pytest.mark.parametrize(
    ("package", "expected"),
    [("boto3", None), ("pydantic", "Runtime.ImportModuleError")],
)
def test_a_function_sees_the_packages_of_the_managed_runtime_only(
    aws: Clients, package: str, expected: str | None
) -> None:
    aws.function(f"imports-{package}", f"import {package}\ndef handler(e, c):\n    return {{}}")
    answer = aws.invoke(f"imports-{package}")
    assert answer["payload"].get("errorType") == expected


def test_a_function_does_not_see_this_repository(aws: Clients) -> None:
    aws.function("looks-around", "import rollout\ndef handler(e, c):\n    return {}")
    assert "No module named 'rollout'" in aws.invoke("looks-around")["payload"]["errorMessage"]


def test_an_answer_that_is_not_json_is_a_marshal_error(aws: Clients) -> None:
    aws.function("returns-object", "def handler(e, c):\n    return object()")
    assert aws.invoke("returns-object")["payload"]["errorType"] == "Runtime.MarshalError"


def test_invocations_are_measured_from_every_source_and_throttles_apart(aws: Clients) -> None:
    aws.function("measured", DECLINES)
    aws.invoke("measured")
    aws.invoke("measured", {"fail": True})
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "measured", "Payload": {}},
        "End": True,
    }
    run_workflow(aws, "measures", {"StartAt": "Pay", "States": {"Pay": task}})
    aws("lambda").put_function_concurrency(FunctionName="measured", ReservedConcurrentExecutions=0)
    with pytest.raises(aws("lambda").exceptions.TooManyRequestsException):
        aws.invoke("measured")
    measured = {
        metric: metric_sum(aws, "AWS/Lambda", metric, FunctionName="measured")
        for metric in ("Invocations", "Errors", "Throttles")
    }
    assert measured == {"Invocations": 3, "Errors": 1, "Throttles": 1}


def test_a_throttled_asynchronous_event_is_kept_until_there_is_room(aws: Clients) -> None:
    url, _ = aws.queue("late-results")
    source = (
        "import boto3\ndef handler(event, context):\n"
        f"    boto3.client('sqs').send_message(QueueUrl='{url}', MessageBody='done')\n"
    )
    aws.function("late", source)
    functions = aws("lambda")
    functions.put_function_concurrency(FunctionName="late", ReservedConcurrentExecutions=0)
    functions.invoke(FunctionName="late", InvocationType="Event", Payload=b"{}")
    eventually(lambda: metric_sum(aws, "AWS/Lambda", "Throttles", FunctionName="late"), bool)
    functions.put_function_concurrency(FunctionName="late", ReservedConcurrentExecutions=1)
    assert aws.receive(url) == ["done"]


def test_the_log_of_an_invocation_is_complete(aws: Clients) -> None:
    aws.function("talks", "def handler(e, c):\n    for n in range(500):\n        print('line', n)")
    aws.invoke("talks")
    pages = aws("logs").get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/talks")
    lines = [event["message"].strip() for page in pages for event in page["events"]]
    assert [line for line in lines if line.startswith("line")] == [f"line {n}" for n in range(500)]


def test_the_workers_of_a_stopped_sandbox_are_gone(aws: Clients, sandbox: Sandbox) -> None:
    aws.function("stays", DECLINES)
    aws.invoke("stays")
    assert (sandbox.status().lambda_workers or 0) > 0
