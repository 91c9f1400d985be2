"""The edge layer of one region."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.compute.contract import ComputeOutputs
from stacks.data.contract import DataOutputs
from stacks.edge.account import ApiGatewayLogging
from stacks.edge.api import PaymentApi
from stacks.edge.contract import EDGE, EdgeOutputs


class EdgeStack(LayerStack):
    """Where callers enter a region: the REST API."""

    spec = EDGE

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        data = self.consume(DataOutputs)
        compute = self.consume(ComputeOutputs)
        logging = ApiGatewayLogging(self, "logging", site=site)
        api = PaymentApi(self, "payments", site=site, compute=compute, logging=logging, key_arn=data.key_arn)
        self.publish(EdgeOutputs(api_id=api.api.id, api_name=api.name, api_stage=api.stage_name, api_url=api.url))
