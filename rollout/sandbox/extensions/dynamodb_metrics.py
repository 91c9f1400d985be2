"""Requests to tables leave AWS/DynamoDB metrics.

Upstream: there are none.

AWS: "DynamoDB Metrics and dimensions" (Developer Guide): latency and number of successful requests by table
and operation, consumed units by table, failed conditions by table, user errors by region.

Patched: `handle_request`. Units are counted from the size of the request (writes) or of the answer (reads),
rounded up as "Read and write operations" of the guide says; a transaction counts double.
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

from rollout.sandbox.emulator import module, wrap

_WRITES = ("PutItem", "UpdateItem", "DeleteItem")
_READS = ("GetItem", "Query", "Scan")


def apply() -> None:
    tables = module("services.dynamodb")

    async def handle(original: Any, method: str, path: str, headers: Any, body: Any, *rest: Any) -> Any:
        operation = headers.get("x-amz-target", "").split(".")[-1]
        started = time.time()
        answer = await original(method, path, headers, body, *rest)
        if operation in _WRITES or operation in _READS or operation.startswith("Transact"):
            _measure(operation, body, answer, (time.time() - started) * 1000.0)
        return answer

    wrap(tables, "handle_request", handle)


def _measure(operation: str, body: Any, answer: Any, took_ms: float) -> None:
    try:
        request = json.loads(body)
    except ValueError:
        return
    record = module("services.cloudwatch").record_metric
    status, said = answer[0], answer[2]
    for name in _table_names(operation, request):
        table = {"TableName": name}
        if status == 200:
            latency = round(took_ms)
            record(
                "AWS/DynamoDB", "SuccessfulRequestLatency", latency, "Milliseconds", table | {"Operation": operation}
            )
            metric, units = _units(operation, len(body), len(said))
            record("AWS/DynamoDB", metric, units, "Count", table)
        elif b"ConditionalCheckFailed" in said:
            record("AWS/DynamoDB", "ConditionalCheckFailedRequests", 1, "Count", table)
    if 400 <= status < 500 and b"ConditionalCheckFailed" not in said:
        record("AWS/DynamoDB", "UserErrors", 1, "Count", {})


def _table_names(operation: str, request: Any) -> set[str]:
    if not operation.startswith("Transact"):
        return {str(request.get("TableName", "")).rsplit("/", 1)[-1]}
    actions = [action for item in request.get("TransactItems") or [] for action in item.values()]
    return {str(action.get("TableName", "")).rsplit("/", 1)[-1] for action in actions}


def _units(operation: str, sent: int, received: int) -> tuple[str, float]:
    double = 2.0 if operation.startswith("Transact") else 1.0
    if operation in _READS or operation == "TransactGetItems":
        return "ConsumedReadCapacityUnits", double * math.ceil(max(received, 1) / 4096) / 2.0
    return "ConsumedWriteCapacityUnits", double * math.ceil(max(sent, 1) / 1024)
