"""The distribution that serves the assets of all regions under one name. It stands in the primary's stack."""

from __future__ import annotations

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.cloudfront_distribution import (
    CloudfrontDistribution,
    CloudfrontDistributionDefaultCacheBehavior,
    CloudfrontDistributionOrigin,
    CloudfrontDistributionOriginGroup,
    CloudfrontDistributionOriginGroupFailoverCriteria,
    CloudfrontDistributionOriginGroupMember,
    CloudfrontDistributionRestrictions,
    CloudfrontDistributionRestrictionsGeoRestriction,
    CloudfrontDistributionViewerCertificate,
)
from cdktf_cdktf_provider_aws.cloudfront_origin_access_control import CloudfrontOriginAccessControl
from cdktf_cdktf_provider_aws.route53_record import Route53Record, Route53RecordAlias
from constructs import Construct

from shared.site import Site
from shared.suppressions import suppress
from stacks.edge.assets.bucket import domain_name
from stacks.edge.assets.headers import security_headers
from stacks.edge.certificate import ask_for_certificate, issued, proof_of

# CloudFront is global: its certificates, log deliveries and metrics are in this region only.
CLOUDFRONT_REGION = "us-east-1"

# Managed-CachingOptimized (CloudFront Developer Guide, "Use managed cache policies"); the id is the same everywhere.
CACHING_OPTIMIZED = "658327ea-f89d-4fab-a63d-7e88639e58f6"

# When the other region is asked (docs/decisions/static-edge.md). 5xx: the region's S3 is not well, or does not answer.
# 403: the object is not there yet, or the bucket or its key refuses. 404: the bucket itself is gone.
FAILOVER_CODES = (403, 404, 500, 502, 503, 504)

# CloudFront fails over for these methods only, and nothing is written through it.
METHODS = ["GET", "HEAD"]
GROUP = "regions"
ROOT_OBJECT = "index.html"


class AssetsDistribution(Construct):
    """HTTPS only, from the primary region's bucket and, while that fails, from the next region's (OPT-03).

    It knows the buckets by their names: they are made after it, each with a policy that names its ARN.
    """

    def __init__(
        self, scope: Construct, id: str, *, site: Site, zone_id: str, cloudfront_region: TerraformProvider | None
    ) -> None:
        super().__init__(scope, id)
        self.host = f"{site.settings.assets.subdomain}.{site.environment.domain.name}"
        self.url = f"https://{self.host}"
        asked = ask_for_certificate(self, site=site, name=self.host, thing="assets", provider=cloudfront_region)
        proof = proof_of(self, asked, zone_id=zone_id)
        certificate = issued(self, asked.arn, proof=proof, provider=cloudfront_region)
        access = CloudfrontOriginAccessControl(
            self,
            "access",
            name=site.name("assets"),
            description=f"{site.name('assets')}: signs every request to the buckets",
            origin_access_control_origin_type="s3",
            signing_behavior="always",
            signing_protocol="sigv4",
        )
        origins = [site.region, next_region(site)]
        self.distribution = CloudfrontDistribution(
            self,
            "distribution",
            comment=site.name("assets"),
            enabled=True,
            is_ipv6_enabled=True,
            http_version="http2and3",
            aliases=[self.host],
            price_class=site.settings.assets.price_class,
            default_root_object=ROOT_OBJECT,
            origin=[
                CloudfrontDistributionOrigin(
                    origin_id=region, domain_name=domain_name(site.at(region)), origin_access_control_id=access.id
                )
                for region in origins
            ],
            origin_group=[
                CloudfrontDistributionOriginGroup(
                    origin_id=GROUP,
                    failover_criteria=CloudfrontDistributionOriginGroupFailoverCriteria(
                        status_codes=list(FAILOVER_CODES)
                    ),
                    member=[CloudfrontDistributionOriginGroupMember(origin_id=region) for region in origins],
                )
            ],
            default_cache_behavior=CloudfrontDistributionDefaultCacheBehavior(
                target_origin_id=GROUP,
                viewer_protocol_policy="https-only",
                allowed_methods=METHODS,
                cached_methods=METHODS,
                compress=True,
                cache_policy_id=CACHING_OPTIMIZED,
                response_headers_policy_id=security_headers(self, site=site).id,
            ),
            restrictions=CloudfrontDistributionRestrictions(
                geo_restriction=CloudfrontDistributionRestrictionsGeoRestriction(restriction_type="none")
            ),
            viewer_certificate=CloudfrontDistributionViewerCertificate(
                acm_certificate_arn=certificate, ssl_support_method="sni-only", minimum_protocol_version="TLSv1.2_2021"
            ),
            retain_on_delete=False,
            # Minutes until every edge location has it; no other stack's work should wait for them.
            wait_for_deployment=False,
            tags={"Name": site.name("assets")},
        )
        for check in ("CKV_AWS_68", "CKV2_AWS_47"):
            suppress(self.distribution, check, "Files that everybody may read: a web ACL has nothing to filter")
        suppress(self.distribution, "CKV_AWS_86", "Logged by standard logging v2 (stacks/edge/assets/logs.py)")
        suppress(self.distribution, "CKV_AWS_374", "Assets are for callers everywhere")
        self._record(zone_id, "A")
        self._record(zone_id, "AAAA")

    def _record(self, zone_id: str, type: str) -> None:
        Route53Record(
            self,
            f"record-{type.lower()}",
            zone_id=zone_id,
            name=self.host,
            type=type,
            alias=Route53RecordAlias(
                name=self.distribution.domain_name,
                zone_id=self.distribution.hosted_zone_id,
                # "You can't set EvaluateTargetHealth to true when the alias target is a CloudFront distribution"
                # (Route 53 API reference, AliasTarget).
                evaluate_target_health=False,
            ),
        )


def next_region(site: Site) -> str:
    """The region that takes over from this one."""
    order = site.environment.failover_order
    return order[(order.index(site.region) + 1) % len(order)]
