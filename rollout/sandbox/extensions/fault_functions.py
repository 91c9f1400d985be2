"""Functions that crash, are throttled, or are in a region that is down.

A crash ends the environment: `Runtime.ExitError`, as Lambda reports a process that exited. A throttle is what a
function without free concurrency answers. Of a region that is down:

- what its functions are doing ends there and then, their environments are gone;
- its API and its Lambda API answer 500, also to requests that were under way: whether they were done, nobody hears;
- its workflows stand still before their next task, and what a task has done meanwhile is unknown to them: that task
  fails with `Lambda.ServiceException` when the region is back, for the retriers to do again;
- its schedules don't fire; events for its functions and batches of its streams wait;
- its tables: `fault_replication`. Its buckets, queues and keys stay, for there is nobody in it to use them.

Patched: `_execute_function`, `_invoke` and `Worker.invoke` of Lambda, Step Functions' `_invoke_resource_with_timeout`,
API Gateway's `_execute_in_scope`.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.faults import AFTER, BEFORE, CONTROL, DURING

# A handler here takes some tens of milliseconds.
_DURING_S = 0.12
_SCHEDULED = "Scheduled Event"
_UNAVAILABLE = b'{"message": "Internal server error"}'

_kill_after: ContextVar[float | None] = ContextVar("tripoint_kill_after", default=None)


def apply() -> None:
    functions = module("services.lambda_svc")
    wrap(functions, "_execute_function", _execute)
    wrap(functions, "_invoke", _refuse_calls)
    wrap(module("core.lambda_runtime").Worker, "invoke", _invoke_worker)
    wrap(module("services.stepfunctions"), "_invoke_resource_with_timeout", _run_task)


def apply_to_api() -> None:
    """After the additions that log and count requests: a region that is down does neither."""
    wrap(module("services.apigateway_v1"), "_execute_in_scope", _serve)


def kill_workers(region: str) -> None:
    """End every environment of a region's functions, in the middle of whatever it does."""
    runtime = module("core.lambda_runtime")
    with runtime._lock:
        workers = [worker for key, known in runtime._workers.items() if key.split(":")[1] == region for worker in known]
    for worker in workers:
        _kill(worker)


def _execute(original: Any, function: Any, event: Any) -> Any:
    functions = module("services.lambda_svc")
    config = function.get("config") or function
    if functions._function_config_scope_mismatch(config):
        return original(function, event)  # comes back here within the function's own region
    name, region = config.get("FunctionName", ""), functions.get_region()
    if CONTROL.is_down(region):
        if isinstance(event, dict) and event.get("detail-type") == _SCHEDULED:
            return {"body": None, "log": ""}
        CONTROL.wait_until_up(region)
    if CONTROL.throttled(name):
        return functions._throttle_response(
            reason_code="ReservedFunctionConcurrentInvocationLimitExceeded", msg=f"Rate Exceeded: function {name}"
        )
    crash, outages = CONTROL.crash(name), CONTROL.outages(region)
    if crash is not None and crash.when == BEFORE:
        return _exited()
    token = _kill_after.set(CONTROL.roll("moment", name) * _DURING_S if crash and crash.when == DURING else None)
    try:
        result = original(function, event)
    finally:
        _kill_after.reset(token)
    ended = CONTROL.outages(region) != outages or (crash is not None and (crash.when == AFTER or _died(result)))
    return _exited() if ended else result


def _died(result: Any) -> bool:
    """Whether an invocation ended with its environment, as the emulator reports it."""
    body = result.get("body")
    return bool(result.get("error")) and isinstance(body, dict) and body.get("errorType") == "Runtime.HandlerError"


def _exited() -> dict[str, Any]:
    said = "Error: Runtime exited with error: signal: killed"
    return {
        "error": True,
        "function_error": "Unhandled",
        "body": {"errorType": "Runtime.ExitError", "errorMessage": said},
        "log": said,
    }


def _invoke_worker(original: Any, worker: Any, *arguments: Any, **options: Any) -> Any:
    after_s = _kill_after.get()
    if after_s is None:
        return original(worker, *arguments, **options)
    timer = threading.Timer(after_s, _kill, [worker])
    timer.start()
    try:
        return original(worker, *arguments, **options)
    finally:
        timer.cancel()


def _kill(worker: Any) -> None:
    process = worker._proc
    if process is not None:
        with suppress(OSError):
            process.kill()


async def _refuse_calls(original: Any, name: str, *call: Any, **options: Any) -> Any:
    if CONTROL.is_down(module("core.responses").get_region()):
        return module("core.responses").error_response_json("ServiceException", "An error occurred", 500)
    return await original(name, *call, **options)


def _run_task(original: Any, resource: str, effective: Any, timeout: Any) -> Any:
    region = module("core.responses").get_region()
    CONTROL.wait_until_up(region)
    outages = CONTROL.outages(region)
    try:
        return original(resource, effective, timeout)
    finally:
        if CONTROL.outages(region) != outages:
            CONTROL.wait_until_up(region)
            failure = module("services.stepfunctions")._ExecutionError
            raise failure("Lambda.ServiceException", "An error occurred. What became of the task is unknown.")


async def _serve(original: Any, request: Any, *rest: Any) -> Any:
    region = module("core.responses").get_region()
    outages = CONTROL.outages(region)
    answer = None if CONTROL.is_down(region) else await original(request, *rest)
    if answer is None or CONTROL.outages(region) != outages:
        return 500, {"Content-Type": "application/json"}, _UNAVAILABLE
    return answer
