"""What makes three regions one platform, on the deployed system."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from shared.site import Site
from tests.integration.conftest import Deployment
from tests.integration.places import deployed_places, executions

PAYER = {"name": "Wilhelmina Quux", "email": "wilhelmina.quux@example.org", "address": "7 Zyzzyva Lane, Utopia"}


def key() -> str:
    return f"it-{uuid.uuid4()}"


def test_personal_data_stays_in_its_home_region(deployment: Deployment) -> None:
    """PAY-22: everything that is replicated, published or kept is searched for the payer's data; only the home region's
    vault has it, and only the home region answers it."""
    home, *others = ("eu-west-1", "us-east-1", "ap-southeast-1")
    payment_id = deployment.api(home).pay(key(), payer=PAYER).json()["payment_id"]
    assert deployment.api(home).final(payment_id)["status"] == "SETTLED"

    # To another merchant it is as if the payment were not there.
    assert deployment.api(home, "m-2").get(f"/payments/{payment_id}/payer").status_code == 404
    assert deployment.api(home).get(f"/payments/{payment_id}/payer").json()["payer"] == PAYER
    for other in others:
        answer = deployment.api(other).get(f"/payments/{payment_id}/payer")
        assert answer.status_code == 404
        assert home in answer.text

    places = deployed_places(deployment)
    assert any(payment_id in text for place, text in places.items() if place.startswith("payments"))
    for value in PAYER.values():
        assert [place for place, text in places.items() if value in text] == [f"vault in {home}"]


def test_payment_that_its_region_cannot_finish_is_finished_once_by_the_next(deployment: Deployment) -> None:
    """PAY-05, PAY-23: handed over along the failover order, taken over once, charged once."""
    answer = deployment.api("us-east-1").pay(key(), payment_method="tok_unreachable_from_us-east-1")
    payment_id = answer.json()["payment_id"]
    found = deployment.api("ap-southeast-1").final(payment_id, timeout_s=180)
    assert (found["status"], found["region"]) == ("SETTLED", "eu-west-1")
    for region in ("us-east-1", "eu-west-1"):
        assert len([run for run in executions(deployment, region) if run["name"].startswith(payment_id)]) == 1
    record = deployment.client("dynamodb", "eu-west-1").get_item(
        TableName=deployment.output("data", "eu-west-1", "processor_table_name"),
        Key={"operation_key": {"S": payment_id}},
        ConsistentRead=True,
    )["Item"]
    assert record["captured"]["N"] == "1299"


def test_receipt_reaches_every_region(deployment: Deployment, eventually: Callable[..., Any]) -> None:
    """PAY-11: cross-region replication in all directions."""
    for home in deployment.regions:
        payment_id = deployment.api(home).pay(key()).json()["payment_id"]
        deployment.api(home).final(payment_id)
        for region in deployment.regions:
            s3 = deployment.client("s3", region)
            bucket = deployment.output("data", region, "receipts_bucket_name")

            def arrived(s3: Any = s3, bucket: str = bucket, payment_id: str = payment_id) -> list[str]:
                found = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
                return [item["Key"] for item in found if payment_id in item["Key"]]

            assert len(eventually(arrived)) == 1


def test_every_replica_has_its_regions_own_key_and_point_in_time_recovery(deployment: Deployment) -> None:
    """PAY-02: on-demand, PITR in every replica, encrypted with the region's own key, streams on."""
    keys = set()
    for region in deployment.regions:
        dynamodb = deployment.client("dynamodb", region)
        for name in ("payments", "sessions"):
            table_name = deployment.output("data", region, f"{name}_table_name")
            table = dynamodb.describe_table(TableName=table_name)["Table"]
            assert table["SSEDescription"]["KMSMasterKeyArn"] == deployment.output("data", region, "key_arn")
            assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
            assert table["LatestStreamArn"].startswith(f"arn:aws:dynamodb:{region}:")
            backups = dynamodb.describe_continuous_backups(TableName=table_name)["ContinuousBackupsDescription"]
            assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
        keys.add(deployment.output("data", region, "key_arn"))
        rotation = deployment.client("kms", region).get_key_rotation_status(
            KeyId=deployment.output("data", region, "key_arn")
        )
        assert rotation["KeyRotationEnabled"] is True
    assert len(keys) == len(deployment.regions)


def test_session_written_in_one_region_is_read_in_every_other(deployment: Deployment) -> None:
    """PAY-02: a sessions table (TTL)."""
    item = {"session_id": {"S": key()}, "expires_at": {"N": str(int(time.time()) + 60)}}
    deployment.client("dynamodb", "ap-southeast-1").put_item(
        TableName=deployment.output("data", "ap-southeast-1", "sessions_table_name"), Item=item
    )
    for region in deployment.regions:
        dynamodb, table = (
            deployment.client("dynamodb", region),
            deployment.output("data", region, "sessions_table_name"),
        )
        assert dynamodb.get_item(TableName=table, Key={"session_id": item["session_id"]})["Item"] == item


