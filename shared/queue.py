"""A queue that keeps what must not get lost until somebody has looked at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from constructs import Construct

from shared.grants import document
from shared.site import Site
from shared.transport import tls_only

FOURTEEN_DAYS_S = 14 * 24 * 3600


def kept_queue(
    scope: Construct,
    id: str,
    *,
    site: Site,
    name: str,
    key_arn: str,
    statements: Sequence[Mapping[str, object]] = (),
) -> SqsQueue:
    """A queue under the region's key, reached over TLS only, that keeps its messages for 14 days, the longest SQS does.

    Roles of the account use it as far as their own policies go, a service as far as ``statements`` of the queue's
    policy say. The policy is the queue's own attribute and not a resource: the provider watches each of them for 25 s.
    """
    return SqsQueue(
        scope,
        id,
        name=name,
        kms_master_key_id=key_arn,
        message_retention_seconds=FOURTEEN_DAYS_S,
        policy=document([tls_only("sqs:*", site.arn("sqs", name)), *statements]),
    )
