"""Executions are logged, measured, started idempotently, and retried within a limit."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from rollout.sandbox.extensions.stepfunctions_runs import is_logged
from tests.sandbox.clients import ACCOUNT, HOME, Clients, eventually

WAITS = {"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 300, "End": True}}}
PASSES = {"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}}


def machine(aws: Clients, name: str, definition: dict[str, Any], **settings: Any) -> str:
    arn: str = aws("stepfunctions").create_state_machine(
        name=name,
        definition=json.dumps(definition),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/workflow",
        **settings,
    )["stateMachineArn"]
    return arn


def logged_machine(aws: Clients, name: str, level: str) -> str:
    group = f"/aws/vendedlogs/states/{name}"
    aws("logs").create_log_group(logGroupName=group)
    destination = {"cloudWatchLogsLogGroup": {"logGroupArn": f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:{group}:*"}}
    logging = {"level": level, "includeExecutionData": False, "destinations": [destination]}
    return machine(aws, name, PASSES, loggingConfiguration=logging)


def log_lines(aws: Clients, name: str) -> list[dict[str, Any]]:
    found = aws("logs").filter_log_events(logGroupName=f"/aws/vendedlogs/states/{name}")["events"]
    return [json.loads(event["message"]) for event in found]


def test_an_execution_is_logged_without_its_data(aws: Clients) -> None:
    arn = logged_machine(aws, "logged", "ALL")
    aws("stepfunctions").start_execution(stateMachineArn=arn, input='{"secret": 1}')
    lines = eventually(lambda: log_lines(aws, "logged"), lambda found: len(found) >= 4)
    kinds = ["ExecutionStarted", "PassStateEntered", "PassStateExited", "ExecutionSucceeded"]
    assert [line["type"] for line in lines] == kinds
    assert "secret" not in json.dumps(lines)


def test_upstream_still_writes_no_execution_log(plain_aws: Clients) -> None:
    arn = logged_machine(plain_aws, "logged", "ALL")
    plain_aws("stepfunctions").start_execution(stateMachineArn=arn)
    time.sleep(0.5)
    assert log_lines(plain_aws, "logged") == []


@pytest.mark.parametrize(
    ("level", "kind", "expected"),
    [
        ("ALL", "TaskStateEntered", True),
        ("ERROR", "TaskStateEntered", False),
        ("ERROR", "TaskFailed", True),
        ("ERROR", "ExecutionFailed", True),
        ("ERROR", "FailStateEntered", True),
        ("FATAL", "TaskFailed", False),
        ("FATAL", "ExecutionTimedOut", True),
        ("OFF", "ExecutionFailed", False),
    ],
)
def test_a_level_selects_the_events(level: str, kind: str, expected: bool) -> None:
    assert is_logged(level, kind) == expected


def test_a_running_standard_execution_is_started_again_as_itself(aws: Clients) -> None:
    states, arn = aws("stepfunctions"), machine(aws, "idempotent", WAITS)
    first = states.start_execution(stateMachineArn=arn, name="pay-1", input='{"a": 1}')
    again = states.start_execution(stateMachineArn=arn, name="pay-1", input='{"a":1}')
    assert first["executionArn"] == again["executionArn"]
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(stateMachineArn=arn, name="pay-1", input='{"a": 2}')


def test_an_express_execution_starts_again_under_the_same_name(aws: Clients) -> None:
    states, arn = aws("stepfunctions"), machine(aws, "express", PASSES, type="EXPRESS")
    first, again = (states.start_execution(stateMachineArn=arn, name="pay-1") for _ in range(2))
    assert first["executionArn"] != again["executionArn"]


def test_upstream_still_refuses_a_name_that_is_used_again(plain_aws: Clients) -> None:
    states, arn = plain_aws("stepfunctions"), machine(plain_aws, "express", PASSES, type="EXPRESS")
    states.start_execution(stateMachineArn=arn, name="pay-1")
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        states.start_execution(stateMachineArn=arn, name="pay-1")


def test_a_retry_waits_no_longer_than_its_maximum_delay(aws: Clients) -> None:
    aws.function("never-works", "def handler(e, c): raise ValueError('no')")
    retry = {"ErrorEquals": ["ValueError"], "IntervalSeconds": 30, "MaxAttempts": 2, "MaxDelaySeconds": 1}
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "never-works"},
        "Retry": [{**retry, "JitterStrategy": "FULL"}],
        "End": True,
    }
    states = aws("stepfunctions")
    execution = states.start_execution(
        stateMachineArn=machine(aws, "retries", {"StartAt": "Try", "States": {"Try": task}})
    )["executionArn"]
    ended = eventually(
        lambda: states.describe_execution(executionArn=execution), lambda found: found["status"] != "RUNNING"
    )
    assert ended["status"] == "FAILED"


def test_a_synchronous_execution_needs_no_host_of_its_own(aws: Clients) -> None:
    arn = machine(aws, "synchronous", PASSES, type="EXPRESS")
    assert aws("stepfunctions").start_sync_execution(stateMachineArn=arn)["status"] == "SUCCEEDED"


def test_executions_are_counted(aws: Clients) -> None:
    arn = machine(aws, "counted", PASSES)
    aws("stepfunctions").start_execution(stateMachineArn=arn)

    def counted() -> set[str]:
        found = aws("cloudwatch").list_metrics(
            Namespace="AWS/States", Dimensions=[{"Name": "StateMachineArn", "Value": arn}]
        )
        return {metric["MetricName"] for metric in found["Metrics"]}

    expected = {"ExecutionsStarted", "ExecutionsSucceeded", "ExecutionTime"}
    assert eventually(counted, lambda names: names == expected) == expected
