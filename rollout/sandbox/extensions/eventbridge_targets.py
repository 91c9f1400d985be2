"""EventBridge delivers to the buses of other regions, retries functions, and keeps what it can't
deliver.

Upstream: an event for another region's bus is dropped; in the same region, forwarding rewrites the
event's `region`, and a chain of buses forwards without end; a function is invoked once, without
retries or its dead-letter queue; a target's `DeadLetterConfig` is ignored; there are no AWS/Events
metrics.

AWS: events go from the rule's bus to another region's bus ("Sending and receiving events between
AWS Regions in Amazon EventBridge"); `region` is where the event originated ("AWS service event
metadata"), so it stays; "EventBridge can't route events received from a sender event bus to a
third event bus" ("Sending events between event buses in the same account and Region"); functions
are invoked asynchronously; undeliverable events go to the target's queue with the reason in the
message attributes ("Using dead-letter queues to process undelivered events"). Queues, topics and
functions of other regions are no targets.

With IAM enforced a target takes what its policy, its key's, or the target's role allows ("Using
resource-based policies for Amazon EventBridge"); what may not be delivered counts as failed.

Patched: `_create_event_bus`, `_dispatch_to_event_bus`, `_dispatch_to_lambda`, `_invoke_target`. Of ERROR_CODE only
NO_PERMISSIONS is AWS's. Retries towards a missing target don't happen.
"""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.extensions import eventbridge_logs
from rollout.sandbox.extensions.iam_record import delivery_refusal
from rollout.sandbox.extensions.service_roles import invocation_refusal
from rollout.sandbox.iam import Question, key_refusal, role_refusal
from rollout.sandbox.iam.decisions import enforced, from_source

SERVICE = "events.amazonaws.com"

# "Authorizing EventBridge to use a customer managed key"; asked once, when the bus is made.
_BUS_KEY = ("kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt")

# Why the target that is being invoked can't be reached.
_problems: ContextVar[list[str] | None] = ContextVar("tripoint_undeliverable", default=None)

logger = logging.getLogger("tripoint.events")


def apply() -> None:
    events, scope = module("services.eventbridge"), module("core.responses").request_scope

    def dispatch_to_bus(_: Any, spec: Any, event: Any, rule: Any, path: Any, payload: Any = None) -> None:
        if path:
            logger.warning("event %s came from another bus and is not forwarded to a third", event.get("EventId"))
            return
        name = spec.resource.partition("/")[2]
        came_by = events._rule_key(rule.get("Name"), rule.get("EventBusName", "default"))
        forwarded = {**event, "EventBusName": name, "_DispatchPath": [came_by]}
        if payload is not None:
            forwarded["Detail"] = payload
        with scope(spec.account_id, spec.region):
            if name not in events._event_buses:
                _fail(f"event bus {name} does not exist in {spec.region}")
                return
            events._dispatch_event(forwarded)
            events._archive_event({key: value for key, value in forwarded.items() if key != "_DispatchPath"})

    def dispatch_to_lambda(_: Any, arn: str, payload: str) -> None:
        functions = module("services.lambda_svc")
        function, config, _name = functions._get_func_record_for_ref(arn)
        if not function or not config:
            _fail(f"function {arn} does not exist")
            return
        functions.invoke_async_with_retry(functions._execution_record_for_config(function, config), json.loads(payload))

    def invoke_target(original: Any, target: Any, event: Any, rule: Any, view: Any = None) -> None:
        problems: list[str] = _missing(events, target)
        refused = "" if problems else _refusal(events, target, rule)
        problems += [refused] if refused else []
        if not problems:
            token = _problems.set(problems)
            try:
                if _is_log_group(target):
                    eventbridge_logs.write(
                        target["Arn"], json.dumps(events._pattern_event_view(event).event_with_detail())
                    )
                else:
                    original(target, event, rule, view)
            finally:
                _problems.reset(token)
        _measure(rule, failed=bool(problems))
        if problems:
            logger.warning("target %s of rule %s: %s", target.get("Arn"), rule.get("Name"), problems[0])
            _keep(events, target, event, rule, ("NO_PERMISSIONS" if refused else "TARGET_UNREACHABLE", problems[0]))

    def create_bus(original: Any, data: Any) -> Any:
        account, region = events.get_account_id(), events.get_region()
        bus = f"arn:aws:events:{region}:{account}:event-bus/{data.get('Name')}"
        context = {**from_source(SERVICE, bus, account), "kms:EncryptionContext:aws:events:event-bus:arn": bus}
        refused = key_refusal(data.get("KmsKeyIdentifier"), _BUS_KEY, context, service=SERVICE)
        return events.error_response_json("ValidationException", refused, 400) if refused else original(data)

    wrap(events, "_create_event_bus", create_bus)
    wrap(events, "_dispatch_to_event_bus", dispatch_to_bus)
    wrap(events, "_dispatch_to_lambda", dispatch_to_lambda)
    wrap(events, "_invoke_target", invoke_target)


