"""Certificates that ACM issues for names of the environment's zone: asked for, proved, issued."""

from __future__ import annotations

from cdktf import TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from cdktf_cdktf_provider_aws.acm_certificate_validation import AcmCertificateValidation
from cdktf_cdktf_provider_aws.route53_record import Route53Record
from constructs import Construct

from shared.site import Site

VALIDATION_TTL_S = 300


def ask_for_certificate(
    scope: Construct, *, site: Site, name: str, thing: str, provider: TerraformProvider | None = None
) -> AcmCertificate:
    """Ask ACM for a certificate; the id is ``certificate``, ``provider`` that of another region than the stack's."""
    return AcmCertificate(
        scope,
        "certificate",
        domain_name=name,
        validation_method="DNS",
        tags={"Name": site.name(thing)},
        lifecycle=TerraformResourceLifecycle(create_before_destroy=True),
        provider=provider,
    )


def proof_of(scope: Construct, certificate: AcmCertificate, *, zone_id: str) -> Route53Record:
    """The CNAME by which ACM sees that the name is ours; the id is ``proof``.

    ACM asks for the same CNAME in every region ("the CNAME validation token works for any AWS Region", ACM User Guide,
    DNS validation). One stack owns it: were it in every region's state, destroying one region would take it from the
    certificates of the others (docs/decisions/dns-certificate-validation.md).
    """
    # domain_validation_options is a set, of one entry here; Terraform indexes lists only.
    option = f"tolist({certificate.fqn}.domain_validation_options)[0]"
    return Route53Record(
        scope,
        "proof",
        zone_id=zone_id,
        name=f"${{{option}.resource_record_name}}",
        type=f"${{{option}.resource_record_type}}",
        records=[f"${{{option}.resource_record_value}}"],
        ttl=VALIDATION_TTL_S,
        # Another certificate of the same name in this account has the very same record.
        allow_overwrite=True,
    )


def issued(
    scope: Construct,
    certificate_arn: str,
    *,
    proof: Route53Record | None = None,
    provider: TerraformProvider | None = None,
) -> str:
    """Wait until ACM has issued a certificate, and return its ARN; the id is ``issued``.

    ``proof`` is the record, where this stack writes it; ``provider`` that of another region than the stack's.
    """
    waited = AcmCertificateValidation(
        scope,
        "issued",
        certificate_arn=certificate_arn,
        validation_record_fqdns=[proof.fqdn] if proof else None,
        provider=provider,
    )
    return str(waited.certificate_arn)


def issued_in_region(scope: Construct, *, site: Site, name: str, thing: str, asked_for: str | None) -> str:
    """The ARN of this region's certificate for a name that the zone's stack proves, once it is issued.

    ``asked_for``: the one that the zone's stack has asked for, in the primary region; elsewhere a region asks itself.
    """
    return issued(scope, asked_for or ask_for_certificate(scope, site=site, name=name, thing=thing).arn)
