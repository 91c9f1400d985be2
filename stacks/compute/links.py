"""The compute layer's links: what needs the buses of all regions first."""

from __future__ import annotations

from constructs import Construct

from shared.lifecycle import BucketLifecycle
from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.compute.contract import COMPUTE_LINKS, ComputeLinksOutputs, ComputeOutputs
from stacks.compute.routes import Routes


class ComputeLinksStack(LayerStack):
    """Routes payment events from one region's bus to the others', and tidies up the bucket of the code."""

    spec = COMPUTE_LINKS

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        here = self.consume(ComputeOutputs)
        others = {region: self.consume(ComputeOutputs, region) for region in site.other_regions}
        if others:
            Routes(self, "routes", site=site, here=here, others=others)
        # Here, because nothing should wait for it: a zip's object goes with its function's next version.
        BucketLifecycle(self, "code-lifecycle", bucket=here.code_bucket_name, settings=site.settings.lifecycle)
        self.publish(ComputeLinksOutputs(routes_to=list(others)))
