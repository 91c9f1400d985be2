"""The network layer of one region."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from stacks.network.contract import NETWORK, ApplicationTierOutputs, NetworkOutputs
from stacks.network.endpoints import FunctionsSecurityGroup, ServiceEndpoints
from stacks.network.tiers import ApplicationTier, LoadBalancerTier
from stacks.network.vpc import IsolatedVpc


class NetworkStack(LayerStack):
    """A region's isolated VPC: private subnets, service endpoints, the functions' security group.

    There is no VPC peering: replication between regions uses AWS's own connections (PAY-17).
    """

    spec = NETWORK

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        network = IsolatedVpc(self, "network", site=site)
        endpoints = ServiceEndpoints(self, "endpoints", site=site, network=network)
        functions = FunctionsSecurityGroup(self, "functions", site=site, network=network, endpoints=endpoints)
        self.publish(
            NetworkOutputs(
                vpc_id=network.vpc.id,
                private_subnet_ids=network.private_subnet_ids,
                functions_security_group_id=functions.group.id,
            )
        )
        if site.environment.capabilities & {"web", "relational"}:
            application = ApplicationTier(self, "application", site=site, network=network, endpoints=endpoints)
            self.publish(ApplicationTierOutputs(application_security_group_id=application.group.id))
            if site.settings.web.enabled:
                balancer = LoadBalancerTier(self, "load-balancer", site=site, network=network, application=application)
                self.publish(balancer.outputs)
