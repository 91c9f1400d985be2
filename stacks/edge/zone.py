"""The hosted zone of the one name: made in the primary region, or given by the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_route53_zone import DataAwsRoute53Zone
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone
from constructs import Construct

from shared.site import Site
from shared.suppressions import suppress


@dataclass(frozen=True)
class Zone:
    """Where the name's records are written."""

    id: str
    name_servers: list[str]


def made_zone(scope: Construct, site: Site) -> Zone:
    """A zone for the name alone; the domain above must delegate to its name servers (docs/decisions/dns-zone.md)."""
    zone = Route53Zone(
        scope,
        "zone",
        name=site.environment.domain.name,
        comment=f"{site.name('payments')}: one name for every region",
        # Other regions' records go before the zone does; what somebody else wrote into it must not keep it.
        force_destroy=not site.production,
        tags={"Name": site.name("payments")},
        lifecycle=TerraformResourceLifecycle(prevent_destroy=True) if site.production else None,
    )
    suppress(zone, "CKV2_AWS_38", "The DS record belongs into the parent zone, which is somebody else's")
    suppress(zone, "CKV2_AWS_39", "Queries tell only where callers are; the API's own access log tells who paid")
    return Zone(zone.zone_id, zone.name_servers)


def given_zone(scope: Construct, zone_id: str) -> Zone:
    """A zone that exists already. Every region looks it up itself, so none waits for the primary's state."""
    zone = DataAwsRoute53Zone(scope, "zone", zone_id=zone_id)
    return Zone(zone_id, zone.name_servers)
