"""What ties the regions' alerting together."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.observability.contract import OBSERVABILITY_LINKS, ObservabilityLinksOutputs, ObservabilityOutputs
from stacks.observability.delivery import delivers, redrive_to


class ObservabilityLinksStack(LayerStack):
    """This region's alerts reach the on-call queue of every other region (PAY-07).

    Subscriptions belong to the topic's region (`delivery.py`), and so does this stack: it needs no second provider, its
    state is where its resources are, and with another region down the alerts of this one still reach all the rest
    (docs/decisions/alarms-reach-every-region.md).
    """

    spec = OBSERVABILITY_LINKS

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        here = self.consume(ObservabilityOutputs)
        subscriptions = [
            SnsTopicSubscription(
                self,
                f"oncall-{region}",
                topic_arn=here.alert_topic_arn,
                protocol="sqs",
                endpoint=self.consume(ObservabilityOutputs, region).oncall_queue_arn,
                raw_message_delivery=True,
                redrive_policy=redrive_to(here.oncall_dlq_arn),
            )
            for region in site.other_regions
            if delivers(site.region, region)
        ]
        self.publish(ObservabilityLinksOutputs(subscription_arns=[str(made.arn) for made in subscriptions]))
