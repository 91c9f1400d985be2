"""Python functions fail, import, log and are measured as in AWS's own runtime.

Upstream: every exception of a handler is reported as `Runtime.HandlerError` and ends the worker
process; a function sees all packages of the emulator's own environment; the log of an invocation
is what arrives within 50 ms; AWS/Lambda metrics exist only for calls of the Invoke API, and count
throttles as invocations; a throttled asynchronous event is given up after two retries, and a
dead-letter queue gets the record that is meant for destinations; Step Functions reports a
throttled function as `Lambda.Unknown`.

AWS: `errorType` is the exception's class name, and the execution environment lives on ("Lambda
function errors in Python"); the managed runtime carries boto3 and what it needs, nothing else
("Building Lambda functions with Python"); metrics count every invocation from every source, and
throttled requests count as neither Invocations nor Errors ("Types of metrics for Lambda
functions"); throttled asynchronous events return to the queue for up to six hours and a
dead-letter queue gets the event itself ("How Lambda handles errors and retries with asynchronous
invocation"); a throttled task fails with `Lambda.TooManyRequestsException` ("Handling errors in
Step Functions workflows").

Patched: the worker's script, `Worker.invoke` and its log drain, `_execute_function_warm`,
`_execute_function`, `invoke_async_with_retry`, and Step Functions' `_call_lambda`.
"""

from __future__ import annotations

import functools
import json
import os
import queue
import tempfile
import time
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rollout.sandbox.emulator import deliver, module, replaced, wrap

# What the managed Python runtime has besides the standard library.
_RUNTIME_PACKAGES = (
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "s3transfer",
    "six",
    "urllib3",
)

# Ends the log of one invocation on the worker's error stream.
_LOG_END = "\x1e"
# A lost marker (a process killed in the middle) must not block the answer for long.
_LOG_PATIENCE_S = 1.0

_INIT_FAILURE = "Worker init failed: "

# AWS waits 1 s and doubles up to 5 minutes; here the ceiling is lower so that tests see the retry.
_THROTTLE_CEILING_S = 4.0
_THROTTLE_MAX_AGE_S = 6 * 3600.0

_asynchronous: ContextVar[bool] = ContextVar("tripoint_asynchronous_invocation", default=False)


class HandlerFailure(dict[str, Any]):
    """The error object that a failed invocation answers, as AWS's runtime builds it."""


def apply() -> None:
    runtime, functions = module("core.lambda_runtime"), module("services.lambda_svc")
    runtime._PYTHON_WORKER_SCRIPT = worker_script(runtime._PYTHON_WORKER_SCRIPT)
    os.environ["TRIPOINT_RUNTIME_PACKAGES"] = str(_link_runtime_packages())
    _keep_failed_workers(runtime.Worker)
    _name_the_error(functions)
    _measure_every_invocation(functions)
    _requeue_throttled_events(functions)
    _name_the_throttle(module("services.stepfunctions"))


