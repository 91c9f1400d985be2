"""API Gateway REST APIs read back what was set, and custom domain names can be updated.

Upstream: a MOCK integration gets an HTTP method, an empty API key value is refused instead of
generated, a mapping on the empty base path can't be read, `mutualTlsAuthentication` is an empty
object, UpdateDomainName and UpdateBasePathMapping don't exist.

AWS: PutIntegration, CreateApiKey, BasePathMapping ("(none)" if no base path), DomainName,
UpdateDomainName and UpdateBasePathMapping in the API Gateway API reference.

A request to one name in several regions reaches the region that DNS names; here, without DNS, a
request whose Host is a domain's `regionalDomainName` reaches that region (on AWS the name is only
resolved).

Patched: `_put_integration`, `_create_api_key`, `_create_base_path_mapping`,
`_get_base_path_mapping`, `_delete_base_path_mapping`, `_create_domain_name`, `find_domain_scope`,
`handle_request`.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from rollout.sandbox.emulator import module, wrap

_NO_PATH = "(none)"
_ENDPOINT_TYPES = "endpointConfiguration/types"


def apply() -> None:
    gateway = module("services.apigateway_v1")

    def put_integration(original: Any, api: str, resource: str, method: str, data: Any) -> Any:
        answer = original(api, resource, method, data)
        if answer[0] == 201 and not data.get("httpMethod"):
            integration = gateway._resources[api][resource]["resourceMethods"][method]["methodIntegration"]
            del integration["httpMethod"]
            return gateway._v1_response(integration, 201)
        return answer

    def create_api_key(original: Any, data: Any) -> Any:
        return original({name: value for name, value in data.items() if name != "value" or value})

    def create_mapping(original: Any, domain: str, data: Any) -> Any:
        return original(domain, {**data, "basePath": data.get("basePath") or _NO_PATH})

    def with_decoded_path(original: Any, domain: str, path: str) -> Any:
        return original(domain, unquote(path))

    def create_domain(original: Any, data: Any) -> Any:
        answer = original(data)
        if answer[0] != 201:
            return answer
        domain = gateway._domain_names[data["domainName"]]
        domain["domainNameStatus"] = "AVAILABLE"
        if not domain["mutualTlsAuthentication"]:
            del domain["mutualTlsAuthentication"]
        return gateway._v1_response(domain, 201)

    def find_domain(original: Any, host: str) -> Any:
        for (account, region, name), domain in gateway._domain_names.all_items():
            if account == gateway.get_account_id() and domain["regionalDomainName"].lower() == host.lower():
                return account, region, name
        return original(host)

    async def handle(original: Any, method: str, path: str, *request: Any) -> Any:
        _headers, body, _query = request
        parts = [unquote(part) for part in path.strip("/").split("/") if part]
        if method == "PATCH" and parts[:1] == ["domainnames"]:
            operations = json.loads(body or b"{}").get("patchOperations", [])
            if len(parts) == 2:
                return _update_domain(gateway, parts[1], operations)
            if len(parts) == 4:
                return _update_mapping(gateway, parts[1], parts[3], operations)
        return await original(method, path, *request)

    wrap(gateway, "_put_integration", put_integration)
    wrap(gateway, "_create_api_key", create_api_key)
    wrap(gateway, "_create_base_path_mapping", create_mapping)
    wrap(gateway, "_get_base_path_mapping", with_decoded_path)
    wrap(gateway, "_delete_base_path_mapping", with_decoded_path)
    wrap(gateway, "_create_domain_name", create_domain)
    wrap(gateway, "find_domain_scope", find_domain)
    wrap(gateway, "handle_request", handle)


def _update_domain(gateway: Any, name: str, operations: list[dict[str, Any]]) -> Any:
    domain = gateway._domain_names.get(name)
    if domain is None:
        return gateway._v1_error("NotFoundException", "Invalid domain name identifier specified", 404)
    for operation in operations:
        path, value = operation["path"].strip("/"), operation.get("value")
        if path.startswith(_ENDPOINT_TYPES):
            domain["endpointConfiguration"] = {**domain["endpointConfiguration"], "types": [value]}
            continue
        target, _, field = path.partition("/")
        if not field:
            domain[target] = value
        elif operation["op"] == "remove":
            (domain.get(target) or {}).pop(field, None)
        else:
            domain[target] = {**(domain.get(target) or {}), field: value}
        if not domain.get("mutualTlsAuthentication"):
            domain.pop("mutualTlsAuthentication", None)
    return gateway._v1_response(domain)


def _update_mapping(gateway: Any, name: str, path: str, operations: list[dict[str, Any]]) -> Any:
    mappings = gateway._base_path_mappings.get(name) or {}
    mapping = mappings.get(path)
    if mapping is None:
        return gateway._v1_error("NotFoundException", "Invalid base path mapping identifier specified", 404)
    for operation in operations:
        field = operation["path"].strip("/").replace("restapiId", "restApiId")
        mapping[field] = operation.get("value") or (_NO_PATH if field == "basePath" else "")
    mappings[mapping["basePath"]] = mappings.pop(path)
    return gateway._v1_response(gateway._public_mapping(mapping))
