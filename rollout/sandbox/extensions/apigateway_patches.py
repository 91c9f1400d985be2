"""Updates of API Gateway resources keep the types, names and lists of what they change.

Upstream: the values of a patch are stored as the text they come as ("10" instead of 10), `~1` in a path isn't
read as "/", and list members such as the stages of a usage plan overwrite the list.

AWS: PatchOperation and "Patch operations" (API Gateway API reference): the value is always text, the path is a
JSON pointer, an element of a list is named by the last part of the path or by the value.

Patched: `_apply_patch`, `_update_usage_plan`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rollout.sandbox.emulator import module, wrap

_INTEGERS = {
    "authorizerResultTtlInSeconds",
    "burstLimit",
    "cacheTtlInSeconds",
    "limit",
    "minimumCompressionSize",
    "offset",
    "timeoutInMillis",
}
_NUMBERS = {"rateLimit"}
_FLAGS = {
    "apiKeyRequired",
    "cacheClusterEnabled",
    "cacheDataEncrypted",
    "cachingEnabled",
    "disableExecuteApiEndpoint",
    "enabled",
    "tracingEnabled",
    "validateRequestBody",
    "validateRequestParameters",
}


def apply() -> None:
    gateway = module("services.apigateway_v1")

    def apply_patch(_: Any, target: Any, operations: Any) -> Any:
        for operation in operations:
            _change(target, operation)
        return target

    def update_usage_plan(original: Any, identity: str, data: Any) -> Any:
        plan, operations = gateway._usage_plans.get(identity), data.get("patchOperations", [])
        if plan is not None:
            rest = [one for one in operations if not _change_stage(plan, one)]
            data = {**data, "patchOperations": rest}
        return original(identity, data)

    wrap(gateway, "_apply_patch", apply_patch)
    wrap(gateway, "_update_usage_plan", update_usage_plan)


def _keys(path: str) -> list[str]:
    return [key.replace("~1", "/").replace("~0", "~") for key in path.strip("/").split("/")]


def _typed(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name in _INTEGERS:
        return int(value)
    if name in _NUMBERS:
        return float(value)
    if name in _FLAGS:
        return value.lower() == "true"
    return value


def _change(target: Any, operation: Any) -> None:
    kind, value = operation.get("op", "replace"), operation.get("value")
    *path, last = _keys(operation.get("path", ""))
    if not last:
        return
    for key in path:
        below = target.get(key)
        if not isinstance(below, (dict, list)):
            if kind == "remove":
                return
            below = target[key] = {}
        target = below
    if isinstance(target, list):
        _change_member(target, kind, last)
    elif kind == "remove":
        target.pop(last, None)
    else:
        target[last] = _typed(last, value)


def _change_member(members: list[Any], kind: str, member: str) -> None:
    if kind == "remove" and member in members:
        members.remove(member)
    elif kind == "add" and member not in members:
        members.append(member)


def _change_stage(plan: Any, operation: Any) -> bool:
    """Apply an operation on a usage plan's stages; False if it is about something else."""
    keys = _keys(operation.get("path", ""))
    if keys[0] != "apiStages":
        return False
    stages: list[Any] = plan.setdefault("apiStages", [])
    named = keys[1] if len(keys) > 1 else str(operation.get("value"))
    api, _, stage = named.partition(":")
    found = next((entry for entry in stages if entry["apiId"] == api and entry["stage"] == stage), None)
    if len(keys) > 2 and found is not None:
        _change_throttle(found, keys[2:], operation)
    elif operation.get("op") == "remove":
        plan["apiStages"] = [entry for entry in stages if entry is not found]
    elif found is None:
        stages.append({"apiId": api, "stage": stage})
    return True


def _change_throttle(stage: Any, keys: Iterable[str], operation: Any) -> None:
    _, *resource, name = keys  # throttle, resource path and method, rateLimit or burstLimit
    limits = stage.setdefault("throttle", {})
    if operation.get("op") == "remove":
        limits.pop("/".join((*resource, name)), None)
    else:
        limits.setdefault("/".join(resource), {})[name] = _typed(name, operation.get("value"))