def worker_script(script: str) -> str:
    """Upstream's worker with AWS's search path, error object and an end mark on its log."""
    script = replaced(
        script,
        '    env = init.get("env", {})\n    os.environ.update(env)\n',
        '    env = init.get("env", {})\n    os.environ.update(env)\n'
        "    _hidden = os.environ.pop('TRIPOINT_PROJECT_ROOT', None)\n"
        "    _packages = os.environ.pop('TRIPOINT_RUNTIME_PACKAGES', None)\n"
        "    if _packages:\n"
        "        sys.path[:] = [p for p in sys.path if os.path.realpath(p) != _hidden"
        " and 'site-packages' not in p and 'dist-packages' not in p]\n"
        "        sys.path.append(_packages)\n"
        "        sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f)]\n",
    )
    script = replaced(
        script,
        '        _real_stdout.write(json.dumps({"status": "error", "error": str(e)}) + "\\n")\n'
        "        _real_stdout.flush()\n"
        "        return\n",
        "        if isinstance(e, ImportError):\n"
        "            _why = ('Runtime.ImportModuleError', f\"Unable to import module"
        " '{module_name}': {e}\")\n"
        "        elif isinstance(e, AttributeError) and str(e).endswith(f\"'{handler_name}'\"):\n"
        "            _why = ('Runtime.HandlerNotFound', f\"Handler '{handler_name}' missing on"
        " module '{module_name}'\")\n"
        "        else:\n"
        "            _why = (type(e).__name__, str(e))\n"
        '        _real_stdout.write(json.dumps({"status": "error", "error": json.dumps(_why)})'
        ' + "\\n")\n'
        "        _real_stdout.flush()\n"
        "        return\n",
    )
    return replaced(
        script,
        "            result = handler_fn(event, context)\n"
        '            _real_stdout.write(json.dumps({"status": "ok", "result": result}) + "\\n")\n'
        "        except Exception as e:\n"
        '            _real_stdout.write(json.dumps({"status": "error", "error": str(e), '
        '"trace": traceback.format_exc()}) + "\\n")\n'
        "        _real_stdout.flush()\n",
        "            result = handler_fn(event, context)\n"
        "            try:\n"
        '                _answer = json.dumps({"status": "ok", "result": result})\n'
        "            except Exception as e:\n"
        '                _answer = json.dumps({"status": "ok", "failure": {"errorMessage":'
        " f'Unable to marshal response: {e}', 'errorType': 'Runtime.MarshalError',"
        " 'requestId': context.aws_request_id, 'stackTrace': []}})\n"
        "        except Exception as e:\n"
        "            _frames = traceback.extract_tb(e.__traceback__)[1:]\n"
        '            _answer = json.dumps({"status": "ok", "failure": {"errorMessage": str(e),'
        " 'errorType': type(e).__name__, 'requestId': context.aws_request_id,"
        " 'stackTrace': traceback.format_list(_frames)}})\n"
        "        sys.stderr.flush()\n"
        f"        sys.stderr.write({_LOG_END!r} + '\\n')\n"
        "        sys.stderr.flush()\n"
        '        _real_stdout.write(_answer + "\\n")\n'
        "        _real_stdout.flush()\n",
    )


def _link_runtime_packages() -> Path:
    """A directory with the packages of the managed runtime, taken from this environment."""
    directory = Path(tempfile.gettempdir()) / "python-runtime"
    directory.mkdir(exist_ok=True)
    for name in _RUNTIME_PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        link = directory / source.name
        if not link.exists():
            link.symlink_to(source)
        for metadata in source.parent.glob(f"{name}-*.dist-info"):
            if not (directory / metadata.name).exists():
                (directory / metadata.name).symlink_to(metadata)
    return directory


def _keep_failed_workers(worker: Any) -> None:
    invoke = worker.invoke

    @functools.wraps(invoke)
    def invoke_and_keep(self: Any, *arguments: Any, **options: Any) -> Any:
        response = invoke(self, *arguments, **options)
        failure = response.pop("failure", None)
        if failure is not None:
            response["result"] = HandlerFailure(failure)
            trace = "".join(failure["stackTrace"])
            line = f"[ERROR] {failure['errorType']}: {failure['errorMessage']}"
            if trace:
                line += f"\nTraceback (most recent call last):\n{trace}".rstrip()
            response["log"] = "\n".join(filter(None, [response.get("log", ""), line]))
        return response

    def drain(self: Any, *_: Any, **__: Any) -> str:
        if not str(self.config.get("Runtime", "")).startswith("python"):
            return str(bounded(self))
        lines: list[str] = []
        deadline = time.monotonic() + _LOG_PATIENCE_S
        while time.monotonic() < deadline:
            # A worker that ended leaves no mark: what it said is all there is.
            patience = 0.1 if self._proc is None else deadline - time.monotonic()
            try:
                line = self._stderr_queue.get(timeout=max(0.0, patience))
            except queue.Empty:
                break
            if line == _LOG_END:
                break
            lines.append(line)
        return "\n".join(lines)

    bounded = worker._drain_stderr_bounded
    worker.invoke = invoke_and_keep
    worker._drain_stderr_bounded = drain


