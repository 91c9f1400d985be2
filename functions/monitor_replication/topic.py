"""The region's alert topic."""

from __future__ import annotations

from typing import Any, Protocol

from functions.payments import aws
from functions.payments.errors import TransientError


class AlertNotSentError(TransientError):
    """SNS or the topic's key did not take an alert."""


class Topic(Protocol):
    """What the logic asks of the alert topic."""

    def publish(self, subject: str, message: str) -> None:
        """Tell on-call."""
        ...


class SnsTopic:
    """The topic in SNS."""

    def __init__(self, client: Any, arn: str) -> None:
        self._client = client
        self._arn = arn

    def publish(self, subject: str, message: str) -> None:
        """See `Topic.publish`."""
        with aws.translated(throttled=AlertNotSentError, unavailable=AlertNotSentError):
            self._client.publish(TopicArn=self._arn, Subject=subject, Message=message)
