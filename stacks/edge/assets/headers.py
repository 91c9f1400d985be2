"""The response headers that make browsers careful."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.cloudfront_response_headers_policy import (
    CloudfrontResponseHeadersPolicy,
    CloudfrontResponseHeadersPolicySecurityHeadersConfig,
    CloudfrontResponseHeadersPolicySecurityHeadersConfigContentSecurityPolicy,
    CloudfrontResponseHeadersPolicySecurityHeadersConfigContentTypeOptions,
    CloudfrontResponseHeadersPolicySecurityHeadersConfigFrameOptions,
    CloudfrontResponseHeadersPolicySecurityHeadersConfigReferrerPolicy,
    CloudfrontResponseHeadersPolicySecurityHeadersConfigStrictTransportSecurity,
)
from constructs import Construct

from shared.site import Site
from shared.suppressions import suppress

# Two years.
HSTS_S = 2 * 365 * 24 * 3600


def security_headers(scope: Construct, *, site: Site) -> CloudfrontResponseHeadersPolicy:
    """HSTS, no guessing of types, no framing, no paths in referrers, and the configured content security policy."""
    headers = CloudfrontResponseHeadersPolicy(
        scope,
        "headers",
        name=site.name("assets"),
        comment=f"{site.name('assets')}: security headers",
        security_headers_config=CloudfrontResponseHeadersPolicySecurityHeadersConfig(
            strict_transport_security=CloudfrontResponseHeadersPolicySecurityHeadersConfigStrictTransportSecurity(
                access_control_max_age_sec=HSTS_S, include_subdomains=True, preload=False, override=True
            ),
            content_type_options=CloudfrontResponseHeadersPolicySecurityHeadersConfigContentTypeOptions(override=True),
            frame_options=CloudfrontResponseHeadersPolicySecurityHeadersConfigFrameOptions(
                frame_option="DENY", override=True
            ),
            referrer_policy=CloudfrontResponseHeadersPolicySecurityHeadersConfigReferrerPolicy(
                referrer_policy="strict-origin-when-cross-origin", override=True
            ),
            content_security_policy=CloudfrontResponseHeadersPolicySecurityHeadersConfigContentSecurityPolicy(
                content_security_policy=site.settings.assets.content_security_policy, override=True
            ),
        ),
    )
    suppress(headers, "CKV_AWS_259", "Browsers' preload lists take registrable domains, and this is a host of one")
    return headers
