"""Executions are logged, measured, started idempotently, and retried with a limit and jitter.

Upstream: `loggingConfiguration` has no effect; there are no AWS/States metrics; a second
StartExecution with the same name always fails, for Express state machines too; `MaxDelaySeconds`
and `JitterStrategy` are ignored.

AWS: "Using CloudWatch Logs to log execution history in Step Functions" (levels ALL, ERROR, FATAL;
with `includeExecutionData` off no input and output); "Monitoring Step Functions metrics using
Amazon CloudWatch"; StartExecution is idempotent for Standard workflows while the execution runs
with the same input, and Express workflows start again (API reference, StartExecution); "Error
handling in Step Functions" for retriers.

Patched: `_add_event`, `_start_execution`, `_find_matching_retrier`.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from rollout.sandbox.emulator import module, wrap

_FATAL = ("ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut")
_ERRORS = ("Failed", "Aborted", "TimedOut")
_DATA = ("input", "output", "parameters", "inputDetails", "outputDetails")
_METRICS = {
    "ExecutionSucceeded": "ExecutionsSucceeded",
    "ExecutionFailed": "ExecutionsFailed",
    "ExecutionAborted": "ExecutionsAborted",
    "ExecutionTimedOut": "ExecutionsTimedOut",
}
_FOREVER_S = 60.0 * 60.0 * 24.0 * 365.0


def apply() -> None:
    workflows = module("services.stepfunctions")

    def add_event(original: Any, execution: Any, kind: str, details: Any = None) -> Any:
        event = original(execution, kind, details)
        first = execution["events"][0]
        for shown in (first, event) if event["id"] == 2 else (event,):
            _log(workflows, execution, shown)
        _measure(execution, kind)
        return event

    def start(original: Any, data: Any) -> Any:
        machine = workflows._state_machines.get(workflows._resolve_state_machine_arn(data.get("stateMachineArn")))
        name = data.get("name")
        if machine is None or not name:
            return original(data)
        if machine.get("type") == "EXPRESS":
            answer = original({**data, "name": f"{name}:{uuid.uuid4()}"})
            if answer[0] == 200:
                workflows._executions[json.loads(answer[2])["executionArn"]]["name"] = name
            return answer
        arn = machine["stateMachineArn"].replace(":stateMachine:", ":execution:") + f":{name}"
        running = workflows._executions.get(arn)
        if running and running["status"] == "RUNNING" and _same(running["input"], data.get("input", "{}")):
            return workflows.json_response({"executionArn": arn, "startDate": running["startDate"]})
        return original(data)

    def find_retrier(original: Any, retriers: Any, error: str, counts: Any) -> Any:
        retrier, index = original(retriers, error, counts)
        if retrier is None:
            return retrier, index
        delay = float(retrier.get("IntervalSeconds", 1)) * float(retrier.get("BackoffRate", 2.0)) ** counts.get(
            index, 0
        )
        delay = min(delay, float(retrier.get("MaxDelaySeconds", _FOREVER_S)))
        if retrier.get("JitterStrategy") == "FULL":
            delay = random.uniform(0.0, delay)
        # Upstream computes interval * rate ** count of what it gets.
        return {**retrier, "IntervalSeconds": delay, "BackoffRate": 1.0}, index

    wrap(workflows, "_add_event", add_event)
    wrap(workflows, "_start_execution", start)
    wrap(workflows, "_find_matching_retrier", find_retrier)


def is_logged(level: str, kind: str) -> bool:
    """Whether a log level includes an event."""
    if level == "ERROR":
        return kind.endswith(_ERRORS) or kind == "FailStateEntered"
    return level == "ALL" or (level == "FATAL" and kind in _FATAL)


def _same(one: str, other: str) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return one == other


def _log(workflows: Any, execution: Any, event: Any) -> None:
    machine = workflows._state_machines.get(execution["stateMachineArn"]) or {}
    logging = machine.get("loggingConfiguration") or {}
    if not is_logged(logging.get("level", "OFF"), event["type"]):
        return
    details: dict[str, Any] = next((value for name, value in event.items() if name.endswith("EventDetails")), {})
    if not logging.get("includeExecutionData"):
        details = {name: value for name, value in details.items() if name not in _DATA}
    at_ms = int(time.time() * 1000)
    line = {
        "id": str(event["id"]),
        "type": event["type"],
        "details": details,
        "previous_event_id": str(event["id"] - 1),
        "event_timestamp": str(at_ms),
        "execution_arn": execution["executionArn"],
        "redrive_count": "0",
    }
    for destination in logging.get("destinations") or []:
        arn = (destination.get("cloudWatchLogsLogGroup") or {}).get("logGroupArn", "")
        group = arn.partition(":log-group:")[2].removesuffix(":*")
        _write(group, f"states/{machine['name']}/{_hour(execution)}", json.dumps(line), at_ms)


def _hour(execution: Any) -> str:
    started = str(execution["startDate"])[:13].replace("T", "-")
    return started or datetime.now(UTC).strftime("%Y-%m-%d-%H")


def _write(group: str, stream: str, message: str, at_ms: int) -> None:
    logs = module("services.cloudwatch_logs")
    if group not in logs._log_groups:
        return
    streams = logs._log_groups[group]["streams"]
    if stream not in streams:
        logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
    event = {"timestamp": at_ms, "message": message, "ingestionTime": at_ms, "eventId": str(uuid.uuid4())}
    logs._append_log_events(streams[stream], [event])
    logs._fanout_to_subscription_filters(group, stream, [event])


def _measure(execution: Any, kind: str) -> None:
    record = module("services.cloudwatch").record_metric
    dimensions = {"StateMachineArn": execution["stateMachineArn"]}
    if len(execution["events"]) == 2:
        record("AWS/States", "ExecutionsStarted", 1, "Count", dimensions)
    if kind in _METRICS:
        record("AWS/States", _METRICS[kind], 1, "Count", dimensions)
        started = datetime.fromisoformat(str(execution["startDate"]).replace("Z", "+00:00"))
        took_ms = max(0.0, time.time() - started.timestamp()) * 1000.0
        record("AWS/States", "ExecutionTime", took_ms, "Milliseconds", dimensions)
