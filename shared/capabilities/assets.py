"""The static edge: assets buckets behind one CloudFront distribution (OPT-03)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shared.section import Capability

# Pages load from this host only, and nobody frames them.
CONTENT_SECURITY_POLICY = "default-src 'self'; base-uri 'self'; frame-ancestors 'none'; object-src 'none'"


class AssetsSettings(Capability):
    """What the distribution, which the primary region's settings describe, serves; and when its alarms are raised.

    ``subdomain`` goes before the environment's domain name. ``price_class`` is how far CloudFront spreads.
    ``error_percent`` is how many requests may be answered 5xx, ``replication_s`` how late another region's assets may
    be.
    """

    subdomain: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")] = "assets"
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] = "PriceClass_All"
    # Directives and sources; no ${ }, which Terraform would read as its own.
    content_security_policy: Annotated[str, Field(pattern=r"^[A-Za-z0-9 ;:/.,*'=_+@&?#~()-]{1,1024}$")] = (
        CONTENT_SECURITY_POLICY
    )
    error_percent: Annotated[float, Field(ge=0, le=100)] = 1.0
    replication_s: Annotated[int, Field(ge=1)] = 900
