"""How SNS delivers from one region to another, without I/O.

"Sending Amazon SNS messages to an Amazon SQS queue or AWS Lambda function in a different Region" (SNS Developer Guide):
a subscription is made in the topic's region. A topic in an opt-in region delivers as ``sns.<region>.amazonaws.com``;
from one opt-in region to another SNS does not deliver at all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

# Regions launched before March 20, 2019 are enabled by default; AWS adds only opt-in regions to them. Osaka was a local
# region until 2021, and the SNS guide counts it among the opt-in ones.
ENABLED_BY_DEFAULT = frozenset(
    {
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ca-central-1",
        "eu-central-1",
        "eu-north-1",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    }
)


def is_opt_in(region: str) -> bool:
    """Whether an account has to enable the region."""
    return region not in ENABLED_BY_DEFAULT


def sns_principals(regions: Sequence[str]) -> list[str]:
    """The service principals as which the topics of these regions deliver."""
    return ["sns.amazonaws.com", *(f"sns.{region}.amazonaws.com" for region in regions if is_opt_in(region))]


def delivers(topic_region: str, queue_region: str) -> bool:
    """Whether SNS delivers from a topic in one region to a queue in the other."""
    return topic_region == queue_region or not (is_opt_in(topic_region) and is_opt_in(queue_region))


def redrive_to(queue_arn: str) -> str:
    """The redrive policy of a subscription."""
    return json.dumps({"deadLetterTargetArn": queue_arn})
