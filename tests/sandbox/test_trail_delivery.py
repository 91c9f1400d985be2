"""A trail that is logging delivers what its selectors choose, to its bucket and its log group."""

from __future__ import annotations

import gzip
import json
import uuid
from typing import Any

import pytest

from tests.sandbox.clients import ACCOUNT, AWAY, HOME, Clients, eventually

LOGS_ROLE = f"arn:aws:iam::{ACCOUNT}:role/trail"


class Recorded:
    """A multi-region trail with a bucket and a log group, and things to read and write."""

    def __init__(self, aws: Clients) -> None:
        self.aws, self.id = aws, uuid.uuid4().hex[:8]
        self.trail, self.files, self.group = f"t-{self.id}", f"files-{self.id}", f"/trail/{self.id}"
        self.watched, self.other, self.table = f"watched-{self.id}", f"other-{self.id}", f"items-{self.id}"
        for bucket in (self.files, self.watched, self.other):
            aws("s3").create_bucket(Bucket=bucket)
        aws("logs").create_log_group(logGroupName=self.group)
        aws("dynamodb", AWAY).create_table(
            TableName=self.table,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
        cloudtrail = aws("cloudtrail")
        cloudtrail.create_trail(
            Name=self.trail,
            S3BucketName=self.files,
            IsMultiRegionTrail=True,
            CloudWatchLogsLogGroupArn=f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:{self.group}:*",
            CloudWatchLogsRoleArn=LOGS_ROLE,
        )
        cloudtrail.put_event_selectors(
            TrailName=self.trail,
            AdvancedEventSelectors=[
                selector(eventCategory=("Equals", ["Management"])),
                selector(
                    **{
                        "eventCategory": ("Equals", ["Data"]),
                        "resources.type": ("Equals", ["AWS::S3::Object"]),
                        "resources.ARN": ("StartsWith", [f"arn:aws:s3:::{self.watched}/"]),
                    }
                ),
                selector(
                    **{
                        "eventCategory": ("Equals", ["Data"]),
                        "resources.type": ("Equals", ["AWS::DynamoDB::Table"]),
                        "resources.ARN": ("Equals", [f"arn:aws:dynamodb:{AWAY}:{ACCOUNT}:table/{self.table}"]),
                    }
                ),
            ],
        )
        cloudtrail.start_logging(Name=self.trail)

    def files_of(self) -> list[str]:
        return [found["Key"] for found in self.aws("s3").list_objects_v2(Bucket=self.files).get("Contents", [])]

    def events(self) -> list[dict[str, Any]]:
        """What has been delivered to the bucket."""
        bodies = [self.aws("s3").get_object(Bucket=self.files, Key=key)["Body"].read() for key in self.files_of()]
        return [event for body in bodies for event in json.loads(gzip.decompress(body))["Records"]]

    def named(self, *names: str) -> list[dict[str, Any]]:
        return eventually(
            lambda: [event for event in self.events() if event["eventName"] in names],
            lambda found: {event["eventName"] for event in found} >= set(names),
        )


def selector(**fields: tuple[str, list[str]]) -> dict[str, Any]:
    return {"FieldSelectors": [{"Field": name, test: values} for name, (test, values) in fields.items()]}


@pytest.fixture
def recorded(aws: Clients) -> Recorded:
    return Recorded(aws)


def test_reads_of_the_chosen_objects_are_in_a_log_file(recorded: Recorded) -> None:
    for bucket in (recorded.watched, recorded.other):
        recorded.aws("s3").put_object(Bucket=bucket, Key="a/b.json", Body=b"{}")
        recorded.aws("s3").get_object(Bucket=bucket, Key="a/b.json")
    found = recorded.named("PutObject", "GetObject")
    assert {event["requestParameters"]["bucketName"] for event in found} == {recorded.watched}
    read = next(event for event in found if event["eventName"] == "GetObject")
    assert read["resources"] == [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{recorded.watched}/a/b.json"}]
    assert (read["eventCategory"], read["readOnly"]) == ("Data", True)


def test_items_are_recorded_in_their_region_by_key_and_without_their_values(recorded: Recorded) -> None:
    item = {"id": {"S": "one"}, "name": {"S": "Wilhelmina Quux"}}
    recorded.aws("dynamodb", AWAY).put_item(TableName=recorded.table, Item=item)
    recorded.aws("dynamodb", AWAY).get_item(TableName=recorded.table, Key={"id": {"S": "one"}})
    found = recorded.named("PutItem", "GetItem")
    assert {event["awsRegion"] for event in found} == {AWAY}
    assert any(event["requestParameters"]["key"] == {"id": {"S": "one"}} for event in found)
    assert "Quux" not in json.dumps(found)
    assert [key for key in recorded.files_of() if f"AWSLogs/{ACCOUNT}/CloudTrail/{AWAY}/20" in key]


def test_management_events_reach_the_log_group(recorded: Recorded) -> None:
    recorded.aws("kms", AWAY).create_key()
    messages = eventually(
        lambda: [
            json.loads(event["message"])
            for event in recorded.aws("logs").filter_log_events(logGroupName=recorded.group)["events"]
        ],
        lambda found: any(event["eventName"] == "CreateKey" for event in found),
    )
    assert "CreateKey" in {event["eventName"] for event in messages}


def test_a_stopped_trail_records_nothing(recorded: Recorded) -> None:
    recorded.aws("cloudtrail").stop_logging(Name=recorded.trail)
    before = len(recorded.files_of())
    recorded.aws("s3").put_object(Bucket=recorded.watched, Key="late.json", Body=b"{}")
    found = eventually(lambda: len(recorded.files_of()), lambda count: count > before, 4.0)
    assert found == before


def test_upstream_still_delivers_nothing(plain_aws: Clients) -> None:
    recorded = Recorded(plain_aws)
    plain_aws("s3").put_object(Bucket=recorded.watched, Key="a.json", Body=b"{}")
    assert eventually(recorded.files_of, bool, 4.0) == []