def test_poison_record_ends_in_the_queue_and_blocks_nothing(
    deployment: Deployment, eventually: Callable[..., Any]
) -> None:
    """PAY-10: partial failures are reported; the record that cannot be published goes to the on-failure queue."""
    region = "us-east-1"
    dynamodb, table = deployment.client("dynamodb", region), deployment.output("data", region, "payments_table_name")
    poison = {"payment_id": {"S": f"pay_{uuid.uuid4().hex[:26]}"}, "home_region": {"S": region}, "version": {"S": "?"}}
    dynamodb.put_item(TableName=table, Item=poison)
    try:
        payment_id = deployment.api(region).pay(key()).json()["payment_id"]
        assert deployment.api(region).final(payment_id)["status"] == "SETTLED"
        sqs = deployment.client("sqs", region)
        queue = sqs.get_queue_url(QueueName=deployment.output("compute", region, "changes_dlq_name"))["QueueUrl"]
        (failed,) = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages", []), timeout_s=180)
        assert json.loads(failed["Body"])["DDBStreamBatchInfo"]["streamArn"].startswith(f"arn:aws:dynamodb:{region}:")
    finally:
        dynamodb.delete_item(TableName=table, Key={"payment_id": poison["payment_id"]})


def test_failed_payment_raises_the_failure_rate_alarm_in_every_oncall_queue(
    deployment: Deployment, eventually: Callable[..., Any]
) -> None:
    """PAY-07, PAY-12: one failed payment of the minute drives the rate over 0.1 %, and all regions hear of it."""
    region = "ap-southeast-1"
    alarm = deployment.output("observability", region, "failure_rate_alarm_name")
    payment_id = deployment.api(region).pay(key(), payment_method="tok_capture_declined").json()["payment_id"]
    assert deployment.api(region).final(payment_id)["status"] == "FAILED"
    for listener in deployment.regions:
        sqs = deployment.client("sqs", listener)
        queue = deployment.output("observability", listener, "oncall_queue_url")

        def heard(sqs: Any = sqs, queue: str = queue) -> bool:
            found = False
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                alert = json.loads(message["Body"])
                found |= (alert["AlarmName"], alert["Region"], alert["NewStateValue"]) == (alarm, region, "ALARM")
            return found

        eventually(heard, timeout_s=120)


def test_alert_of_any_region_reaches_the_oncall_queue_of_every_region(
    deployment: Deployment, eventually: Callable[..., Any]
) -> None:
    """PAY-07: an alarm's state change is published in its region and read in all."""
    for origin in deployment.regions:
        cloudwatch = deployment.client("cloudwatch", origin)
        names = deployment.output("observability", origin, "alarm_names")
        # A state that does not change rings nothing: take an alarm that is quiet.
        quiet = cloudwatch.describe_alarms(AlarmNames=names, StateValue="OK")["MetricAlarms"][0]["AlarmName"]
        reason = f"probe {uuid.uuid4()}"
        cloudwatch.set_alarm_state(AlarmName=quiet, StateValue="ALARM", StateReason=reason)
        for region in deployment.regions:
            sqs = deployment.client("sqs", region)
            queue = deployment.output("observability", region, "oncall_queue_url")

            def alerted(sqs: Any = sqs, queue: str = queue, reason: str = reason) -> bool:
                messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
                for message in messages:
                    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                return any(reason in message["Body"] for message in messages)

            eventually(alerted)


def test_dashboards_are_deployed_and_drawn(deployment: Deployment, tmp_path: Any) -> None:
    """PAY-09: dashboards that aggregate all regions, rendered from the deployed definition."""
    run = deployment.run("dashboard", "--render", "--region", "us-east-1", "--out", str(tmp_path))
    assert run.returncode == 0, run.stderr
    pages = sorted(tmp_path.glob("*.html"))
    assert len(pages) == 2
    for page in pages:
        assert "<svg" in page.read_text()


def test_functions_are_as_configured_in_every_region(deployment: Deployment) -> None:
    """PAY-03: memory, timeout, reserved concurrency; PAY-14: tags effective on what is deployed."""
    for region in deployment.regions:
        client = deployment.client("lambda", region)
        for name in deployment.output("compute", region, "function_names"):
            found = client.get_function(FunctionName=name)
            assert (found["Configuration"]["MemorySize"], found["Configuration"]["Timeout"]) == (3072, 900)
            concurrency = client.get_function_concurrency(FunctionName=name)["ReservedConcurrentExecutions"]
            assert 1 <= concurrency <= 5
            assert set(Site(deployment.environment, region).tags("compute").items()) <= set(found["Tags"].items())
