"""A message that a topic can't deliver to a queue goes to the subscription's dead-letter queue.

Upstream: it is lost; `RedrivePolicy` of a subscription is stored only.

AWS: client-side errors (the queue is gone, or its policy or its key's doesn't admit the topic) aren't retried, and the
message goes to the dead-letter queue, which must admit the topic too ("Amazon SNS dead-letter queues"); counted are
NumberOfNotificationsFailed and NumberOfNotificationsRedrivenToDlq ("Monitoring Amazon SNS topics using CloudWatch").

Patched: `_deliver_to_sqs`.
"""

from __future__ import annotations

import json
from typing import Any

from rollout.sandbox.emulator import module, wrap


def apply() -> None:
    topics, queues = module("services.sns"), module("services.sqs")

    def deliver(original: Any, endpoint: str, *message: Any, topic_arn: str = "", **attributes: Any) -> None:
        if _admits(queues, endpoint, topic_arn):
            original(endpoint, *message, topic_arn=topic_arn, **attributes)
            return
        count = module("services.cloudwatch").record_metric
        dimensions = {"TopicName": topic_arn.rpartition(":")[2]}
        count("AWS/SNS", "NumberOfNotificationsFailed", 1, "Count", dimensions)
        kept = _dead_letter_queue(topics, topic_arn, endpoint)
        if kept and _admits(queues, kept, topic_arn):
            original(kept, *message, topic_arn=topic_arn, **attributes)
            count("AWS/SNS", "NumberOfNotificationsRedrivenToDlq", 1, "Count", dimensions)

    wrap(topics, "_deliver_to_sqs", deliver)


def _admits(queues: Any, arn: str, topic: str) -> bool:
    """Whether a queue is there and takes what a topic delivers."""
    if queues._queue_by_arn(arn) is None:
        return False
    return bool(queues.queue_policy_allows(arn, "sns.amazonaws.com", topic, topic.split(":")[4]))


def _dead_letter_queue(topics: Any, topic_arn: str, endpoint: str) -> str:
    topic = topics._topic_by_arn_any_scope(topic_arn) or {}
    subscription: dict[str, Any] = next(
        (found for found in topic.get("subscriptions") or [] if found.get("endpoint") == endpoint), {}
    )
    policy = (subscription.get("attributes") or {}).get("RedrivePolicy") or "{}"
    return str((json.loads(policy) if isinstance(policy, str) else policy).get("deadLetterTargetArn", ""))
