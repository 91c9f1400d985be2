"""A replica of a global table has its own key, stream and settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.clients import AWAY, HOME, Clients, eventually

FAR = "ap-southeast-1"


def create_owner(aws: Clients, name: str) -> None:
    key = aws("kms").create_key()["KeyMetadata"]["Arn"]
    aws("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        SSESpecification={"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
    )


def add_replica(aws: Clients, name: str, region: str, **settings: Any) -> None:
    aws("dynamodb").update_table(
        TableName=name,
        ReplicaUpdates=[{"Create": {"RegionName": region, **settings}}],
    )


def describe(aws: Clients, name: str, region: str) -> dict[str, Any]:
    found: dict[str, Any] = aws("dynamodb", region).describe_table(TableName=name)["Table"]
    return found


@pytest.fixture(scope="module")
def own_key(aws: Clients) -> str:
    arn: str = aws("kms", AWAY).create_key()["KeyMetadata"]["Arn"]
    return arn


@pytest.fixture(scope="module")
def table(aws: Clients, own_key: str) -> str:
    create_owner(aws, "ledger")
    aws("dynamodb").put_item(TableName="ledger", Item={"id": {"S": "before"}})
    add_replica(aws, "ledger", AWAY, KMSMasterKeyId=own_key)
    add_replica(aws, "ledger", FAR)
    return "ledger"


def test_a_replica_is_encrypted_with_its_own_key(aws: Clients, table: str, own_key: str) -> None:
    assert describe(aws, table, AWAY)["SSEDescription"]["KMSMasterKeyArn"] == own_key
    seen_from_owner = {
        entry["RegionName"]: entry.get("KMSMasterKeyId") for entry in describe(aws, table, HOME)["Replicas"]
    }
    assert seen_from_owner[AWAY] == own_key


def test_a_replica_without_a_key_uses_the_aws_managed_key_of_its_region(aws: Clients, table: str) -> None:
    default = aws("kms", FAR).describe_key(KeyId="alias/aws/dynamodb")["KeyMetadata"]
    assert default["KeyManager"] == "AWS"
    assert describe(aws, table, FAR)["SSEDescription"]["KMSMasterKeyArn"] == default["Arn"]


def test_upstream_still_ignores_the_key_of_a_replica(plain_aws: Clients) -> None:
    create_owner(plain_aws, "ledger")
    key = plain_aws("kms", AWAY).create_key()["KeyMetadata"]["Arn"]
    add_replica(plain_aws, "ledger", AWAY, KMSMasterKeyId=key)
    assert describe(plain_aws, "ledger", AWAY)["SSEDescription"]["KMSMasterKeyArn"] != key


@pytest.mark.parametrize("service", ["dynamodb", "s3", "sqs", "sns", "lambda", "ssm"])
def test_aws_managed_keys_are_found_by_their_alias(aws: Clients, service: str) -> None:
    kms = aws("kms", FAR)
    first = kms.describe_key(KeyId=f"alias/aws/{service}")["KeyMetadata"]
    again = kms.describe_key(KeyId=f"arn:aws:kms:{FAR}:000000000000:alias/aws/{service}")
    assert first["Arn"] == again["KeyMetadata"]["Arn"]
    assert first["Arn"].split(":")[3] == FAR


def test_upstream_still_has_no_aws_managed_keys(plain_aws: Clients) -> None:
    with pytest.raises(plain_aws("kms").exceptions.NotFoundException):
        plain_aws("kms").describe_key(KeyId="alias/aws/dynamodb")


def test_a_later_replica_starts_with_the_items_that_exist(aws: Clients, table: str) -> None:
    found = aws("dynamodb", AWAY).get_item(TableName=table, Key={"id": {"S": "before"}})
    assert found["Item"]["id"]["S"] == "before"


def test_each_replica_has_a_stream_of_its_own_region(aws: Clients, table: str) -> None:
    arns = [describe(aws, table, region)["LatestStreamArn"] for region in (HOME, AWAY, FAR)]
    assert [arn.split(":")[3] for arn in arns] == [HOME, AWAY, FAR]


def test_point_in_time_recovery_is_each_replicas_own(aws: Clients, table: str) -> None:
    aws("dynamodb", AWAY).update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    states = [
        aws("dynamodb", region).describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"][
            "PointInTimeRecoveryDescription"
        ]["PointInTimeRecoveryStatus"]
        for region in (AWAY, FAR)
    ]
    assert states == ["ENABLED", "DISABLED"]


def test_an_index_added_to_the_owner_reaches_the_replicas(aws: Clients, table: str) -> None:
    aws("dynamodb").update_table(
        TableName=table,
        AttributeDefinitions=[{"AttributeName": "merchant", "AttributeType": "S"}],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-merchant",
                    "KeySchema": [{"AttributeName": "merchant", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "ALL"},
                }
            }
        ],
    )
    aws("dynamodb").put_item(TableName=table, Item={"id": {"S": "indexed"}, "merchant": {"S": "m-1"}})
    found = aws("dynamodb", AWAY).query(
        TableName=table,
        IndexName="by-merchant",
        KeyConditionExpression="merchant = :m",
        ExpressionAttributeValues={":m": {"S": "m-1"}},
    )
    assert [item["id"]["S"] for item in found["Items"]] == ["indexed"]


def test_a_function_reads_the_stream_of_a_replica(aws: Clients, table: str) -> None:
    url, _ = aws.queue("replica-changes", region=AWAY)
    aws.function(
        "reads-replica",
        "import boto3\ndef handler(event, context):\n"
        "    for record in event['Records']:\n"
        "        key = record['dynamodb']['Keys']['id']['S']\n"
        "        boto3.client('sqs').send_message(\n"
        f"            QueueUrl='{url}', MessageBody=record['awsRegion'] + ' ' + key)\n",
        region=AWAY,
    )
    aws("lambda", AWAY).create_event_source_mapping(
        FunctionName="reads-replica",
        EventSourceArn=describe(aws, table, AWAY)["LatestStreamArn"],
        StartingPosition="LATEST",
    )
    eventually(
        lambda: aws("lambda", AWAY).list_event_source_mappings(FunctionName="reads-replica")["EventSourceMappings"],
        lambda found: found and found[0]["State"] == "Enabled",
    )
    aws("dynamodb").put_item(TableName=table, Item={"id": {"S": "after"}})
    assert aws.receive(url, region=AWAY) == [f"{AWAY} after"]


def test_replicas_go_first_and_the_owner_last(aws: Clients) -> None:
    create_owner(aws, "short-lived")
    add_replica(aws, "short-lived", AWAY)
    aws("dynamodb").update_table(TableName="short-lived", ReplicaUpdates=[{"Delete": {"RegionName": AWAY}}])
    assert "Replicas" not in describe(aws, "short-lived", HOME)
    with pytest.raises(aws("dynamodb", AWAY).exceptions.ResourceNotFoundException):
        describe(aws, "short-lived", AWAY)
    aws("dynamodb").delete_table(TableName="short-lived")
