"""Every role does with its own policy what the tests before this one asked of the system, and holds nothing else."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from rollout.permissions.mutations import resource_mutations, role_mutations
from rollout.permissions.record import PATH, RunRecord
from rollout.permissions.unproven import EVERY_FUNCTION, REASONS, RESOURCE_REASONS, reason_for
from tests.integration.conftest import FINAL, Deployment

REGION = "us-east-1"


def waiting(deployment: Deployment, queue: str) -> list[str]:
    """The bodies of what a queue of the region holds, taken out of it."""
    sqs = deployment.client("sqs", REGION)
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [message["Body"] for message in found]


# What no other test asks for: the ways that things take when they fail.


def test_receipt_deleted_in_one_region_is_deleted_in_the_others(deployment: Deployment) -> None:
    """PAY-11: delete markers are replicated."""
    other = next(region for region in deployment.regions if region != REGION)
    here, there = (deployment.output("data", region, "receipts_bucket_name") for region in (REGION, other))
    payment_id = deployment.api(REGION).pay(f"it-{uuid.uuid4()}").json()["payment_id"]
    assert deployment.api(REGION).final(payment_id)["status"] == "SETTLED"

    def receipts() -> list[str]:
        listed = deployment.client("s3", other).list_objects_v2(Bucket=there, Prefix="receipts/")
        return [item["Key"] for item in listed.get("Contents", []) if payment_id in item["Key"]]

    (receipt,) = receipts()
    deployment.client("s3", REGION).delete_object(Bucket=here, Key=receipt)
    assert receipts() == []


def test_event_that_cannot_be_taken_over_is_kept(deployment: Deployment, eventually: Callable[..., Any]) -> None:
    """PAY-05, PAY-23: what a function fails on, again and again, ends in the queue of undelivered events."""
    name = next(name for name in deployment.output("compute", REGION, "function_names") if "take-over" in name)
    mark = str(uuid.uuid4())
    nonsense = json.dumps({"detail": mark}).encode()
    deployment.client("lambda", REGION).invoke(FunctionName=name, InvocationType="Event", Payload=nonsense)
    queue = deployment.output("compute", REGION, "events_dlq_name")
    eventually(lambda: any(mark in body for body in waiting(deployment, queue)))


def test_event_whose_target_is_gone_is_kept(deployment: Deployment, eventually: Callable[..., Any]) -> None:
    """PAY-05: the queue admits the rules of the bus."""
    events, bus = deployment.client("events", REGION), deployment.output("compute", REGION, "event_bus_name")
    queue = deployment.output("compute", REGION, "events_dlq_name")
    account, rule, mark = deployment.environment.target.account_id, "probe-gone", str(uuid.uuid4())
    target = {
        "Id": "gone",
        "Arn": f"arn:aws:sqs:{REGION}:{account}:gone",
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{REGION}:{account}:{queue}"},
    }
    events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps({"source": ["probe"]}))
    try:
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[target])
        entry = {"Source": "probe", "DetailType": "Probe", "Detail": json.dumps({"mark": mark}), "EventBusName": bus}
        events.put_events(Entries=[entry])
        eventually(lambda: any(mark in body for body in waiting(deployment, queue)))
    finally:
        events.remove_targets(Rule=rule, EventBusName=bus, Ids=["gone"])
        events.delete_rule(Name=rule, EventBusName=bus)


def test_alert_that_reaches_no_queue_is_kept(deployment: Deployment, eventually: Callable[..., Any]) -> None:
    """PAY-07: the subscription's dead-letter queue admits the region's topic."""
    sns, mark = deployment.client("sns", REGION), str(uuid.uuid4())
    topic = deployment.output("observability", REGION, "alert_topic_arn")
    subscriptions = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    attributes = [
        sns.get_subscription_attributes(SubscriptionArn=found["SubscriptionArn"])["Attributes"]
        for found in subscriptions
        if f":{REGION}:" in found["Endpoint"]
    ]
    dead = json.loads(attributes[0]["RedrivePolicy"])["deadLetterTargetArn"].rpartition(":")[2]
    sqs, queue = deployment.client("sqs", REGION), deployment.output("observability", REGION, "oncall_queue_url")
    policy = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["Policy"])["Attributes"]["Policy"]
    nobody = {**json.loads(policy), "Statement": []}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(nobody)})
    try:
        sns.publish(TopicArn=topic, Message=mark)
        eventually(lambda: any(mark in body for body in waiting(deployment, dead)))
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})


@pytest.fixture(scope="module")
def record(deployment: Deployment) -> RunRecord:
    """What the sandbox noted since it started; TRIPOINT_IAM_RECORD keeps it for `make mutate-iam`."""
    endpoint = deployment.environment.target.endpoint
    with urlopen(f"{endpoint}{PATH}") as answer:
        text = answer.read().decode()
    if "TRIPOINT_IAM_RECORD" in os.environ:
        kept = Path(os.environ["TRIPOINT_IAM_RECORD"])
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text)
    return RunRecord.of(json.loads(text))


def test_the_deployment_enforces_iam(deployment: Deployment, record: RunRecord) -> None:
    """PAY-13: all that the tests before this one did, they did under enforced IAM."""
    assert deployment.environment.target.enforce_iam
    assert {call.decided_by for call in record.calls} == {"identity", "resource", "endpoint"}


def test_no_call_was_denied(record: RunRecord) -> None:
    """PAY-13: no role lacked anything: from the rollout over the failures that tests provoke to the alarms."""
    provoked = {"test_alert_that_reaches_no_queue_is_kept", "test_a_principal_without_the_permission_is_refused"}
    denied = [
        (call.principal, call.action, call.resource, call.scenario)
        for call in record.denied
        if record.is_services(call.principal) and not set(call.scenarios) <= provoked
    ]
    assert denied == []


def test_every_granted_action_is_needed_or_its_reason_is_written_down(record: RunRecord) -> None:
    """PAY-13: without a proven action a recorded call is denied; the others are those of `unproven.py`, no more."""
    mutations = role_mutations(record)
    assert sum(mutation.noticed for mutation in mutations) > len(mutations) / 2
    without_reason = [
        (granted.holder, granted.sid, granted.action)
        for granted in (mutation.granted for mutation in mutations if not mutation.noticed)
        if not reason_for(granted.holder, granted.sid, granted.action)
    ]
    assert without_reason == []


def test_no_reason_is_kept_for_what_is_proven_or_gone(record: RunRecord) -> None:
    idle = {
        (mutation.granted.holder, mutation.granted.sid, mutation.granted.action)
        for mutation in role_mutations(record)
        if not mutation.noticed
    }
    anywhere = {(sid, action) for _, sid, action in idle}
    kept = [key for key in REASONS if (key[1:] not in anywhere if key[0] == EVERY_FUNCTION else key not in idle)]
    assert kept == []


def test_every_permission_of_a_service_is_used_or_its_reason_is_written_down(record: RunRecord) -> None:
    """PAY-13: policies of queues, topics, functions and keys, and trust policies, towards services."""
    idle = {
        (mutation.granted.holder, mutation.granted.action)
        for mutation in resource_mutations(record)
        if not mutation.noticed
    }
    assert idle == set(RESOURCE_REASONS)


@contextmanager
def without(deployment: Deployment, region: str, role: str, action: str) -> Iterator[None]:
    """A role's deployed policy less one action, for a while."""
    iam = deployment.client("iam", region)
    name = f"{deployment.environment.project.name}-{role}-{region}-{deployment.environment.suffix}"
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    whole = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    statements = [
        {**statement, "Action": left}
        for statement in whole["Statement"]
        if (left := [kept for kept in statement["Action"] if kept != action])
    ]
    assert statements != whole["Statement"], f"{name} has no {action}"
    iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps({**whole, "Statement": statements}))
    try:
        yield
    finally:
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(whole))


