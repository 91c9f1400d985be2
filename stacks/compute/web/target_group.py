"""The target group between the load balancer and the instances."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.lb_target_group import LbTargetGroup, LbTargetGroupHealthCheck
from constructs import Construct

from shared.site import Site
from stacks.network.tiers import APPLICATION_PORT

HEALTH_PATH = "/health"
HEALTHY_AFTER, UNHEALTHY_AFTER = 2, 3
CHECK_TIMEOUT_S = 4


class WebTargets(Construct):
    """Addresses, not instances (docs/decisions/web-targets-by-address.md), checked over HTTP."""

    def __init__(self, scope: Construct, id: str, *, site: Site, vpc_id: str) -> None:
        super().__init__(scope, id)
        settings = site.settings.web
        self.group = LbTargetGroup(
            self,
            "group",
            name=site.name("web"),
            target_type="ip",
            protocol="HTTP",
            port=APPLICATION_PORT,
            vpc_id=vpc_id,
            deregistration_delay=str(settings.deregistration_delay_s),
            health_check=LbTargetGroupHealthCheck(
                enabled=True,
                protocol="HTTP",
                port="traffic-port",
                path=HEALTH_PATH,
                matcher="200",
                interval=settings.health_interval_s,
                timeout=CHECK_TIMEOUT_S,
                healthy_threshold=HEALTHY_AFTER,
                unhealthy_threshold=UNHEALTHY_AFTER,
            ),
        )

    @property
    def arn(self) -> str:
        return str(self.group.arn)
