"""The data layer's links: what needs the buckets of all regions first."""

from __future__ import annotations

from constructs import Construct

from shared.lifecycle import BucketLifecycle
from shared.replication import BucketReplication, ReplicatedBucket
from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.data.contract import DATA_LINKS, DataLinksOutputs, DataOutputs, UploadsOutputs


class DataLinksStack(LayerStack):
    """Replicates one region's receipts to every other region, and tidies up its buckets."""

    spec = DATA_LINKS

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        here = self.consume(DataOutputs)
        others = {region: self.consume(DataOutputs, region) for region in site.other_regions}
        lifecycle = site.settings.lifecycle
        if others:
            BucketReplication(
                self,
                "receipts",
                site=site,
                thing="receipts",
                source=_receipts(here),
                destinations={region: _receipts(other) for region, other in others.items()},
            )
        BucketLifecycle(self, "receipts-lifecycle", bucket=here.receipts_bucket_name, settings=lifecycle)
        BucketLifecycle(
            self,
            "access-logs-lifecycle",
            bucket=here.access_logs_bucket_name,
            settings=lifecycle,
            expire_days=lifecycle.access_log_days,
        )
        processing = site.settings.processing
        if processing.enabled:
            BucketLifecycle(
                self,
                "uploads-lifecycle",
                bucket=self.consume(UploadsOutputs).uploads_bucket_name,
                settings=lifecycle,
                expire_days=processing.expire_days,
                noncurrent_days=processing.noncurrent_days,
            )
        self.publish(DataLinksOutputs(receipts_replicated_to=list(others)))


def _receipts(data: DataOutputs) -> ReplicatedBucket:
    return ReplicatedBucket(data.receipts_bucket_name, data.receipts_bucket_arn, data.key_arn)
