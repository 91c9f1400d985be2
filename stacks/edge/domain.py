"""The one name that callers use, as this region's API Gateway answers to it."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.api_gateway_base_path_mapping import ApiGatewayBasePathMapping
from cdktf_cdktf_provider_aws.api_gateway_domain_name import (
    ApiGatewayDomainName,
    ApiGatewayDomainNameEndpointConfiguration,
)
from constructs import Construct

from shared.site import Site
from stacks.edge.api import PaymentApi
from stacks.edge.certificate import issued_in_region


class CustomDomain(Construct):
    """A certificate of this region, the domain name that presents it, and the mapping to the API's stage.

    The base path is the stage's name, so that `/v1/payments` is the same path here and on the region's own host.
    ``asked_for`` is the certificate where it has been asked for already.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, api: PaymentApi, asked_for: str | None) -> None:
        super().__init__(scope, id)
        self.name = site.environment.domain.name
        self.base_path = api.stage_name
        self.certificate_arn = issued_in_region(self, site=site, name=self.name, thing="payments", asked_for=asked_for)
        self.domain = ApiGatewayDomainName(
            self,
            "domain",
            domain_name=self.name,
            regional_certificate_arn=self.certificate_arn,
            security_policy="TLS_1_2",
            endpoint_configuration=ApiGatewayDomainNameEndpointConfiguration(types=["REGIONAL"]),
            tags={"Name": site.name("payments")},
        )
        self.mapping = ApiGatewayBasePathMapping(
            self,
            "mapping",
            domain_name=self.domain.domain_name,
            api_id=api.api.id,
            stage_name=api.stage.stage_name,
            base_path=self.base_path,
        )
        self.url = f"https://{self.name}/{self.base_path}"
