"""The compute layer's links: what needs the buses of all regions first."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.compute.contract import COMPUTE_LINKS, ComputeLinksOutputs, ComputeOutputs
from stacks.compute.routes import Routes


class ComputeLinksStack(LayerStack):
    """Routes payment events from one region's bus to the others'."""

    spec = COMPUTE_LINKS

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        here = self.consume(ComputeOutputs)
        others = {region: self.consume(ComputeOutputs, region) for region in site.other_regions}
        Routes(self, "routes", site=site, here=here, others=others)
        self.publish(ComputeLinksOutputs(routes_to=list(others)))
