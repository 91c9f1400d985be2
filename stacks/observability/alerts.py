"""The region's alert topic and its on-call queue."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.sns_topic import SnsTopic
from cdktf_cdktf_provider_aws.sns_topic_policy import SnsTopicPolicy
from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from cdktf_cdktf_provider_aws.sqs_queue import SqsQueue
from cdktf_cdktf_provider_aws.sqs_queue_policy import SqsQueuePolicy
from constructs import Construct

from shared.grants import document
from shared.site import Site

FOURTEEN_DAYS_S = 14 * 24 * 3600


class Alerts(Construct):
    """Alarms publish to the topic; the queue keeps what the topic says until on-call has read it."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str) -> None:
        super().__init__(scope, id)
        self.topic = SnsTopic(self, "topic", name=site.name("alerts"), kms_master_key_id=key_arn)
        SnsTopicPolicy(
            self,
            "topic-policy",
            arn=self.topic.arn,
            policy=document(
                [
                    {
                        "Sid": "Alarms",
                        "Effect": "Allow",
                        "Principal": {"Service": "cloudwatch.amazonaws.com"},
                        "Action": "sns:Publish",
                        "Resource": self.topic.arn,
                        "Condition": {"StringEquals": {"aws:SourceAccount": site.account_id}},
                    }
                ]
            ),
        )
        self.queue = SqsQueue(
            self,
            "oncall",
            name=site.name("oncall"),
            kms_master_key_id=key_arn,
            message_retention_seconds=FOURTEEN_DAYS_S,
        )
        admitted = SqsQueuePolicy(
            self,
            "oncall-policy",
            queue_url=self.queue.url,
            policy=document(
                [
                    {
                        "Sid": "AlertTopic",
                        "Effect": "Allow",
                        "Principal": {"Service": "sns.amazonaws.com"},
                        "Action": "sqs:SendMessage",
                        "Resource": self.queue.arn,
                        "Condition": {"ArnEquals": {"aws:SourceArn": self.topic.arn}},
                    }
                ]
            ),
        )
        SnsTopicSubscription(
            self,
            "subscription",
            topic_arn=self.topic.arn,
            protocol="sqs",
            endpoint=self.queue.arn,
            raw_message_delivery=True,
            depends_on=[admitted],
        )
