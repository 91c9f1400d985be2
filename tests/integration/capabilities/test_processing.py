"""Uploads, their summaries, and failed replication, on the deployed resources."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from functions.payments import ids
from functions.sessions.model import now
from functions.sessions.table import DynamoSessions
from functions.uploads import PROCESSED, summary_key
from tests.integration.conftest import Deployment

Eventually = Callable[..., Any]


def line(amount: int, currency: str = "EUR") -> str:
    return json.dumps({"payment_id": ids.payment_id("m-1", "k"), "amount": amount, "currency": currency})


FILE = "\n".join([line(1299), line(1), line(500, "JPY"), '{"name": "Ada"}'])


class Bucket:
    """A region's uploads bucket, and names in it that nobody has used."""

    def __init__(self, full: Deployment, region: str) -> None:
        self.name = full.output("data", region, "uploads_bucket_name")
        self.s3 = full.client("s3", region)
        self.prefix = f"m-{uuid.uuid4().hex}/"
        self.key = f"incoming/{self.prefix}2025 a.jsonl"

    def put(self, body: str = FILE) -> str:
        return str(self.s3.put_object(Bucket=self.name, Key=self.key, Body=body.encode())["VersionId"])

    def summary(self) -> dict[str, Any] | None:
        try:
            found = self.s3.get_object(Bucket=self.name, Key=summary_key(self.key))
        except ClientError:
            return None
        summary: dict[str, Any] = json.loads(found["Body"].read())
        return summary

    def written(self) -> int:
        """How many versions of the summary there are."""
        found = self.s3.list_object_versions(Bucket=self.name, Prefix=summary_key(self.key))
        return len(found.get("Versions", []))


def invoke(full: Deployment, region: str, output: str, event: Any, **how: Any) -> Any:
    name = full.output("compute", region, output)
    answer = full.client("lambda", region).invoke(FunctionName=name, Payload=json.dumps(event).encode(), **how)
    body = answer["Payload"].read()
    return json.loads(body) if body else None


def notified(bucket: Bucket, version: str) -> dict[str, Any]:
    """What S3 tells of an upload."""
    told = {"bucket": {"name": bucket.name}, "object": {"key": bucket.key.replace(" ", "+"), "versionId": version}}
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": told}]}


# How long a message that was read and not deleted stays hidden: for long enough to come by all of them, however many
# alarms have rung.
HIDDEN_S = 5


def heard(full: Deployment, region: str, text: str) -> list[str]:
    """The alerts in a region's on-call queue that say something; the others stay."""
    sqs, queue = full.client("sqs", region), full.output("observability", region, "oncall_queue_url")
    found = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN_S).get(
        "Messages"
    ):
        for message in messages:
            if text in message["Body"]:
                found.append(message["Body"])
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found


# -- uploads --------------------------------------------------------------------------------------


def test_an_upload_has_its_summary_in_its_own_region_and_no_other(full: Deployment, eventually: Eventually) -> None:
    """OPT-06, PAY-22: S3's notification invokes the function of the region; the summary is beside the upload."""
    for region in full.regions:
        bucket = Bucket(full, region)
        version = bucket.put()
        summary = eventually(bucket.summary)
        assert (summary["status"], summary["version"]) == ("processed", version)
        assert summary["totals"] == {"EUR": {"records": 2, "amount": 1300}, "JPY": {"records": 1, "amount": 500}}
        assert summary["refused_lines"] == [{"line": 4, "reason": "not_a_record"}]
        head = bucket.s3.head_object(Bucket=bucket.name, Key=summary_key(bucket.key))
        assert head["SSEKMSKeyId"] == full.output("data", region, "key_arn")
        for other in full.regions:
            if other != region:
                found = full.client("s3", other).list_objects_v2(
                    Bucket=full.output("data", other, "uploads_bucket_name"), Prefix=PROCESSED + bucket.prefix
                )
                assert found["KeyCount"] == 0


def test_an_event_that_comes_again_makes_no_second_summary(full: Deployment, eventually: Eventually) -> None:
    """OPT-06: idempotent by object version."""
    region = full.regions[0]
    bucket = Bucket(full, region)
    version = bucket.put()
    summary = eventually(bucket.summary)

    def again() -> Any:
        # Its result may come a moment after its summary: until then the function says that it is busy.
        answer = invoke(full, region, "process_function_name", notified(bucket, version))
        return answer.get("summaries")

    assert eventually(again) == [summary]
    assert bucket.written() == 1


def test_what_is_no_settlement_file_is_refused_and_not_retried(full: Deployment, eventually: Eventually) -> None:
    """OPT-06."""
    bucket = Bucket(full, full.regions[-1])
    bucket.put("<xml/>")
    summary = eventually(bucket.summary)
    assert (summary["status"], summary["reason"]) == ("refused", "no_valid_line")


def test_an_event_that_always_fails_ends_in_the_dead_letter_queue(full: Deployment, eventually: Eventually) -> None:
    """OPT-06: after its retries."""
    region = full.regions[0]
    poison = {"Records": [{"poison": uuid.uuid4().hex}]}
    invoke(full, region, "process_function_name", poison, InvocationType="Event")
    sqs = full.client("sqs", region)
    queue = sqs.get_queue_url(QueueName=full.output("compute", region, "uploads_dlq_name"))["QueueUrl"]
    (message,) = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages", []), timeout_s=120)
    sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert json.loads(message["Body"])["requestPayload"] == poison


