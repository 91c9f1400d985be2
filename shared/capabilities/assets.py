"""The static edge: assets buckets behind one CloudFront distribution (OPT-03)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from shared.section import Capability


class AssetsSettings(Capability):
    """``subdomain`` goes before the environment's domain name. ``price_class`` is how far CloudFront spreads."""

    subdomain: Annotated[str, Field(pattern=r"^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$")] = "assets"
    price_class: Literal["PriceClass_100", "PriceClass_200", "PriceClass_All"] = "PriceClass_All"
