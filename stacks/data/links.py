"""The data layer's links: what needs the buckets of all regions first."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.data.contract import DATA_LINKS, DataLinksOutputs, DataOutputs
from stacks.data.lifecycle import BucketLifecycle
from stacks.data.replication import ReceiptsReplication

ACCESS_LOG_DAYS = 90


class DataLinksStack(LayerStack):
    """Replicates one region's receipts to every other region, and tidies up its buckets."""

    spec = DATA_LINKS

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        here = self.consume(DataOutputs)
        others = {region: self.consume(DataOutputs, region) for region in site.other_regions}
        ReceiptsReplication(self, "receipts", site=site, source=here, destinations=others)
        BucketLifecycle(self, "receipts-lifecycle", bucket=here.receipts_bucket_name)
        BucketLifecycle(self, "access-logs-lifecycle", bucket=here.access_logs_bucket_name, expire_days=ACCESS_LOG_DAYS)
        self.publish(DataLinksOutputs(receipts_replicated_to=list(others)))
