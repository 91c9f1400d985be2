"""An object reaches every destination of a bucket's rules, under each destination's key."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.clients import ACCOUNT, AWAY, HOME, Clients

FAILED = "s3:Replication:OperationFailedReplication"

FAR = "ap-southeast-1"
REGIONS = (HOME, AWAY, FAR)


def replicate(aws: Clients, prefix: str) -> dict[str, str]:
    """Three buckets that replicate to each other, each under its own key; the key ARNs."""
    keys = {region: aws("kms", region).create_key()["KeyMetadata"]["Arn"] for region in REGIONS}
    for region in REGIONS:
        storage, name = aws("s3", region), f"{prefix}-{region}"
        place = {} if region == HOME else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        storage.create_bucket(Bucket=name, **place)
        storage.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": keys[region]}
        storage.put_bucket_encryption(
            Bucket=name,
            ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
        )
    for region in REGIONS:
        others = [other for other in REGIONS if other != region]
        rules = [rule(prefix, to, keys[to], number) for number, to in enumerate(others, 1)]
        aws("s3", region).put_bucket_replication(
            Bucket=f"{prefix}-{region}",
            ReplicationConfiguration={"Role": f"arn:aws:iam::{ACCOUNT}:role/replicates", "Rules": rules},
        )
    return keys


def rule(prefix: str, to: str, key: str, priority: int) -> dict[str, Any]:
    return {
        "ID": f"to-{to}",
        "Priority": priority,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": f"arn:aws:s3:::{prefix}-{to}",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": key},
            "Metrics": {"Status": "Enabled"},
        },
    }


def put(aws: Clients, prefix: str) -> None:
    aws("s3", HOME).put_object(Bucket=f"{prefix}-{HOME}", Key="receipt", Body=b"paid")


def present(aws: Clients, prefix: str, region: str) -> bool:
    found = aws("s3", region).list_objects_v2(Bucket=f"{prefix}-{region}").get("Contents", [])
    return [entry["Key"] for entry in found] == ["receipt"]


@pytest.fixture(scope="module")
def keys(aws: Clients) -> dict[str, str]:
    keys = replicate(aws, "receipts")
    put(aws, "receipts")
    return keys


@pytest.mark.parametrize("region", REGIONS[1:])
def test_every_destination_gets_the_object_under_its_own_key(aws: Clients, keys: dict[str, str], region: str) -> None:
    found = aws("s3", region).head_object(Bucket=f"receipts-{region}", Key="receipt")
    assert found["ReplicationStatus"] == "REPLICA"
    assert found["SSEKMSKeyId"] == keys[region]


def test_the_source_keeps_its_key_and_says_that_it_is_replicated(aws: Clients, keys: dict[str, str]) -> None:
    found = aws("s3").head_object(Bucket=f"receipts-{HOME}", Key="receipt")
    assert found["ReplicationStatus"] == "COMPLETED"
    assert found["SSEKMSKeyId"] == keys[HOME]


def test_upstream_still_follows_one_rule_only(plain_aws: Clients) -> None:
    replicate(plain_aws, "receipts")
    put(plain_aws, "receipts")
    assert not all(present(plain_aws, "receipts", region) for region in REGIONS)


def test_delete_markers_reach_every_destination(aws: Clients) -> None:
    replicate(aws, "deleted")
    put(aws, "deleted")
    assert all(present(aws, "deleted", region) for region in REGIONS)
    aws("s3").delete_object(Bucket=f"deleted-{HOME}", Key="receipt")
    assert not any(present(aws, "deleted", region) for region in REGIONS)


def test_a_missing_destination_is_a_failure_that_is_counted(aws: Clients) -> None:
    replicate(aws, "broken")
    aws("s3", FAR).delete_bucket(Bucket=f"broken-{FAR}")
    put(aws, "broken")
    assert aws("s3").head_object(Bucket=f"broken-{HOME}", Key="receipt")["ReplicationStatus"] == "FAILED"
    assert present(aws, "broken", AWAY)
    found = aws("cloudwatch").list_metrics(
        Namespace="AWS/S3",
        MetricName="OperationsFailedReplication",
        Dimensions=[{"Name": "RuleId", "Value": f"to-{FAR}"}, {"Name": "SourceBucket", "Value": f"broken-{HOME}"}],
    )["Metrics"]
    assert len(found) == 1


def told(aws: Clients, prefix: str) -> list[dict[str, Any]]:
    """What a queue hears of the failed replication of an object, by the notifications of its bucket."""
    queue = aws("sqs").create_queue(QueueName=prefix)["QueueUrl"]
    arn = aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    replicate(aws, prefix)
    aws("s3").put_bucket_notification_configuration(
        Bucket=f"{prefix}-{HOME}",
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": arn, "Events": [FAILED]}]},
    )
    aws("s3", FAR).delete_bucket(Bucket=f"{prefix}-{FAR}")
    aws("s3", AWAY).put_bucket_versioning(Bucket=f"{prefix}-{AWAY}", VersioningConfiguration={"Status": "Suspended"})
    put(aws, prefix)
    bodies: list[str] = []
    while more := aws.receive(queue, wait_s=3.0):
        bodies += more
    return [record for body in bodies for record in json.loads(body).get("Records", [])]


def test_notifications_tell_of_each_failure(aws: Clients) -> None:
    records = told(aws, "told")
    reasons = {
        record["replicationEventData"]["replicationRuleId"]: record["replicationEventData"]["failureReason"]
        for record in records
    }
    assert reasons == {f"to-{FAR}": "DstBucketNotFound", f"to-{AWAY}": "DstBucketUnversioned"}
    head = aws("s3").head_object(Bucket=f"told-{HOME}", Key="receipt")
    assert {record["eventName"] for record in records} == {FAILED.removeprefix("s3:")}
    assert {record["s3"]["object"]["versionId"] for record in records} == {head["VersionId"]}
    assert len(records) == 2


def test_upstream_still_tells_nobody_of_a_failure(plain_aws: Clients) -> None:
    assert told(plain_aws, "told") == []
