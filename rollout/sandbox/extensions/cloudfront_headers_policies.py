"""A response headers policy reads back with the sections that it was given.

Upstream: CustomHeadersConfig and RemoveHeadersConfig are always there, empty if not given.

AWS: they are optional members (CloudFront API reference, ResponseHeadersPolicyConfig), left out when not given; the
provider takes a section that is there for one that somebody added.

Patched: `_build_rhp_config_xml`.
"""

from __future__ import annotations

from typing import Any

from rollout.sandbox.emulator import module, wrap

OPTIONAL = ("CustomHeadersConfig", "RemoveHeadersConfig")


def apply() -> None:
    cloudfront = module("services.cloudfront")

    def build(original: Any, parent: Any, policy: dict[str, Any]) -> None:
        original(parent, policy)
        for section in list(parent):
            if section.tag in OPTIONAL and cloudfront._text(section, "Quantity") == "0":
                parent.remove(section)

    wrap(cloudfront, "_build_rhp_config_xml", build)