def _name_the_error(functions: Any) -> None:
    execute = functions._execute_function_warm

    @functools.wraps(execute)
    def execute_and_name(func: Any, event: Any, request_id: str) -> Any:
        result = execute(func, event, request_id)
        body = result.get("body")
        if isinstance(body, HandlerFailure):
            result["error"] = True
        elif result.get("error") and isinstance(body, dict):
            message = str(body.get("errorMessage", ""))
            if message.startswith(_INIT_FAILURE):
                kind, said = json.loads(message.removeprefix(_INIT_FAILURE))
                result["body"] = {
                    "errorMessage": said,
                    "errorType": kind,
                    "requestId": request_id,
                    "stackTrace": [],
                }
                result["log"] = f"[ERROR] {kind}: {said}"
        return result

    functions._execute_function_warm = execute_and_name


def _measure_every_invocation(functions: Any) -> None:
    execute, metrics = functions._execute_function, module("services.cloudwatch")

    def record(name: str, result: Any, duration_ms: float) -> None:
        throttled = bool(result.get("throttle"))
        values = [("Throttles", float(throttled), "Count")]
        if not throttled:
            values += [
                ("Invocations", 1.0, "Count"),
                ("Errors", float(bool(result.get("error"))), "Count"),
                ("Duration", duration_ms, "Milliseconds"),
            ]
        for metric, value, unit in values:
            # Once for the function and once, without dimensions, for all functions of the region.
            metrics.record_metric("AWS/Lambda", metric, value, unit, {"FunctionName": name})
            metrics.record_metric("AWS/Lambda", metric, value, unit, {})

    @functools.wraps(execute)
    def execute_and_record(func: Any, event: Any) -> Any:
        config = func.get("config") or func
        if functions._function_config_scope_mismatch(config):
            return execute(func, event)  # comes back here within the function's own region
        waited, pause = 0.0, 1.0
        while True:
            started = time.monotonic()
            result = execute(func, event)
            elapsed_ms = (time.monotonic() - started) * 1000.0
            record(config.get("FunctionName", "unknown"), result, elapsed_ms)
            again = result.get("throttle") and _asynchronous.get() and waited < _THROTTLE_MAX_AGE_S
            if not again:
                return result
            time.sleep(pause)
            # An accepted event carries a copy of the function as it was then.
            live = functions._functions.get(config.get("FunctionName")) or {}
            func = {**func, "concurrency": live.get("concurrency")}
            waited, pause = waited + pause, min(2 * pause, _THROTTLE_CEILING_S)

    functions._execute_function = execute_and_record
    # What the Invoke API alone recorded is recorded above, for every source.
    functions._emit_lambda_metrics = lambda *_, **__: None


def _requeue_throttled_events(functions: Any) -> None:
    invoke = functions.invoke_async_with_retry

    @functools.wraps(invoke)
    def invoke_with_patience(func: Any, event: Any) -> None:
        token = _asynchronous.set(True)  # inherited by the thread that runs the retries
        try:
            invoke(func, event)
        finally:
            _asynchronous.reset(token)

    def route_failure(original: Any, target: str, name: str, event: Any, result: Any) -> None:
        function = functions._functions.get(name) or {}
        configs = function.get("event_invoke_configs") or {}
        invoke_config = function.get("event_invoke_config") or configs.get("$LATEST") or {}
        destination = ((invoke_config.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        queue = ((function.get("config") or {}).get("DeadLetterConfig") or {}).get("TargetArn")
        if queue:
            deliver(queue, json.dumps(event))
        if destination or not queue:
            original(target, name, event, result)

    functions.invoke_async_with_retry = invoke_with_patience
    wrap(functions, "_route_async_failure", route_failure)


def _name_the_throttle(workflows: Any) -> None:
    call = workflows._call_lambda

    @functools.wraps(call)
    def call_and_name(function: Any, event: Any) -> Any:
        try:
            return call(function, event)
        except workflows._ExecutionError as error:
            if error.error == "Lambda.Unknown" and "TooManyRequestsException" in str(error.cause):
                raise workflows._ExecutionError("Lambda.TooManyRequestsException", "Rate Exceeded.") from error
            raise

    workflows._call_lambda = call_and_name
