"""What a topic can't deliver is kept."""

from __future__ import annotations

import json

from tests.sandbox.clients import Clients


def undelivered(aws: Clients) -> list[str]:
    """What the dead-letter queue holds after the topic's queue is gone."""
    gone, gone_arn = aws.queue("gone")
    kept, kept_arn = aws.queue("kept-alerts")
    topic = aws("sns").create_topic(Name="alerts")["TopicArn"]
    aws("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=gone_arn,
        Attributes={"RawMessageDelivery": "true", "RedrivePolicy": json.dumps({"deadLetterTargetArn": kept_arn})},
    )
    aws("sns").publish(TopicArn=topic, Message="first")
    assert aws.receive(gone) == ["first"]
    aws("sqs").delete_queue(QueueUrl=gone)
    aws("sns").publish(TopicArn=topic, Message="second")
    return aws.receive(kept, wait_s=1.0)


def test_undeliverable_message_goes_to_the_subscriptions_dead_letter_queue(aws: Clients) -> None:
    assert undelivered(aws) == ["second"]


def test_upstream_still_loses_it(plain_aws: Clients) -> None:
    assert undelivered(plain_aws) == []
