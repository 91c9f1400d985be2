"""The web tier's edge, put together."""

from __future__ import annotations

from constructs import Construct

from shared.site import Site
from stacks.compute.contract import WebComputeOutputs
from stacks.edge.certificate import issued_in_region
from stacks.edge.contract import WebOutputs
from stacks.edge.web.load_balancer import WebLoadBalancer
from stacks.edge.web.name import web_name
from stacks.edge.web.routing import WebRouting
from stacks.network.contract import WebNetworkOutputs


class WebEntrance(Construct):
    """The name's certificate, the load balancer that presents it, and how DNS leads there.

    ``asked_for`` is the certificate where it has been asked for already.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        zone_id: str,
        asked_for: str | None,
        network: WebNetworkOutputs,
        compute: WebComputeOutputs,
        access_logs: str,
    ) -> None:
        super().__init__(scope, id)
        name = web_name(site)
        certificate_arn = issued_in_region(self, site=site, name=name, thing="web", asked_for=asked_for)
        entrance = WebLoadBalancer(
            self,
            "load-balancer",
            site=site,
            network=network,
            compute=compute,
            certificate_arn=certificate_arn,
            access_logs=access_logs,
        )
        WebRouting(self, "routing", site=site, zone_id=zone_id, name=name, balancer=entrance)
        self.outputs = WebOutputs(
            web_domain_name=name,
            web_url=f"https://{name}",
            web_certificate_arn=certificate_arn,
            load_balancer_arn=entrance.balancer.arn,
            load_balancer_dimension=entrance.balancer.arn_suffix,
            load_balancer_dns_name=entrance.balancer.dns_name,
        )
