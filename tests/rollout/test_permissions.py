"""A granted action counts as proven only when a recorded call needs it."""

from __future__ import annotations

from typing import Any

from rollout.permissions.mutations import endpoint_mutations, resource_mutations, role_mutations, without
from rollout.permissions.record import RunRecord, grant_of, thing_of
from rollout.permissions.report import page
from rollout.permissions.unproven import reason_for

ROLE = "arn:aws:iam::000000000000:role/tripoint-issue-receipt-eu-west-1-sandbox"
QUEUE = "arn:aws:sqs:eu-west-1:000000000000:tripoint-events-dlq-sandbox"
KEY = "arn:aws:kms:eu-west-1:000000000000:key/k"


def statement(sid: str, resource: str, *actions: str, **more: Any) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": [resource], **more}


def call(action: str, resource: str, principal: str = ROLE, **more: Any) -> dict[str, Any]:
    usual = {"decided_by": "identity", "via": "", "context": {}, "allowed": True, "count": 1, "scenarios": ["a_test"]}
    return {"principal": principal, "action": action, "resource": resource, **usual, **more}


def record(*calls: dict[str, Any], statements: list[dict[str, Any]], resources: Any = None) -> RunRecord:
    roles = {ROLE: {"trust": {"Statement": []}, "policies": {"p": {"Statement": statements}}}}
    return RunRecord.of({"calls": list(calls), "roles": roles, "resources": resources or {}})


def noticed(mutations: Any) -> dict[tuple[str, str], bool]:
    return {(found.granted.sid, found.granted.action): found.noticed for found in mutations}


def test_role_is_called_the_same_in_every_region() -> None:
    assert thing_of(ROLE) == "issue-receipt"
    assert thing_of("arn:aws:iam::1:role/somebody") == "somebody"


def test_grant_for_a_region_is_called_the_same_for_every_region() -> None:
    assert {grant_of(f"WriteReplicas{region}") for region in ("useast1", "euwest1", "apsoutheast1")} == {
        "WriteReplicas"
    }
    assert grant_of("UseRegionalKey") == "UseRegionalKey"


def test_action_is_proven_by_the_call_that_needs_it() -> None:
    put = statement("Put", "arn:aws:s3:::b/*", "s3:PutObject", "s3:GetObject")
    run = record(call("s3:PutObject", "arn:aws:s3:::b/k"), statements=[put])
    assert noticed(role_mutations(run)) == {("Put", "s3:PutObject"): True, ("Put", "s3:GetObject"): False}


def test_call_on_another_resource_proves_nothing() -> None:
    one, other = (statement(sid, f"arn:aws:s3:::{sid}/*", "s3:PutObject") for sid in ("one", "other"))
    run = record(call("s3:PutObject", "arn:aws:s3:::one/k"), statements=[one, other])
    assert noticed(role_mutations(run)) == {("one", "s3:PutObject"): True, ("other", "s3:PutObject"): False}


def test_action_that_two_statements_allow_is_proven_by_neither() -> None:
    twice = [statement(sid, KEY, "kms:GenerateDataKey") for sid in ("first", "second")]
    run = record(call("kms:GenerateDataKey", KEY), statements=twice)
    assert not any(noticed(role_mutations(run)).values())


def test_condition_is_asked_with_the_calls_context() -> None:
    via = {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}
    granted = [statement("Use", KEY, "kms:Decrypt", Condition=via)]
    elsewhere = call("kms:Decrypt", KEY, context={"kms:viaservice": "sqs.eu-west-1.amazonaws.com"})
    here = call("kms:Decrypt", KEY, context={"kms:viaservice": "s3.eu-west-1.amazonaws.com"})
    proven = role_mutations(record(here, statements=granted))[0]
    assert [found.context for found in proven.denied] == [here["context"]]
    # A call that the policy never allowed isn't denied by the removal.
    assert role_mutations(record({**elsewhere, "allowed": False}, statements=granted))[0].noticed is False


def test_denied_call_proves_nothing() -> None:
    run = record(call("sqs:SendMessage", QUEUE, allowed=False), statements=[statement("S", QUEUE, "sqs:SendMessage")])
    assert not role_mutations(run)[0].noticed


def test_services_permission_on_a_queue_is_proven_by_a_delivery() -> None:
    admits = statement("Rules", QUEUE, "sqs:SendMessage", Principal={"Service": "events.amazonaws.com"})
    delivery = call("sqs:SendMessage", QUEUE, "events.amazonaws.com", decided_by="resource")
    resources = {QUEUE: {"Statement": [admits]}}
    assert noticed(resource_mutations(record(delivery, statements=[], resources=resources))) == {
        ("Rules", "sqs:SendMessage"): True
    }
    assert noticed(resource_mutations(record(statements=[], resources=resources))) == {
        ("Rules", "sqs:SendMessage"): False
    }


def test_endpoints_action_is_proven_by_what_goes_through_it() -> None:
    resources = {"vpce-1": {"Statement": [statement("Own", "*", "dynamodb:GetItem", "dynamodb:Query", Principal="*")]}}
    through = call("dynamodb:GetItem", "t", decided_by="endpoint", context={"aws:sourcevpce": "vpce-1"})
    assert noticed(endpoint_mutations(record(through, statements=[], resources=resources))) == {
        ("Own", "dynamodb:GetItem"): True,
        ("Own", "dynamodb:Query"): False,
    }


def test_statement_goes_with_its_last_action() -> None:
    document = {"Statement": [statement("One", "*", "a:B"), statement("Two", "*", "a:B", "a:C")]}
    assert [left["Sid"] for left in without(document, 0, "a:B")["Statement"]] == ["Two"]
    assert without(document, 1, "a:B")["Statement"][1]["Action"] == ["a:C"]
    assert document["Statement"][1]["Action"] == ["a:B", "a:C"]


def test_page_names_the_scenario_and_what_lacks_a_reason() -> None:
    granted = [statement("Put", "arn:aws:s3:::b/*", "s3:PutObject", "s3:MadeUp")]
    text = page(record(call("s3:PutObject", "arn:aws:s3:::b/k"), statements=granted))
    assert "| issue-receipt | Put | `s3:PutObject` | the code | `a_test` |" in text
    assert "| `s3:MadeUp` | issue-receipt | **no reason written down** |" in text


def test_reason_of_every_function_holds_for_functions_only() -> None:
    assert reason_for("validate", "No", "s:Such") == ""
    assert reason_for("apigateway-logs", "WriteApiLogs", "logs:GetLogEvents")
    assert not reason_for("validate", "WriteApiLogs", "logs:GetLogEvents")
