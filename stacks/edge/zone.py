"""The hosted zone of the environment's names, and what proves the names to ACM: a stack of the primary region."""

from __future__ import annotations

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_route53_zone import DataAwsRoute53Zone
from cdktf_cdktf_provider_aws.route53_zone import Route53Zone
from constructs import Construct

from shared.site import Site
from shared.stack import BuildInputs, LayerStack
from shared.suppressions import suppress
from stacks.edge.certificate import ask_for_certificate, proof_of
from stacks.edge.contract import EDGE_ZONE, WebZoneOutputs, ZoneOutputs
from stacks.edge.web.name import web_name


class EdgeZoneStack(LayerStack):
    """What the edges of all regions need of DNS before they are there (docs/decisions/dns-zone.md).

    Nothing waits for the certificates here, so that a zone which nobody has delegated to yet is deployed and tells its
    name servers.
    """

    spec = EDGE_ZONE

    def __init__(self, scope: Construct, site: Site, inputs: BuildInputs) -> None:
        super().__init__(scope, site, inputs)
        given = site.environment.domain.hosted_zone_id
        zone = made_zone(self, site) if given is None else DataAwsRoute53Zone(self, "zone", zone_id=given)
        self._zone_id = zone.zone_id if given is None else given
        self.publish(
            ZoneOutputs(
                hosted_zone_id=self._zone_id,
                name_servers=zone.name_servers,
                certificate_arn=self._proved("domain", site.environment.domain.name, "payments"),
            )
        )
        if site.settings.web.enabled:
            self.publish(WebZoneOutputs(web_certificate_arn=self._proved("web", web_name(site), "web")))

    def _proved(self, id: str, name: str, thing: str) -> str:
        """The ARN of a certificate that the zone proves: only with a certificate does ACM tell the proof of a name."""
        scope = Construct(self, id)
        certificate = ask_for_certificate(scope, site=self.site, name=name, thing=thing)
        proof_of(scope, certificate, zone_id=self._zone_id)
        return str(certificate.arn)


def made_zone(scope: Construct, site: Site) -> Route53Zone:
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
    return zone
