"""Behind a function that is throttled or fails, an API gives its own answer.

Upstream: a throttled function's caller gets 429 with Lambda's error object, a failed one 502 with the function's error,
both past the API's gateway responses.

AWS: "API Gateway treats all invocation and function errors as internal errors" ("Handle Lambda errors with an API
Gateway API", Lambda Developer Guide): a rejected invocation is a 500, a failed one a 502, with the API's own response
if it has one; "Changing the status code of this fallback gateway response changes the status codes of all other 5XX
responses" ("Gateway response types for API Gateway", DEFAULT_5XX).

Patched: `_lambda_proxy_response`, `_invoke_lambda_proxy_v1`. The response is DEFAULT_5XX's in both cases.
"""

from __future__ import annotations

from typing import Any

from rollout.sandbox.emulator import module, wrap


class _FailedError(Exception):
    """The function behind the API gave no answer."""


def apply() -> None:
    gateway = module("services.apigateway_v1")

    def shape(original: Any, result: Any) -> Any:
        if result.get("throttle") or result.get("error"):
            raise _FailedError
        return original(result)

    async def invoke(original: Any, *call: Any, **place: Any) -> Any:
        try:
            return await original(*call, **place)
        except _FailedError:
            return gateway._GatewayError("DEFAULT_5XX", "Internal server error", "InternalServerErrorException")

    wrap(gateway, "_lambda_proxy_response", shape)
    wrap(gateway, "_invoke_lambda_proxy_v1", invoke)
