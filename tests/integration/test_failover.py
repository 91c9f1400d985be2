"""What nobody works on any more is finished by the sweeper, once, on the deployed system."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from functions.payments import clock, ids
from functions.payments.ledger import to_item
from functions.payments.model import Payment
from tests.integration.conftest import ORDER, Deployment
from tests.integration.places import executions

LONG_AGO_S = 3600


def sweep(deployment: Deployment, region: str) -> dict[str, Any]:
    """Have a region's sweeper run now, not within the minute."""
    (name,) = (one for one in deployment.output("compute", region, "function_names") if "sweep-payments" in one)
    answer = deployment.client("lambda", region).invoke(FunctionName=name, Payload=b"{}")
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, found
    return found


def in_the_past(deployment: Deployment, region: str, key: str, attribute: str) -> None:
    """Have an item of a region's replica say that it was written long ago."""
    deployment.client("dynamodb", region).update_item(
        TableName=deployment.output("data", region, "payments_table_name"),
        Key={"payment_id": {"S": key}},
        UpdateExpression="SET #when = :ago",
        ConditionExpression="attribute_exists(payment_id)",
        ExpressionAttributeNames={"#when": attribute},
        ExpressionAttributeValues={":ago": {"S": clock.before(clock.now(), LONG_AGO_S)}},
    )


def item(deployment: Deployment, region: str, payment_id: str) -> dict[str, str]:
    """A payment's item in a region's replica, its texts and numbers."""
    found = deployment.client("dynamodb", region).get_item(
        TableName=deployment.output("data", region, "payments_table_name"), Key={"payment_id": {"S": payment_id}}
    )["Item"]
    return {name: next(iter(value.values())) for name, value in found.items()}


def captured(deployment: Deployment, payment_id: str) -> int:
    """What the processor has taken for a payment, minor units."""
    region = deployment.environment.primary
    record = deployment.client("dynamodb", region).get_item(
        TableName=deployment.output("data", region, "processor_table_name"),
        Key={"operation_key": {"S": payment_id}},
        ConsistentRead=True,
    )["Item"]
    return int(record["captured"]["N"])


def receipts(deployment: Deployment, region: str, payment_id: str) -> list[str]:
    bucket = deployment.output("data", region, "receipts_bucket_name")
    pages = deployment.client("s3", region).get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [one["Key"] for page in pages for one in page.get("Contents", []) if payment_id in one["Key"]]


@contextmanager
def without_arrivals(deployment: Deployment, region: str) -> Iterator[None]:
    """Events of hand-overs to a region get lost on its bus."""
    events = deployment.client("events", region)
    bus = deployment.output("compute", region, "event_bus_name")
    (rule,) = (one["Name"] for one in events.list_rules(EventBusName=bus)["Rules"] if "arrivals" in one["Name"])
    events.disable_rule(Name=rule, EventBusName=bus)
    try:
        yield
    finally:
        events.enable_rule(Name=rule, EventBusName=bus)


@contextmanager
def down(deployment: Deployment, region: str) -> Iterator[None]:
    """A region stops, and comes back."""
    faults = f"{deployment.environment.target.endpoint}/_ministack/faults"
    httpx.put(faults, json={"down": [region]}, timeout=60).raise_for_status()
    try:
        yield
    finally:
        httpx.put(faults, json={}, timeout=60).raise_for_status()


def test_payment_whose_workflow_never_started_is_started_by_the_sweeper(deployment: Deployment) -> None:
    """PAY-23: the request died between the ledger and the workflow, and nobody repeated it."""
    for region in deployment.regions:
        at = clock.before(clock.now(), LONG_AGO_S)
        payment = Payment.from_document(
            {
                **ORDER,
                "payment_id": ids.payment_id("m-1", f"it-{uuid.uuid4()}"),
                "home_region": region,
                "accepted_in": region,
                "regions_tried": [region],
                "created_at": at,
                "updated_at": at,
            }
        )
        table = deployment.output("data", region, "payments_table_name")
        deployment.client("dynamodb", region).put_item(TableName=table, Item=to_item(payment))
        assert sweep(deployment, region)["healthy"] is True
        found = deployment.api(region).final(payment.payment_id)
        assert (found["status"], found["region"]) == ("SETTLED", region)
        assert item(deployment, region, payment.payment_id)["resumed"] == "1"
        assert "open_in" not in item(deployment, region, payment.payment_id)
        assert captured(deployment, payment.payment_id) == ORDER["amount"]


def test_hand_over_whose_event_is_lost_is_taken_over_by_the_sweeper(
    deployment: Deployment, eventually: Callable[..., Any]
) -> None:
    """PAY-05, PAY-23: the ledger says whose the payment is, whatever became of the event."""
    home, heir = deployment.environment.failover_order[:2]
    with without_arrivals(deployment, heir):
        answer = deployment.api(home).pay(f"it-{uuid.uuid4()}", payment_method=f"tok_unreachable_from_{home}")
        payment_id = answer.json()["payment_id"]
        eventually(lambda: item(deployment, heir, payment_id).get("next_region") == heir, timeout_s=120)
    in_the_past(deployment, heir, payment_id, "updated_at")
    sweep(deployment, heir)
    found = deployment.api(heir).final(payment_id)
    assert (found["status"], found["region"]) == ("SETTLED", heir)
    assert captured(deployment, payment_id) == ORDER["amount"]


def test_payments_of_a_region_that_is_down_are_finished_once_by_its_heir(
    deployment: Deployment, eventually: Callable[..., Any]
) -> None:
    """PAY-05, PAY-23: the region stops in the middle of a payment, is missed, and comes back."""
    order = deployment.environment.failover_order
    dead, heir = order[1], order[2 % len(order)]
    sweep(deployment, dead)
    answer = deployment.api(dead).pay(f"it-{uuid.uuid4()}", payment_method=f"tok_unreachable_from_{dead}")
    payment_id = answer.json()["payment_id"]
    with down(deployment, dead):
        assert item(deployment, heir, payment_id)["status"] == "RECEIVED"
        # What would take `failover.down_after_s`.
        in_the_past(deployment, heir, ids.heartbeat_item_id(dead), "seen_at")
        in_the_past(deployment, heir, payment_id, "updated_at")
        in_the_past(deployment, heir, payment_id, "created_at")
        assert dead in sweep(deployment, heir)["down"]
        found = deployment.api(heir).final(payment_id)
        assert (found["status"], found["region"]) == ("SETTLED", heir)
        assert deployment.api(dead).get("/health").status_code >= 500
    # It is back: what it had in its hands gives way, and both replicas say the same.
    eventually(lambda: deployment.api(dead).final(payment_id)["region"] == heir)
    eventually(lambda: dead not in sweep(deployment, heir)["down"], timeout_s=150, every_s=10)

    def running() -> list[Any]:
        mine = [one for one in executions(deployment, dead) if one["name"].startswith(payment_id)]
        return [one for one in mine if one["status"] == "RUNNING"]

    eventually(lambda: not running(), timeout_s=120)
    for region in (dead, heir):
        assert item(deployment, region, payment_id)["status"] == "SETTLED"
        assert item(deployment, region, payment_id)["home_region"] == heir
        eventually(lambda region=region: len(receipts(deployment, region, payment_id)) == 1)
    assert captured(deployment, payment_id) == ORDER["amount"]
