"""The one name that callers use, as this region's API Gateway answers to it."""

from __future__ import annotations

from cdktf import TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktf_cdktf_provider_aws.api_gateway_base_path_mapping import ApiGatewayBasePathMapping
from cdktf_cdktf_provider_aws.api_gateway_domain_name import (
    ApiGatewayDomainName,
    ApiGatewayDomainNameEndpointConfiguration,
)
from cdktf_cdktf_provider_aws.route53_record import Route53Record
from constructs import Construct

from shared.site import Site
from stacks.edge.api import PaymentApi
from stacks.edge.zone import Zone

VALIDATION_TTL_S = 300


class CustomDomain(Construct):
    """A certificate of this region, the domain name that presents it, and the mapping to the API's stage.

    The base path is the stage's name, so that `/v1/payments` is the same path here and on the region's own host.
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, zone: Zone, api: PaymentApi) -> None:
        super().__init__(scope, id)
        self.name = site.environment.domain.name
        self.base_path = api.stage_name
        certificate = AcmCertificate(
            self,
            "certificate",
            domain_name=self.name,
            validation_method="DNS",
            tags={"Name": site.name("payments")},
            lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        )
        # ACM asks for the same CNAME in every region ("the CNAME validation token works for any AWS Region", ACM User
        # Guide, DNS validation). One stack owns it: were it in every region's state, destroying one region would take
        # it from the certificates of the others (docs/decisions/dns-certificate-validation.md).
        proof = self._proof(certificate, zone) if site.is_primary else None
        issued = AcmCertificateValidation(
            self,
            "issued",
            certificate_arn=certificate.arn,
            validation_record_fqdns=[proof.fqdn] if proof else None,
        )
        self.certificate_arn = issued.certificate_arn
        self.domain = ApiGatewayDomainName(
            self,
            "domain",
            domain_name=self.name,
            regional_certificate_arn=issued.certificate_arn,
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

    def _proof(self, certificate: AcmCertificate, zone: Zone) -> Route53Record:
        # domain_validation_options is a set, of one entry here; Terraform indexes lists only.
        option = f"tolist({certificate.fqn}.domain_validation_options)[0]"
        return Route53Record(
            self,
            "proof",
            zone_id=zone.id,
            name=f"${{{option}.resource_record_name}}",
            type=f"${{{option}.resource_record_type}}",
            records=[f"${{{option}.resource_record_value}}"],
            ttl=VALIDATION_TTL_S,
            # Another certificate of the same name in this account has the very same record.
            allow_overwrite=True,
        )
