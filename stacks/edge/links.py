"""The edge layer's links: what needs the assets buckets of all regions first."""

from __future__ import annotations

from constructs import Construct

from shared.lifecycle import BucketLifecycle
from shared.replication import BucketReplication, ReplicatedBucket
from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.edge.contract import EDGE_LINKS, AssetsLinksOutputs, AssetsOutputs


class EdgeLinksStack(LayerStack):
    """Replicates one region's assets to every other region, and tidies up its buckets (OPT-03, OPT-09)."""

    spec = EDGE_LINKS

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        here = self.consume(AssetsOutputs)
        others = {region: self.consume(AssetsOutputs, region) for region in site.other_regions}
        lifecycle = site.settings.lifecycle
        BucketReplication(
            self,
            "assets",
            site=site,
            thing="assets",
            source=_assets(here),
            destinations={region: _assets(other) for region, other in others.items()},
        )
        # What is current is never deleted: only who put an asset there knows whether it is still asked for.
        BucketLifecycle(self, "assets-lifecycle", bucket=here.assets_bucket_name, settings=lifecycle)
        if site.is_primary:
            BucketLifecycle(
                self,
                "distribution-logs-lifecycle",
                bucket=here.distribution_logs_bucket_name,
                settings=lifecycle,
                expire_days=lifecycle.access_log_days,
            )
        self.publish(AssetsLinksOutputs(assets_replicated_to=list(others)))


def _assets(outputs: AssetsOutputs) -> ReplicatedBucket:
    return ReplicatedBucket(outputs.assets_bucket_name, outputs.assets_bucket_arn, outputs.assets_key_arn)
