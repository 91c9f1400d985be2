"""What ties the regions' alerting together, and what nothing should wait for."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.sns_topic_subscription import SnsTopicSubscription
from constructs import Construct

from shared.lifecycle import BucketLifecycle
from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.observability.contract import (
    OBSERVABILITY_LINKS,
    AuditOutputs,
    FlowLogFilesOutputs,
    ObservabilityLinksOutputs,
    ObservabilityOutputs,
)
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
        if site.settings.flow_logs.enabled:
            self._flow_logs_expire()
        if site.settings.audit.enabled and site.is_primary:
            self._trail_expires()
        self.publish(ObservabilityLinksOutputs(subscription_arns=[str(made.arn) for made in subscriptions]))

    def _flow_logs_expire(self) -> None:
        BucketLifecycle(
            self,
            "flow-logs-lifecycle",
            bucket=self.consume(FlowLogFilesOutputs).flow_logs_bucket_name,
            settings=self.site.settings.lifecycle,
            expire_days=self.site.settings.flow_logs.expire_days,
        )

    def _trail_expires(self) -> None:
        """The trail's files, and what was asked of them."""
        audit, settings = self.consume(AuditOutputs), self.site.settings
        BucketLifecycle(
            self,
            "audit-lifecycle",
            bucket=audit.audit_bucket_name,
            settings=settings.lifecycle,
            expire_days=settings.audit.retention_days,
        )
        BucketLifecycle(
            self,
            "athena-results-lifecycle",
            bucket=audit.athena_results_bucket_name,
            settings=settings.lifecycle,
            expire_days=settings.audit.results_days,
            noncurrent_days=settings.audit.results_days,
        )
