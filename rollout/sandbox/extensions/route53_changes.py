"""A Route 53 change is in sync as soon as it is answered, and a zone says that it isn't signed.

Upstream: the first GetChange always answers PENDING, which costs Terraform's provider another poll
interval of 15 s for every zone and record; GetDNSSEC doesn't exist, so a zone with `force_destroy`
can't be destroyed.

AWS: INSYNC means that "the changes have propagated to all Route 53 DNS servers" (API reference,
GetChange). Here there are no servers that could lag behind. A zone without DNSSEC signing has
`ServeSignature` NOT_SIGNING (API reference, GetDNSSEC).

Patched: `_get_change`, `handle_request`.
"""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import SubElement

from rollout.sandbox.emulator import module, wrap


def apply() -> None:
    dns = module("services.route53")

    def get_change(original: Any, identity: str) -> Any:
        change = dns._changes.get(identity)
        if change is not None:
            change["status"] = "INSYNC"
        return original(identity)

    async def handle(original: Any, method: str, path: str, *request: Any) -> Any:
        parts = path.strip("/").split("/")
        if method == "GET" and parts[1:2] == ["hostedzone"] and parts[3:] == ["dnssec"]:
            return dns._xml_response("GetDNSSECResponse", _not_signing)
        return await original(method, path, *request)

    wrap(dns, "_get_change", get_change)
    wrap(dns, "handle_request", handle)


def _not_signing(root: Any) -> None:
    status = SubElement(root, "Status")
    SubElement(status, "ServeSignature").text = "NOT_SIGNING"
    SubElement(root, "KeySigningKeys")
