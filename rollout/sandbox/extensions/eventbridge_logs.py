"""EventBridge writes events into log groups, and FilterLogEvents gives out its pages.

Upstream: a target that is a log group is "unsupported", its events are lost; FilterLogEvents stops at 10,000 events
without a token for the rest.

AWS: the event is the text of a log entry, in a stream that EventBridge makes ("Using resource-based policies for Amazon
EventBridge", CloudWatch Logs permissions); a resource policy of the account must admit EventBridge to both; names of
streams are not documented. FilterLogEvents: "nextToken: the token to use when requesting the next set of items".

Patched: `_filter_log_events`. `eventbridge_targets` calls `missing`, `refusal` and `write`. Inputs of targets (`Input`,
`InputPath`, `InputTransformer`) don't reach a group here.
"""

from __future__ import annotations

import json
import time
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.iam import Question
from rollout.sandbox.iam.decisions import from_source, service_refusal

SERVICE = "events.amazonaws.com"
STREAM = "events"
_PAGE = 10_000


def apply() -> None:
    logs = module("services.cloudwatch_logs")

    def filter_log_events(original: Any, data: Any) -> Any:
        group = logs._log_groups.get(logs._resolve_log_group_name(data))
        if group is None:
            return original(data)
        found = _found(logs, group, data)
        begin, size = int(data.get("nextToken") or 0), min(data.get("limit", _PAGE), _PAGE)
        page: dict[str, Any] = {"events": found[begin : begin + size], "searchedLogStreams": []}
        if begin + size < len(found):
            page["nextToken"] = str(begin + size)
        return logs.json_response(page)

    wrap(logs, "_filter_log_events", filter_log_events)


def missing(arn: str) -> bool:
    """Whether there is no such log group in the region of the rule."""
    return module("services.cloudwatch_logs")._resolve_group_by_arn(arn) is None


def refusal(arn: str, rule_arn: str, account: str) -> str:
    """Why EventBridge may not write into a log group; empty if it may."""
    logs = module("services.cloudwatch_logs")
    statements = [
        statement
        for policy in logs._resource_policies.values()
        for statement in json.loads(policy["policyDocument"])["Statement"]
    ]
    stream = f"{arn.removesuffix(':*')}:log-stream:{STREAM}"
    context = from_source(SERVICE, rule_arn, account)
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        refused = service_refusal(SERVICE, {"Statement": statements}, Question(action, stream, context))
        if refused:
            return refused
    return ""


def write(arn: str, event: str) -> None:
    """Add an event to a log group."""
    logs = module("services.cloudwatch_logs")
    group = logs._resolve_group_by_arn(arn)
    if STREAM not in logs._log_groups[group]["streams"]:
        logs._create_log_stream({"logGroupName": group, "logStreamName": STREAM})
    line = {"timestamp": int(time.time() * 1000), "message": event}
    logs._put_log_events({"logGroupName": group, "logStreamName": STREAM, "logEvents": [line]})


def _found(logs: Any, group: Any, data: Any) -> list[dict[str, Any]]:
    begin, end = data.get("startTime", 0), data.get("endTime", float("inf"))
    names = data.get("logStreamNames") or list(group["streams"])
    matches = logs._compile_filter_pattern(data.get("filterPattern", ""))
    with logs._log_events_lock:
        found = [
            {**event, "logStreamName": name}
            for name in names
            if name in group["streams"]
            for event in group["streams"][name]["events"]
            if begin <= event["timestamp"] <= end and matches(event.get("message", ""))
        ]
    return sorted(found, key=lambda event: (event["timestamp"], event["ingestionTime"]))
