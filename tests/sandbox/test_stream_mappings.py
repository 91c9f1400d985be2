"""A stream mapping retries, splits, reports and gives up as AWS documents it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rollout.sandbox.extensions.stream_mappings import remaining
from tests.sandbox.clients import Clients, eventually

# Fails on the item "poison" and tells a queue which items it has processed.
HANDLER = """
import boto3, json
sqs = boto3.client("sqs")
def handler(event, context):
    keys = [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]]
    sqs.send_message(QueueUrl="{seen}", MessageBody=json.dumps(keys))
    for record in event["Records"]:
        if record["dynamodb"]["Keys"]["id"]["S"] == "poison":
            if {reports}:
                return {{"batchItemFailures": [{{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}}]}}
            raise RuntimeError("poison")
    return {{"batchItemFailures": []}}
"""


class Stream:
    """A table with a function on its stream, a queue of what the function saw and a queue of failures."""

    def __init__(self, aws: Clients, name: str, *, reports: bool, **settings: Any) -> None:
        self.aws, self.name = aws, name
        self.seen, _ = aws.queue(f"{name}-seen")
        self.failed, failed_arn = aws.queue(f"{name}-failed")
        aws.function(name, HANDLER.format(seen=self.seen, reports=reports))
        table = aws("dynamodb").create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
        )["TableDescription"]
        aws("lambda").create_event_source_mapping(
            FunctionName=name,
            EventSourceArn=table["LatestStreamArn"],
            StartingPosition="TRIM_HORIZON",
            MaximumBatchingWindowInSeconds=1,
            FunctionResponseTypes=["ReportBatchItemFailures"] if reports else [],
            DestinationConfig={"OnFailure": {"Destination": failed_arn}},
            **settings,
        )

    def write(self, *keys: str) -> None:
        # At once: on a busy machine the batching window would end between two requests.
        items = [{"PutRequest": {"Item": {"id": {"S": key}}}} for key in keys]
        self.aws("dynamodb").batch_write_item(RequestItems={self.name: items})

    def batches(self, last: list[str]) -> list[list[str]]:
        """What the function was given, until the batch `last` came."""
        found: list[list[str]] = []

        def more() -> list[list[str]]:
            found.extend(json.loads(body) for body in self.aws.receive(self.seen, wait_s=0.2))
            return found

        return eventually(more, lambda batches: last in batches)

    def failure(self) -> dict[str, Any]:
        (body,) = self.aws.receive(self.failed)
        document: dict[str, Any] = json.loads(body)
        return document


def test_a_poison_record_is_isolated_by_splitting_and_ends_in_the_queue(aws: Clients) -> None:
    stream = Stream(aws, "splits", reports=False, BisectBatchOnFunctionError=True, MaximumRetryAttempts=1)
    stream.write("a", "poison", "b", "c")
    batches = stream.batches(last=["b", "c"])
    assert batches[0] == ["a", "poison", "b", "c"]
    assert ["a"] in batches
    assert batches.count(["poison"]) == 2  # once, and one retry
    failure = stream.failure()
    assert failure["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert failure["DDBStreamBatchInfo"]["batchSize"] == 1


def test_a_reported_failure_is_the_new_beginning_and_blocks_nothing_when_given_up(aws: Clients) -> None:
    stream = Stream(aws, "reports", reports=True, BisectBatchOnFunctionError=True, MaximumRetryAttempts=1)
    stream.write("a", "poison", "b")
    batches = stream.batches(last=["b"])
    assert batches[0] == ["a", "poison", "b"]
    assert ["a"] not in batches[1:]  # it's behind the checkpoint
    assert stream.failure()["DDBStreamBatchInfo"]["batchSize"] == 1


def test_without_splitting_the_whole_batch_is_given_up(aws: Clients) -> None:
    stream = Stream(aws, "gives-up", reports=False, MaximumRetryAttempts=1)
    stream.write("a", "poison", "b")
    failure = stream.failure()
    assert failure["DDBStreamBatchInfo"]["batchSize"] == 3
    assert failure["requestContext"]["approximateInvokeCount"] == 2


def test_upstream_still_retries_for_ever(plain_aws: Clients) -> None:
    stream = Stream(plain_aws, "gives-up", reports=False, MaximumRetryAttempts=0)
    stream.write("poison")
    eventually(lambda: plain_aws.receive(stream.seen, wait_s=0.2), bool)
    assert plain_aws.receive(stream.failed, wait_s=1.0) == []


BATCH = [{"dynamodb": {"SequenceNumber": number}} for number in ("1", "2", "3")]


@pytest.mark.parametrize(
    ("result", "left"),
    [
        ({"body": None}, []),
        ({"body": {"batchItemFailures": []}}, []),
        ({"body": {"batchItemFailures": None}}, []),
        ({"body": {"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]}}, BATCH[1:]),
        ({"body": {"batchItemFailures": [{"itemIdentifier": ""}]}}, BATCH),
        ({"body": {"batchItemFailures": [{"itemIdentifier": "9"}]}}, BATCH),
        ({"body": "no object"}, BATCH),
        ({"error": True, "body": {}}, BATCH),
    ],
)
def test_what_remains_of_a_batch(result: dict[str, Any], left: list[Any]) -> None:
    assert remaining(BATCH, result, reports=True) == left
