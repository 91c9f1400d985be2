"""The payment contract, on the deployed API."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import Deployment


def admit_rule(queue_arn: str, rule_arn: str) -> str:
    """A queue's policy with which EventBridge delivers what a rule matches."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def key() -> str:
    return f"it-{uuid.uuid4()}"


def test_payment_of_every_region_is_read_as_settled_in_every_other(deployment: Deployment) -> None:
    """PAY-01, PAY-02, PAY-04: written in one region, worked on there, read in every other."""
    sent = {region: deployment.api(region).pay(key()) for region in deployment.regions}
    for region, answer in sent.items():
        assert answer.status_code == 202
        assert answer.json()["status"] == "RECEIVED"
        payment_id = answer.json()["payment_id"]
        assert answer.headers["Location"].endswith(f"/payments/{payment_id}")
        for other in deployment.regions:
            found = deployment.api(other).final(payment_id)
            assert found["status"] == "SETTLED"
            assert (found["amount"], found["currency"], found["region"]) == (1299, "EUR", region)
            assert found["created_at"] <= found["updated_at"]


def test_same_key_and_body_is_the_same_payment_another_body_a_conflict(deployment: Deployment) -> None:
    """PAY-23: nothing is charged twice."""
    api, once = deployment.api("us-east-1"), key()
    first = api.pay(once)
    assert api.pay(once).json()["payment_id"] == first.json()["payment_id"]
    assert api.pay(once, amount=1300).status_code in {409, 422}
    api.final(first.json()["payment_id"])
    record = deployment.client("dynamodb", "us-east-1").get_item(
        TableName=deployment.output("data", "us-east-1", "processor_table_name"),
        Key={"operation_key": {"S": first.json()["payment_id"]}},
        ConsistentRead=True,
    )["Item"]
    assert record["captured"]["N"] == "1299"


@pytest.mark.parametrize(
    ("token", "status"),
    [("tok_declined", "DECLINED"), ("tok_fail_once", "SETTLED"), ("tok_capture_declined", "FAILED")],
)
def test_processors_answer_decides_the_final_state(deployment: Deployment, token: str, status: str) -> None:
    """PAY-04: no retry for declines, retry for transient errors, compensation after authorization."""
    api = deployment.api("eu-west-1")
    payment_id = api.pay(key(), payment_method=token).json()["payment_id"]
    assert api.final(payment_id)["status"] == status


def test_captured_payment_whose_capture_answer_is_lost_is_refunded(deployment: Deployment) -> None:
    """PAY-04: compensation (void/refund) on failure after authorization; money and record agree."""
    api = deployment.api("us-east-1")
    payment_id = api.pay(key(), payment_method="tok_capture_lost").json()["payment_id"]
    assert api.final(payment_id)["status"] == "REFUNDED"
    record = deployment.client("dynamodb", "us-east-1").get_item(
        TableName=deployment.output("data", "us-east-1", "processor_table_name"),
        Key={"operation_key": {"S": payment_id}},
        ConsistentRead=True,
    )["Item"]
    assert record["refunded"]["N"] == record["captured"]["N"] == "1299"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 12.5}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": -1}, "amount"),
        ({"amount": None}, "amount"),
        ({"currency": "EURO"}, "currency"),
        ({"merchant_id": ""}, "merchant_id"),
        ({"payment_method": 7}, "payment_method"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_bad_body_is_refused_by_name_of_the_field(deployment: Deployment, change: dict[str, Any], field: str) -> None:
    """PAY-08: request validation."""
    answer = deployment.api("ap-southeast-1").pay(key(), **change)
    assert answer.status_code == 400
    assert field in answer.json()["error"]["message"]


def test_what_is_no_request_is_refused_without_running_anything(deployment: Deployment) -> None:
    """PAY-08: malformed JSON, no idempotency key, unknown payment, path and method."""
    api = deployment.api("us-east-1")
    headers = {"Idempotency-Key": key(), "Content-Type": "application/json"}
    assert api.client.post(f"{api.url}/payments", content=b"{no", headers=headers).status_code == 400
    assert api.client.post(f"{api.url}/payments", json={}).status_code == 400
    assert api.read("pay_00000000000000000000000000").status_code == 404
    # The sandbox asks IAM before it looks for the path; on AWS who may call nothing there is told the same.
    assert deployment.operator("us-east-1").get("/nothing").status_code == 404


def test_settled_payment_has_exactly_one_receipt_without_the_payment_method(deployment: Deployment) -> None:
    """PAY-11: receipts in the region's bucket, encrypted with the region's key."""
    api = deployment.api("eu-west-1")
    payment_id = api.pay(key()).json()["payment_id"]
    api.final(payment_id)
    s3, bucket = deployment.client("s3", "eu-west-1"), deployment.output("data", "eu-west-1", "receipts_bucket_name")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix="receipts/").get("Contents", [])
    (receipt,) = [item["Key"] for item in listed if payment_id in item["Key"]]
    found = s3.get_object(Bucket=bucket, Key=receipt)
    assert found["ServerSideEncryption"] == "aws:kms"
    assert found["SSEKMSKeyId"] == deployment.output("data", "eu-west-1", "key_arn")
    body = json.loads(found["Body"].read())
    assert (body["payment_id"], body["amount"], body["currency"]) == (payment_id, 1299, "EUR")
    assert "tok_visa" not in json.dumps(body)


def test_health_reads_the_regions_own_table(deployment: Deployment) -> None:
    """PAY-08: the health route, in every region."""
    for region in deployment.regions:
        answer = deployment.api(region).get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_each_change_is_published_once_over_all_regions(deployment: Deployment, eventually: Callable[..., Any]) -> None:
    """PAY-10: every region's stream carries every write, and yet each change becomes one event, in the home region."""
    queues = {}
    for region in deployment.regions:
        events, sqs = deployment.client("events", region), deployment.client("sqs", region)
        bus = deployment.output("compute", region, "event_bus_name")
        queue = sqs.create_queue(QueueName=f"probe-{uuid.uuid4().hex[:8]}")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        rule = f"probe-{region}"
        probed = events.put_rule(
            Name=rule, EventBusName=bus, EventPattern=json.dumps({"source": ["tripoint.payments"]}), State="ENABLED"
        )
        sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": admit_rule(arn, probed["RuleArn"])})
        events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "probe", "Arn": arn}])
        queues[region] = (sqs, queue, events, rule, bus)
    try:
        api = deployment.api("ap-southeast-1")
        payment_id = api.pay(key()).json()["payment_id"]
        api.final(payment_id)
        seen: list[tuple[str, str, str]] = []

        def collect() -> bool:
            for region, (sqs, queue, *_) in queues.items():
                for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                    event = json.loads(message["Body"])
                    if event["detail"]["payment_id"] == payment_id:
                        seen.append((region, event["detail-type"], event["detail"]["event_id"]))
            return any(type == "PaymentSettled" for _, type, _ in seen)

        eventually(collect)
        for _ in range(4):
            collect()
        assert {region for region, *_ in seen} == {"ap-southeast-1"}
        assert sorted(type for _, type, _ in seen) == ["PaymentAuthorized", "PaymentReceived", "PaymentSettled"]
        assert len({event_id for *_, event_id in seen}) == len(seen)
    finally:
        for sqs, queue, events, rule, bus in queues.values():
            events.remove_targets(Rule=rule, EventBusName=bus, Ids=["probe"])
            events.delete_rule(Name=rule, EventBusName=bus)
            sqs.delete_queue(QueueUrl=queue)
