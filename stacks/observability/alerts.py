"""The region's alert topic, its on-call queue, and where alerts go that could not be delivered."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_policy import SnsTopicPolicy
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from constructs import Construct

from shared.grants import document
from shared.queue import kept_queue
from shared.site import PARTITION, Site
from shared.transport import tls_only
from stacks.observability.delivery import redrive_to, sns_principals
from stacks.observability.metrics import ALERTS_DLQ, ALERTS_QUEUE


class Alerts(Construct):
    """Alarms publish to the topic; the queue keeps what the topics say until on-call has read it (PAY-07).

    The queue admits the topics of all regions: their names are known before they exist. The subscriptions to the other
    regions' queues are the links stack's. Queue policies are written with the queue: as resources of their own, the
    provider would wait for the queue and for the policy, one after the other.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, id)
        self.topic = SnsTopic(self, "topic", name=site.name("alerts"), kms_master_key_id=key_arn)
        SnsTopicPolicy(self, "topic-policy", arn=self.topic.arn, policy=_topic_policy(site, str(self.topic.arn)))
        everywhere = [site, *(site.at(region) for region in site.other_regions)]
        self.queue = _queue(self, "oncall", site=site, thing=ALERTS_QUEUE, key_arn=key_arn, topics=everywhere)
        # A subscription's dead-letter queue must be in the topic's region, so it takes this topic's alerts only.
        self.undelivered = _queue(self, "undelivered", site=site, thing=ALERTS_DLQ, key_arn=key_arn, topics=[site])
        SnsTopicSubscription(
            self,
            "subscription",
            topic_arn=self.topic.arn,
            protocol="sqs",
            endpoint=self.queue.arn,
            raw_message_delivery=True,
            redrive_policy=redrive_to(str(self.undelivered.arn)),
        )


def _topic_policy(site: Site, topic_arn: str) -> str:
    own_account = {"aws:SourceAccount": site.account_id}
    return document(
        [
            # Not sns:*: a topic's policy takes no actions but those on topics.
            tls_only(["sns:Publish", "sns:Subscribe"], topic_arn),
            {
                "Sid": "Alarms",
                "Effect": "Allow",
                "Principal": {"Service": "cloudwatch.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic_arn,
                "Condition": {"StringEquals": own_account},
            },
            {
                "Sid": "OnCallQueuesOfAllRegions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{PARTITION}:iam::{site.account_id}:root"},
                "Action": "sns:Subscribe",
                "Resource": topic_arn,
                "Condition": {
                    "StringEquals": {
                        "sns:Protocol": "sqs",
                        "sns:Endpoint": [
                            site.at(region).arn("sqs", site.name(ALERTS_QUEUE)) for region in site.environment.regions
                        ],
                    }
                },
            },
        ]
    )


def _queue(scope: Construct, id: str, *, site: Site, thing: str, key_arn: str, topics: list[Site]) -> SqsQueue:
    """An encrypted queue that takes what these regions' alert topics deliver, and nothing else."""
    name = site.name(thing)
    return kept_queue(
        scope,
        id,
        site=site,
        name=name,
        key_arn=key_arn,
        statements=[
            {
                "Sid": "AlertTopics",
                "Effect": "Allow",
                "Principal": {"Service": sns_principals([topic.region for topic in topics])},
                "Action": "sqs:SendMessage",
                "Resource": site.arn("sqs", name),
                "Condition": {
                    "ArnEquals": {"aws:SourceArn": [topic.arn("sns", site.name("alerts")) for topic in topics]}
                },
            }
        ],
    )
