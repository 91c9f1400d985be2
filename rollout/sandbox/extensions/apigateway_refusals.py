"""A caller whom IAM refuses gets the API's own answer, and a path that isn't there is asked about nobody.

Upstream: with IAM enforced, the question whether the caller may invoke comes before the question whether the method
exists, and a refusal is answered past the API's gateway responses, with the ARNs of caller and method in it.

AWS: "Gateway response types for API Gateway" (API Gateway Developer Guide): ACCESS_DENIED when authorization fails,
MISSING_AUTHENTICATION_TOKEN for an unsupported method or resource, each with the API's own response if it has one.

Patched: `_enforce_execute_api`.
"""

from __future__ import annotations

from typing import Any

from rollout.sandbox.emulator import module, wrap

_REFUSAL = b"not authorized to perform"


def apply() -> None:
    app, gateway = module("app"), module("services.apigateway_v1")

    def enforce(original: Any, api_id: str, stage: str, *call: Any, **options: Any) -> Any:
        rest_api = gateway.find_api_scope(api_id) is not None and stage in gateway.stages_for_api(api_id)
        if rest_api and app._execute_api_authorization_type(api_id, stage, *call[:2]) is None:
            return None
        answer = original(api_id, stage, *call, **options)
        if rest_api and answer is not None and answer[0] == 403 and _REFUSAL in _bytes(answer[2]):
            return _answer(gateway, api_id, stage, headers=call[2], query=call[3])
        return answer

    wrap(app, "_enforce_execute_api", enforce)


def _answer(gateway: Any, api_id: str, stage: str, *, headers: Any, query: Any) -> Any:
    request = {
        "api_id": api_id,
        "stage_name": stage,
        "stage": gateway.stages_for_api(api_id)[stage],
        "headers": headers or {},
        "query_params": query or {},
        "path_params": {},
        "resource_path": "",
        "request_id": module("core.responses").new_uuid(),
    }
    error = gateway._GatewayError(
        "ACCESS_DENIED", "User is not authorized to access this resource", "AccessDeniedException"
    )
    with module("core.responses").request_scope(*gateway.find_api_scope(api_id)):
        return gateway._gateway_error_response(error, request)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body).encode()
