"""Queues report how many messages wait in them, and for how long.

Upstream: there are no AWS/SQS metrics, so an alarm on the depth of a dead-letter queue never changes.

AWS: "Available CloudWatch metrics for Amazon SQS" (SQS Developer Guide).

Added: a thread that samples all queues, once a second when something changed, else once a minute as on AWS.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from rollout.sandbox.emulator import module

_LOOK_EVERY_S = 1.0
_REPORT_EVERY_S = 60.0

logger = logging.getLogger("tripoint.queues")


def apply() -> None:
    threading.Thread(target=_watch, name="tripoint-queues", daemon=True).start()


def _watch() -> None:
    queues, reported = module("services.sqs"), dict[Any, tuple[float, int, int]]()
    while True:
        time.sleep(_LOOK_EVERY_S)
        try:
            for key, queue in queues._queues.all_items():
                reported[key] = _report(key, queue, reported.get(key, (0.0, 0, 0)))
        except Exception:
            logger.exception("reading the queues")


def _report(key: Any, queue: Any, last: tuple[float, int, int]) -> tuple[float, int, int]:
    now, messages = time.time(), list(queue["messages"])
    visible = sum(1 for message in messages if message["visible_at"] <= now)
    hidden = len(messages) - visible
    if (visible, hidden) == last[1:] and now - last[0] < _REPORT_EVERY_S:
        return last
    oldest_s = max((now - message["sent_at"] for message in messages), default=0.0)
    name = str(queue["attributes"]["QueueArn"]).rsplit(":", 1)[-1]
    with module("core.responses").request_scope(key[0], key[1]):
        for metric, value, unit in (
            ("ApproximateNumberOfMessagesVisible", visible, "Count"),
            ("ApproximateNumberOfMessagesNotVisible", hidden, "Count"),
            ("ApproximateAgeOfOldestMessage", oldest_s, "Seconds"),
        ):
            module("services.cloudwatch").record_metric("AWS/SQS", metric, value, unit, {"QueueName": name})
    return now, visible, hidden