def test_processing_over_http_answers_the_summary_to_principals_of_the_account(
    full: Deployment, eventually: Eventually
) -> None:
    """OPT-06: POST /process; PAY-13: nobody else."""
    for region in full.regions:
        bucket, api = Bucket(full, region), full.operator(region)
        version = bucket.put()
        # API Gateway answers an unsigned request as if the path were not there; a merchant may not call it.
        assert httpx.post(f"{api.url}/process", json={"key": bucket.key}, timeout=60).status_code == 404

        def answered(api: Any = api, bucket: Bucket = bucket) -> Any:
            answer = api.post("/process", {"key": bucket.key})
            return answer if answer.status_code != 409 else None  # the event is being worked on

        answer = eventually(answered)
        assert answer.status_code == 200, answer.text
        assert answer.json()["summary"] == bucket.summary()
        assert answer.json()["summary"]["version"] == version
        assert bucket.written() == 1


@pytest.mark.parametrize(
    ("body", "status"), [([], 400), ({"key": "processed/x"}, 400), ({"key": "incoming/not-there"}, 404)]
)
def test_processing_over_http_refuses_what_is_no_upload(full: Deployment, body: Any, status: int) -> None:
    """OPT-06: the list is refused by the API's model, the rest by the function."""
    assert full.operator(full.regions[0]).post("/process", body).status_code == status


def test_summaries_are_added_up(full: Deployment, eventually: Eventually) -> None:
    """OPT-06: the read-only function."""
    region = full.regions[0]
    bucket = Bucket(full, region)
    for number in range(3):
        bucket.key = f"incoming/{bucket.prefix}{number}"
        bucket.put()
        day = eventually(bucket.summary)["uploaded_at"][:10]
    event = {"prefix": bucket.prefix, "day": day}
    found = invoke(full, region, "analyze_function_name", event)
    assert (found["processed"], found["refused_lines"]) == (3, 3)
    assert found["totals"]["EUR"] == {"records": 6, "amount": 3900}
    assert invoke(full, region, "analyze_function_name", {**event, "day": "2001-01-01"})["processed"] == 0


# -- sessions -------------------------------------------------------------------------------------


def test_a_session_of_one_region_is_read_in_the_others_and_ends_there_too(
    full: Deployment, eventually: Eventually
) -> None:
    """PAY-02: the sessions table is global."""
    here, *elsewhere = (
        DynamoSessions(full.client("dynamodb", region), full.output("data", region, "sessions_table_name"))
        for region in full.regions
    )
    id = f"test#{uuid.uuid4()}"
    session, created = here.create(id, data={"by": "a test"}, lifetime_s=600, at=now())
    assert created
    for other in elsewhere:
        assert eventually(lambda other=other: other.read(id, at=now())) == session
        assert other.create(id, data={}, lifetime_s=600, at=now()) == (session, False)
    here.expire(session, at=now())
    for other in elsewhere:
        eventually(lambda other=other: other.read(id, at=now()) is None)


# -- replication ----------------------------------------------------------------------------------


@pytest.fixture
def broken_destination(full: Deployment) -> Iterator[tuple[str, str]]:
    """A region whose receipts don't reach another one, because that bucket keeps no versions for a while."""
    source, destination = full.regions[:2]
    bucket = full.output("data", destination, "receipts_bucket_name")
    s3 = full.client("s3", destination)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    yield source, destination
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def test_a_receipt_that_is_not_replicated_is_told_to_on_call_in_every_region(
    full: Deployment, broken_destination: tuple[str, str], eventually: Eventually
) -> None:
    """OPT-06, PAY-07: S3's notification becomes one alert, however many objects fail."""
    source, destination = broken_destination
    bucket = full.output("data", source, "receipts_bucket_name")
    table, dynamodb = full.output("data", source, "sessions_table_name"), full.client("dynamodb", source)
    for item in dynamodb.scan(TableName=table)["Items"]:  # an earlier run's silence
        if item["session_id"]["S"].startswith("replication-alert#"):
            dynamodb.delete_item(TableName=table, Key={"session_id": item["session_id"]})
    keys = [f"receipts/zz/{uuid.uuid4()}.json" for _ in range(2)]
    full.client("s3", source).put_object(Bucket=bucket, Key=keys[0], Body=b"{}")
    for region in full.regions:
        (alert,) = eventually(lambda region=region: heard(full, region, keys[0]))
        for named in (bucket, f"to-{destination}", full.output("data", destination, "receipts_bucket_name")):
            assert named in alert
    full.client("s3", source).put_object(Bucket=bucket, Key=keys[1], Body=b"{}")
    (end,) = [f"receipts/zz/{uuid.uuid4()}.json"]
    late = {
        "eventName": "Replication:OperationMissedThreshold",
        "awsRegion": source,
        "s3": {"bucket": {"name": bucket}, "object": {"key": end}},
        "replicationEventData": {
            "replicationRuleId": f"to-{destination}",
            "destinationBucket": "arn:aws:s3:::elsewhere",
            "threshold": "15",
        },
    }
    # Another kind of failure speaks for itself; the second object of the first kind has been silent until then.
    assert invoke(full, source, "replication_monitor_function_name", {"Records": [late]}) == {"alerts": 1}
    assert eventually(lambda: heard(full, source, end))
    time.sleep(HIDDEN_S + 0.5)  # what was read shows again
    assert heard(full, source, keys[1]) == []
