"""How DNS finds this region: a latency record, watched by a health check."""

from __future__ import annotations

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.route53_health_check import Route53HealthCheck
from cdktf_cdktf_provider_aws.route53_record import (
    Route53Record,
    Route53RecordAlias,
    Route53RecordLatencyRoutingPolicy,
)
from constructs import Construct

from shared.site import Site
from stacks.edge.api import HEALTH, PaymentApi
from stacks.edge.domain import CustomDomain

HTTPS_PORT = 443


class RegionalRouting(Construct):
    """One answer among the regions' answers for the same name.

    `evaluate_target_health` on an API Gateway alias sees only that the service is there (design trap 11), so a health
    check asks this region's own `/health`: it reads the region's table, and it is the switch to drain the region. It
    asks the region's own host: the custom name would lead the checkers to the region nearest to *them*.
    """

    def __init__(
        self, scope: Construct, id: str, *, site: Site, zone_id: str, api: PaymentApi, custom: CustomDomain
    ) -> None:
        super().__init__(scope, id)
        settings = site.settings.edge
        self.health_check = Route53HealthCheck(
            self,
            "health",
            type="HTTPS",
            fqdn=api.host,
            port=HTTPS_PORT,
            resource_path=f"/{api.stage_name}/{HEALTH.path}",
            request_interval=settings.health_interval_s,
            failure_threshold=settings.health_failure_threshold,
            measure_latency=True,
            enable_sni=True,
            # Health checks are global and have no name of their own.
            tags={"Name": site.name(f"payments-{site.region}")},
            # A changed interval means another check: the record moves to it before the old one goes.
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        Route53Record(
            self,
            "record",
            zone_id=zone_id,
            name=custom.name,
            type="A",
            set_identifier=site.region,
            # The set identifier is this region's own. A creation whose answer got lost is sent again, and must not
            # fail on what it made itself.
            allow_overwrite=True,
            health_check_id=self.health_check.id,
            latency_routing_policy=Route53RecordLatencyRoutingPolicy(region=site.region),
            alias=Route53RecordAlias(
                name=custom.domain.regional_domain_name,
                zone_id=custom.domain.regional_zone_id,
                evaluate_target_health=True,
            ),
            # Callers come as soon as the record is there, and must find the API.
            depends_on=[custom.mapping],
        )
