"""A certificate that ACM issues for a name of the environment's zone."""

from __future__ import annotations

from cdktf import TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktf_cdktf_provider_aws.route53_record import Route53Record
from constructs import Construct

from shared.site import Site
from stacks.edge.zone import Zone

VALIDATION_TTL_S = 300


def issued_certificate(
    scope: Construct,
    *,
    site: Site,
    zone: Zone,
    name: str,
    thing: str,
    proves: bool,
    provider: TerraformProvider | None = None,
) -> str:
    """Ask for a certificate, wait until it is issued, and return its ARN; the ids are ``certificate``, ``proof`` and
    ``issued``.

    ACM asks for the same CNAME in every region ("the CNAME validation token works for any AWS Region", ACM User Guide,
    DNS validation). One stack owns it: were it in every region's state, destroying one region would take it from the
    certificates of the others (docs/decisions/dns-certificate-validation.md).

    Parameters
    ----------
    proves
        Whether this stack owns the record.
    provider
        Of another region than the stack's.
    """
    certificate = AcmCertificate(
        scope,
        "certificate",
        domain_name=name,
        validation_method="DNS",
        tags={"Name": site.name(thing)},
        lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        provider=provider,
    )
    proof = _proof(scope, certificate, zone) if proves else None
    issued = AcmCertificateValidation(
        scope,
        "issued",
        certificate_arn=certificate.arn,
        validation_record_fqdns=[proof.fqdn] if proof else None,
        provider=provider,
    )
    return str(issued.certificate_arn)


def _proof(scope: Construct, certificate: AcmCertificate, zone: Zone) -> Route53Record:
    # domain_validation_options is a set, of one entry here; Terraform indexes lists only.
    option = f"tolist({certificate.fqn}.domain_validation_options)[0]"
    return Route53Record(
        scope,
        "proof",
        zone_id=zone.id,
        name=f"${{{option}.resource_record_name}}",
        type=f"${{{option}.resource_record_type}}",
        records=[f"${{{option}.resource_record_value}}"],
        ttl=VALIDATION_TTL_S,
        # Another certificate of the same name in this account has the very same record.
        allow_overwrite=True,
    )
