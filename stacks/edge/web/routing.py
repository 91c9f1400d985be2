"""How the web tier's name leads to a region."""

from __future__ import annotations

from typing import Any

from cdktf import ITerraformDependable
from cdktf_cdktf_provider_aws.route53_record import (
    Route53Record,
    Route53RecordAlias,
    Route53RecordFailoverRoutingPolicy,
    Route53RecordLatencyRoutingPolicy,
)
from constructs import Construct

from shared.site import Site
from stacks.edge.web.load_balancer import WebLoadBalancer


class WebRouting(Construct):
    """This region's answers for the name; the load balancer's targets tell Route 53 whether it may give them.

    ``latency``: a record per region. ``failover``: the primary region's record, and behind it a latency record set of
    the other regions under a name of its own. A name has one secondary record: the stack of the first of the other
    regions owns it, for all of them.
    """

    def __init__(
        self, scope: Construct, id: str, *, site: Site, zone_id: str, name: str, balancer: WebLoadBalancer
    ) -> None:
        super().__init__(scope, id)
        self._zone_id = zone_id
        here = Route53RecordAlias(
            name=balancer.balancer.dns_name, zone_id=balancer.balancer.zone_id, evaluate_target_health=True
        )
        nearest = Route53RecordLatencyRoutingPolicy(region=site.region)
        # Callers come as soon as the record is there.
        ready = [balancer.https]
        if site.settings.web.routing == "latency":
            self._record("record", name, site.region, here, ready, latency_routing_policy=nearest)
            return
        if site.is_primary:
            first = Route53RecordFailoverRoutingPolicy(type="PRIMARY")
            self._record("record", name, "primary", here, ready, failover_routing_policy=first)
            return
        fallback = f"fallback.{name}"
        regional = self._record("fallback", fallback, site.region, here, ready, latency_routing_policy=nearest)
        if site.region == site.at(site.environment.primary).other_regions[0]:
            others = Route53RecordAlias(name=fallback, zone_id=zone_id, evaluate_target_health=True)
            second = Route53RecordFailoverRoutingPolicy(type="SECONDARY")
            # An alias of a name in the same zone needs that name.
            self._record("record", name, "secondary", others, [regional], failover_routing_policy=second)

    def _record(
        self,
        id: str,
        name: str,
        set_identifier: str,
        alias: Route53RecordAlias,
        ready: list[ITerraformDependable],
        **policy: Any,
    ) -> Route53Record:
        return Route53Record(
            self,
            id,
            zone_id=self._zone_id,
            name=name,
            type="A",
            set_identifier=set_identifier,
            # The set identifier is this stack's own: a creation that is sent again must not fail on what it made.
            allow_overwrite=True,
            alias=alias,
            depends_on=ready,
            **policy,
        )
