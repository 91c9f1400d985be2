"""Just enough of the Amazon States Language to run the payment workflow with its real semantics of
Retry, Catch, ResultPath and OutputPath. Refuses what it does not know, so it cannot pass over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Invoke = Callable[[str, dict[str, Any]], dict[str, Any]]

_TASK = {"Type", "Comment", "Resource", "Parameters", "OutputPath", "TimeoutSeconds", "Retry", "Catch", "Next"}
_NOT_IN_ALL = {"States.DataLimitExceeded", "States.Runtime"}


class Ended(NamedTuple):
    """How an execution ended: in which state, with what output, over which states."""

    state: str
    succeeded: bool
    output: dict[str, Any]
    path: list[str]


class NamedError(Exception):
    """An error of the platform below (Lambda, Step Functions) that has no class here."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


def run(definition: Mapping[str, Any], document: dict[str, Any], invoke: Invoke) -> Ended:
    """Run an execution; `invoke` gets the `FunctionName` and the payload of each task."""
    name, path = str(definition["StartAt"]), []
    while True:
        path.append(name)
        assert len(path) < 50, f"endless: {path}"
        state = definition["States"][name]
        if state["Type"] in ("Succeed", "Fail"):
            return Ended(name, state["Type"] == "Succeed", document, path)
        if state["Type"] == "Choice":
            name = _choose(state, document)
        else:
            name, document = _task(state, document, invoke)


def _choose(state: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    for rule in state["Choices"]:
        assert set(rule) == {"Variable", "StringEquals", "Next"}, rule
        if document[rule["Variable"].removeprefix("$.")] == rule["StringEquals"]:
            return str(rule["Next"])
    return str(state["Default"])


def _task(state: Mapping[str, Any], document: dict[str, Any], invoke: Invoke) -> tuple[str, dict[str, Any]]:
    assert set(state) <= _TASK, set(state) - _TASK
    assert state["Parameters"]["Payload.$"] == "$"
    assert state["OutputPath"] == "$.Payload"
    used = [0] * len(state["Retry"])
    while True:
        try:
            # Through JSON both ways, as Lambda does it.
            answer = invoke(state["Parameters"]["FunctionName"], json.loads(json.dumps(document)))
            return state["Next"], json.loads(json.dumps(answer))
        except Exception as error:
            name = error.name if isinstance(error, NamedError) else type(error).__name__
            index = next((n for n, rule in enumerate(state["Retry"]) if _matches(rule, name)), None)
            if index is not None and used[index] < state["Retry"][index]["MaxAttempts"]:
                used[index] += 1
                continue
            for rule in state["Catch"]:
                if _matches(rule, name):
                    cause = json.dumps({"errorType": name, "errorMessage": str(error)})
                    field = rule["ResultPath"].removeprefix("$.")
                    return rule["Next"], {**document, field: {"Error": name, "Cause": cause}}
            raise AssertionError(f"uncaught {name}") from error


def _matches(rule: Mapping[str, Any], name: str) -> bool:
    names = rule["ErrorEquals"]
    return name in names or (names == ["States.ALL"] and name not in _NOT_IN_ALL)