@pytest.mark.parametrize("action", ["dynamodb:PutItem", "states:StartExecution", "kms:Decrypt"])
def test_payment_is_not_accepted_without_an_action_of_the_apis_function(deployment: Deployment, action: str) -> None:
    """PAY-13: the mutations that the record foretells, done to the deployed policy."""
    api = deployment.api(REGION)
    with without(deployment, REGION, "payments-api", action):
        assert api.pay(f"it-{uuid.uuid4()}").status_code >= 500
    assert api.pay(f"it-{uuid.uuid4()}").status_code == 202


def test_payment_is_not_worked_on_when_the_workflow_may_not_invoke(deployment: Deployment) -> None:
    """PAY-13."""
    api = deployment.api(REGION)
    with without(deployment, REGION, "workflow", "lambda:InvokeFunction"):
        payment_id = api.pay(f"it-{uuid.uuid4()}").json()["payment_id"]
        time.sleep(5)
        assert api.read(payment_id).json()["status"] not in FINAL


@pytest.mark.parametrize("action", ["s3:ReplicateObject", "kms:Encrypt"])
def test_receipt_is_not_replicated_without_an_action_of_the_replications_role(
    deployment: Deployment, eventually: Callable[..., Any], action: str
) -> None:
    """PAY-11, PAY-13."""
    api, s3 = deployment.api(REGION), deployment.client("s3", REGION)
    bucket = deployment.output("data", REGION, "receipts_bucket_name")
    with without(deployment, REGION, "receipts-replication", action):
        payment_id = api.pay(f"it-{uuid.uuid4()}").json()["payment_id"]
        assert api.final(payment_id)["status"] == "SETTLED"
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="receipts/")["Contents"]
        (receipt,) = [item["Key"] for item in listed if payment_id in item["Key"]]
        assert s3.head_object(Bucket=bucket, Key=receipt)["ReplicationStatus"] == "FAILED"
