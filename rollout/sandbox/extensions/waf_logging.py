"""A web ACL's logging configuration is stored and read back.

Upstream: PutLoggingConfiguration and its siblings don't exist.

AWS: PutLoggingConfiguration, GetLoggingConfiguration, ListLoggingConfigurations and
DeleteLoggingConfiguration (WAFV2 API reference).

Patched: `handle_request`, which gets the four operations. No requests are logged: the web ACL is stored and
associated here, but never evaluated.
"""

from __future__ import annotations

import json
from typing import Any

from rollout.sandbox.emulator import module, wrap

_configurations: dict[str, dict[str, Any]] = {}


def apply() -> None:
    firewall = module("services.waf")

    async def handle(original: Any, method: str, path: str, *request: Any) -> Any:
        headers, body, _query = request
        action = headers.get("x-amz-target", "").split(".")[-1]
        if not action.endswith(("LoggingConfiguration", "LoggingConfigurations")):
            return await original(method, path, *request)
        return _answer(firewall, action, json.loads(body or b"{}"))

    wrap(firewall, "handle_request", handle)


def _answer(firewall: Any, action: str, data: dict[str, Any]) -> Any:
    if action == "ListLoggingConfigurations":
        listed = [found for arn, found in _configurations.items() if f":{firewall.get_region()}:" in arn]
        return firewall.json_response({"LoggingConfigurations": listed})
    wanted = data.get("LoggingConfiguration") or {}
    arn = wanted.get("ResourceArn") or data.get("ResourceArn", "")
    if action == "PutLoggingConfiguration":
        _acl, problem = firewall._resolve_local_web_acl(arn)
        if problem:
            return problem
        _configurations[arn] = {**wanted, "ManagedByFirewallManager": False}
    elif arn not in _configurations:
        return firewall._waf_not_found(arn)
    if action == "DeleteLoggingConfiguration":
        del _configurations[arn]
        return firewall.json_response({})
    return firewall.json_response({"LoggingConfiguration": _configurations[arn]})
