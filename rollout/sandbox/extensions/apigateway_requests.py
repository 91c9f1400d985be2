"""Requests to a stage are written to its access log and counted.

Upstream: `accessLogSettings` has no effect and there are no AWS/ApiGateway metrics.

AWS: "Set up CloudWatch logging for REST APIs in API Gateway", "Variables for access logging for API Gateway"
and "Amazon API Gateway dimensions and metrics" (API Gateway Developer Guide).

Patched: `_execute_in_scope`. Of the variables those of the request, the response and gateway errors are
filled in; any other is "-". Execution logs are not written.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.extensions.service_roles import access_log_refusal

_VARIABLE = re.compile(r"\$context\.([A-Za-z][\w.]*)")


def apply() -> None:
    gateway = module("services.apigateway_v1")

    async def execute(original: Any, request: dict[str, Any], *rest: Any) -> Any:
        started = time.time()
        answer = await original(request, *rest)
        error = answer if isinstance(answer, gateway._GatewayError) else None
        if error is not None:
            answer = gateway._gateway_error_response(error, request)
        if request["stage"] is not None:
            took_ms = (time.time() - started) * 1000.0
            api = gateway._rest_apis[request["api_id"]]
            _measure(api["name"], request["stage_name"], answer[0], took_ms, error)
            _log(request, rest, answer, error, started)
        return answer

    wrap(gateway, "_execute_in_scope", execute)


def _measure(api: str, stage: str, status: int, took_ms: float, error: Any) -> None:
    record = module("services.cloudwatch").record_metric
    values = [
        ("Count", 1.0, "Count"),
        ("4XXError", float(400 <= status < 500), "Count"),
        ("5XXError", float(status >= 500), "Count"),
        ("Latency", took_ms, "Milliseconds"),
    ]
    if error is None:
        values.append(("IntegrationLatency", took_ms, "Milliseconds"))
    for name, value, unit in values:
        for dimensions in ({"ApiName": api}, {"ApiName": api, "Stage": stage}):
            record("AWS/ApiGateway", name, value, unit, dimensions)


def _log(request: dict[str, Any], call: tuple[Any, ...], answer: Any, error: Any, started: float) -> None:
    settings = request["stage"].get("accessLogSettings") or {}
    group = str(settings.get("destinationArn", "")).partition(":log-group:")[2].removesuffix(":*")
    logs = module("services.cloudwatch_logs")
    if not settings.get("format") or group not in logs._log_groups:
        return
    if access_log_refusal(module("services.apigateway_v1"), group):
        return
    _api, _stage, method, path, headers, *_ = call
    took_ms = str(int((time.time() - started) * 1000))
    body = answer[2] if len(answer) > 2 else b""
    context = {
        "requestId": request["request_id"],
        "extendedRequestId": request["request_id"],
        "apiId": request["api_id"],
        "stage": request["stage_name"],
        "httpMethod": method,
        "path": f"/{request['stage_name']}{path}",
        "resourcePath": request["resource_path"],
        "protocol": "HTTP/1.1",
        "status": str(answer[0]),
        "responseLength": str(len(body)) if isinstance(body, (bytes, str)) else "-",
        "responseLatency": took_ms,
        "integrationLatency": "-" if error else took_ms,
        "requestTime": datetime.fromtimestamp(started, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": str(int(started * 1000)),
        "identity.sourceIp": "127.0.0.1",
        "identity.userAgent": str(headers.get("user-agent", "-")),
        "error.message": error.message if error else "-",
        "error.messageString": json.dumps(error.message) if error else "-",
        "error.responseType": error.response_type if error else "-",
    }
    line = _VARIABLE.sub(lambda found: context.get(found[1], "-"), settings["format"])
    streams, name = logs._log_groups[group]["streams"], uuid.uuid5(uuid.NAMESPACE_URL, request["api_id"]).hex
    if name not in streams:
        logs._create_log_stream({"logGroupName": group, "logStreamName": name})
    at_ms = int(time.time() * 1000)
    event = {"timestamp": at_ms, "message": line, "ingestionTime": at_ms, "eventId": str(uuid.uuid4())}
    logs._append_log_events(streams[name], [event])
    logs._fanout_to_subscription_filters(group, name, [event])
