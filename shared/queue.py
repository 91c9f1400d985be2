"""A queue that keeps what must not get lost until somebody has looked at it."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from constructs import Construct

FOURTEEN_DAYS_S = 14 * 24 * 3600


def kept_queue(scope: Construct, id: str, *, name: str, key_arn: str, policy: str | None = None) -> SqsQueue:
    """A queue under the region's key that keeps its messages for 14 days, the longest SQS does.

    ``policy`` is the queue's own attribute and not a resource: the provider watches each of them for 25 s.
    """
    return SqsQueue(
        scope,
        id,
        name=name,
        kms_master_key_id=key_arn,
        message_retention_seconds=FOURTEEN_DAYS_S,
        policy=policy,
    )
