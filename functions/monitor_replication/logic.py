"""Failures of S3 replication, as somebody who is woken by them wants to read them.

When a destination is down every write fails, and S3 tells of each. One alert is enough to wake somebody:
after it the same rule is silent for a while, and what fails meanwhile is in this function's log. The alert
says so. The replication metrics go on counting all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any
from urllib.parse import unquote_plus

from functions.monitor_replication.topic import Topic
from functions.payments.ids import digest
from functions.payments.telemetry import logger
from functions.sessions.errors import SessionsUnavailableError
from functions.sessions.model import Clock, Session, now
from functions.sessions.table import Sessions

FAILED = "Replication:OperationFailedReplication"
LATE = "Replication:OperationMissedThreshold"

_SAYS = {FAILED: "could not be replicated", LATE: "is not replicated within 15 minutes"}
_NAMED_AT_MOST = 20


@dataclass(frozen=True)
class Failure:
    """One object that did not reach one destination."""

    event: str
    region: str
    bucket: str
    key: str
    version: str
    rule: str
    destination: str
    reason: str

    @property
    def cause(self) -> tuple[str, str, str]:
        """What it has in common with those that fail beside it."""
        return (self.bucket, self.rule, self.event)


def failures(event: Mapping[str, Any]) -> list[Failure]:
    """The failures that an event of S3 tells of ("Event message structure", replicationEventData)."""
    found = [_failure(record) for record in event["Records"]]
    return [one for one in found if one.event in _SAYS]


def alert(event: Mapping[str, Any], *, topic: Topic, sessions: Sessions, quiet_s: int, clock: Clock = now) -> int:
    """Tell on-call of an event's failures, a message per bucket, rule and kind; how many were sent."""
    sent = 0
    for cause, group in groupby(sorted(failures(event), key=lambda one: one.cause), key=lambda one: one.cause):
        found = list(group)
        for one in found:
            logger.warning("replication", kind=one.event, key=one.key, rule=one.rule, reason=one.reason)
        at = clock()
        first, silence = _first(cause, sessions, quiet_s, at)
        if not first:
            continue
        try:
            topic.publish(*message(found, quiet_s))
        except Exception:
            if silence is not None:
                sessions.expire(silence, at=at)
            raise
        sent += 1
    return sent


def message(found: Sequence[Failure], quiet_s: int) -> tuple[str, str]:
    """Subject (at most 100 ASCII characters, as SNS wants it) and text of an alert of one cause."""
    first = found[0]
    lines = [f"- s3://{one.bucket}/{one.key} (version {one.version}): {one.reason}" for one in found[:_NAMED_AT_MOST]]
    if len(found) > _NAMED_AT_MOST:
        lines.append(f"- and {len(found) - _NAMED_AT_MOST} more")
    text = [
        f"{first.region}: what lies in {first.bucket} {_SAYS[first.event]} to {first.destination} by rule "
        f"{first.rule}:",
        *lines,
        f"Further failures of this rule within {quiet_s} s raise no alert; they are in the log of the function "
        "monitor_replication.",
    ]
    return f"{first.region}: S3 replication by rule {first.rule}"[:100], "\n".join(text)


def _first(cause: tuple[str, str, str], sessions: Sessions, quiet_s: int, at: int) -> tuple[bool, Session | None]:
    """Whether nothing was said of a cause for a while; the session that keeps the others silent now."""
    id = "replication-alert#" + digest("\n".join(cause)).hex()
    try:
        silence, created = sessions.create(id, data={}, lifetime_s=quiet_s, at=at)
    except SessionsUnavailableError:  # rather twice than not at all
        return True, None
    return created, silence


def _failure(record: Mapping[str, Any]) -> Failure:
    stored, told = record["s3"], record["replicationEventData"]
    return Failure(
        event=record["eventName"].removeprefix("s3:"),
        region=record["awsRegion"],
        bucket=stored["bucket"]["name"],
        key=unquote_plus(stored["object"]["key"]),
        version=stored["object"].get("versionId", "unknown"),
        rule=told["replicationRuleId"],
        destination=told["destinationBucket"].rpartition(":")[2],
        reason=told.get("failureReason") or f"threshold {told.get('threshold', 'unknown')}",
    )