def _is_log_group(target: Any) -> bool:
    return str(target.get("Arn", "")).split(":")[2:3] == ["logs"]


def _fail(reason: str) -> None:
    problems = _problems.get()
    if problems is not None:
        problems.append(reason)


def _missing(events: Any, target: Any) -> list[str]:
    """Why a queue, topic, log group or state machine can't be reached; [] if it can or is of another kind."""
    spec = module("core.arn").parse_arn(target["Arn"])
    if spec.service in ("sqs", "sns", "lambda", "logs") and spec.region != events.get_region():
        return [f"{target['Arn']} is in another region"]
    exists = {
        "sqs": lambda: module("services.sqs")._queue_by_arn(target["Arn"]) is not None,
        "sns": lambda: target["Arn"] in module("services.sns")._topics,
        "logs": lambda: not eventbridge_logs.missing(target["Arn"]),
        "states": lambda: module("services.stepfunctions")._resolve_state_machine_arn(target["Arn"]) is not None,
    }.get(spec.service)
    return [] if exists is None or exists() else [f"{target['Arn']} does not exist"]


def _refusal(events: Any, target: Any, rule: Any) -> str:
    """Why a rule may not deliver to its target; empty if it may, or the target is of another kind."""
    arn, source, account = str(target["Arn"]), str(rule["Arn"]), events.get_account_id()
    service = arn.split(":")[2]
    context = from_source(SERVICE, source, account)
    if not enforced():
        return ""
    if service == "lambda":
        return invocation_refusal(SERVICE, arn, source, account)
    if service == "sqs":
        queue = module("services.sqs")._queue_by_arn(arn)
        return delivery_refusal(SERVICE, Question("sqs:SendMessage", arn, context), queue["attributes"])
    if service == "sns":
        topic = module("services.sns")._topics[arn]
        return delivery_refusal(SERVICE, Question("sns:Publish", arn, context), topic["attributes"])
    actions = {"events": "events:PutEvents", "states": "states:StartExecution"}
    if service not in actions:
        return eventbridge_logs.refusal(arn, source, account) if service == "logs" else ""
    return role_refusal(target.get("RoleArn") or "", SERVICE, source, Question(actions[service], arn))


def _measure(rule: Any, *, failed: bool) -> None:
    record = module("services.cloudwatch").record_metric
    dimensions = {"RuleName": rule["Name"]}
    bus = rule.get("EventBusName", "default")
    if bus != "default":
        dimensions["EventBusName"] = bus
    record("AWS/Events", "Invocations", 1, "Count", dimensions)
    if failed:
        record("AWS/Events", "FailedInvocations", 1, "Count", dimensions)


def _keep(events: Any, target: Any, event: Any, rule: Any, why: tuple[str, str]) -> None:
    """Put the event into the target's dead-letter queue."""
    arn = (target.get("DeadLetterConfig") or {}).get("Arn")
    queue = module("services.sqs")._queue_by_arn(arn) if arn else None
    if queue is None or _refusal(events, {"Arn": arn}, rule):
        return
    body = json.dumps(events._pattern_event_view(event).event_with_detail())
    events._dispatch_to_sqs(module("core.arn").parse_arn(arn), body)
    said = {
        "RULE_ARN": rule["Arn"],
        "TARGET_ARN": target["Arn"],
        "ERROR_CODE": why[0],
        "ERROR_MESSAGE": why[1],
        "EXHAUSTED_RETRY_CONDITION": "NonRetryableError",
    }
    queue["messages"][-1]["message_attributes"] = {
        name: {"DataType": "String", "StringValue": value} for name, value in said.items()
    }
