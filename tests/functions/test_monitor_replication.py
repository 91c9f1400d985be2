"""Failures of S3 replication become alerts, on a topic and a table in memory (moto)."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.monitor_replication.handler import handler
from functions.monitor_replication.logic import FAILED, LATE, alert
from functions.monitor_replication.topic import AlertNotSentError, SnsTopic
from functions.sessions.errors import SessionsUnavailableError
from functions.sessions.table import DynamoSessions
from tests.functions.conftest import ENVIRONMENT, Cloud
from tests.functions.fakes import REGION, Context

AT = 1_900_000_000
QUIET_S = 300


def record(
    key: str = "receipts/a b.json", rule: str = "to-us-east-1", kind: str = FAILED, **told: str
) -> dict[str, Any]:
    """A record of S3 ("Event message structure")."""
    return {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "eu-west-1",
        "eventTime": "2025-03-01T12:00:00.000Z",
        "eventName": kind,
        "s3": {
            "bucket": {"name": "receipts", "arn": "arn:aws:s3:::receipts"},
            "object": {"key": key.replace(" ", "+"), "size": 1, "eTag": "e", "versionId": "v1"},
        },
        "replicationEventData": {
            "replicationRuleId": rule,
            "destinationBucket": "arn:aws:s3:::receipts-us-east-1",
            "s3Operation": "OBJECT_PUT",
            "requestTime": "2025-03-01T11:59:00.000Z",
            **({"failureReason": "DstBucketUnversioned"} if kind == FAILED else {"threshold": "15"}),
            **told,
        },
    }


class RecordingTopic:
    def __init__(self) -> None:
        self.messages: list[tuple[str, str]] = []
        self.error: Exception | None = None

    def publish(self, subject: str, message: str) -> None:
        if self.error:
            raise self.error
        self.messages.append((subject, message))


@pytest.fixture
def topic() -> RecordingTopic:
    return RecordingTopic()


@pytest.fixture
def sessions(cloud: Cloud) -> DynamoSessions:
    cloud.table("sessions", "session_id")
    return DynamoSessions(cloud.dynamodb, "sessions")


def tell(topic: Any, sessions: DynamoSessions, *records: dict[str, Any], at: int = AT) -> int:
    return alert({"Records": list(records)}, topic=topic, sessions=sessions, quiet_s=QUIET_S, clock=lambda: at)


def test_an_alert_names_object_rule_destination_and_reason(topic: RecordingTopic, sessions: DynamoSessions) -> None:
    """OPT-06."""
    assert tell(topic, sessions, record()) == 1
    ((subject, message),) = topic.messages
    assert subject == "eu-west-1: S3 replication by rule to-us-east-1"
    for named in ("receipts/a b.json", "v1", "to-us-east-1", "receipts-us-east-1", "DstBucketUnversioned"):
        assert named in message


def test_what_is_late_is_told_with_its_threshold(topic: RecordingTopic, sessions: DynamoSessions) -> None:
    tell(topic, sessions, record(kind=LATE), record(kind=f"s3:{FAILED}"))
    assert ["15 minutes" in message for _, message in topic.messages] == [False, True]
    assert "threshold 15" in topic.messages[1][1]


def test_other_events_are_no_failures(topic: RecordingTopic, sessions: DynamoSessions) -> None:
    assert tell(topic, sessions, record(kind="Replication:OperationReplicatedAfterThreshold")) == 0


def test_failures_of_one_event_and_rule_are_one_message(topic: RecordingTopic, sessions: DynamoSessions) -> None:
    tell(topic, sessions, *(record(key=f"r/{number}") for number in range(30)), record(rule="to-ap-southeast-1"))
    assert len(topic.messages) == 2
    (message,) = [message for subject, message in topic.messages if "us-east-1" in subject]
    assert message.count("s3://receipts/r/") == 20
    assert "and 10 more" in message


def test_an_outage_is_no_storm(topic: RecordingTopic, sessions: DynamoSessions) -> None:
    """OPT-06: a rule that fails all the time raises an alert every five minutes."""
    sent = [tell(topic, sessions, record(key=f"r/{second}"), at=AT + second) for second in range(0, 601, 20)]
    assert sum(sent) == len(topic.messages) == 3
    assert "300 s" in topic.messages[0][1]


def test_what_is_kept_silent_is_in_the_log(
    topic: RecordingTopic, sessions: DynamoSessions, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(2):
        tell(topic, sessions, record(key=f"r/{number}"))
    assert len(topic.messages) == 1
    assert [vars(line)["key"] for line in caplog.records] == ["r/0", "r/1"]


def test_an_alert_that_could_not_be_sent_is_sent_by_the_retry(topic: RecordingTopic, sessions: DynamoSessions) -> None:
    topic.error = AlertNotSentError("Publish: Throttling")
    with pytest.raises(AlertNotSentError):
        tell(topic, sessions, record())
    topic.error = None
    assert tell(topic, sessions, record(), at=AT + 60) == 1


def test_without_the_table_alerts_are_rather_sent_twice(
    topic: RecordingTopic, sessions: DynamoSessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise SessionsUnavailableError("x")

    monkeypatch.setattr(sessions, "create", refuse)
    assert [tell(topic, sessions, record()) for _ in range(2)] == [1, 1]


def test_the_topic_gets_what_it_takes(cloud: Cloud, sessions: DynamoSessions) -> None:
    """PAY-07: subjects of SNS have at most 100 characters."""
    sns, sqs = cloud.client("sns"), cloud.client("sqs")
    topic_arn = sns.create_topic(Name="alerts")["TopicArn"]
    assert topic_arn == ENVIRONMENT["ALERT_TOPIC_ARN"]
    queue = sqs.create_queue(QueueName="oncall")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    raw = {"RawMessageDelivery": "true"}
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=queue_arn, Attributes=raw)
    event = {"Records": [record(rule="r" * 255)]}
    assert handler(event, Context()) == {"alerts": 1}
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    assert "receipts/a b.json" in message["Body"]
    assert handler(event, Context()) == {"alerts": 0}


def test_a_topic_that_is_not_able_is_worth_another_attempt(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    sns = cloud.client("sns", REGION)

    def refuse(**_: Any) -> Any:
        raise ClientError({"Error": {"Code": "KMS.ThrottlingException"}}, "Publish")

    monkeypatch.setattr(sns, "publish", refuse)
    with pytest.raises(AlertNotSentError):
        SnsTopic(sns, "arn").publish("s", "m")
