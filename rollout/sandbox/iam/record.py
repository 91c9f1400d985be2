"""What was asked of IAM, and the answers: in memory, given out by `/_ministack/iam`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

# A bucket's objects or a machine's executions are without number: of one kind of call this many resources are kept.
_KEPT_RESOURCES = 50
_KEPT_SCENARIOS = 3


@dataclass(frozen=True)
class Call:
    """One question to IAM.

    Attributes
    ----------
    principal
        ARN of the role, or the service principal where a service acts on its own.
    decided_by
        What has to allow it: the role's "identity" policies, or the "resource"'s policy (a trust policy is its role's).
    via
        The service that acts with the role; empty for the function's own code.
    context
        The condition keys of the request, in lower case.
    """

    principal: str
    action: str
    resource: str
    decided_by: str
    via: str = ""
    context: tuple[tuple[str, str], ...] = ()


class Record:
    """The calls since the sandbox started, each once, with how often it came and the scenarios it came in."""

    def __init__(self) -> None:
        self.scenario = "rollout"
        self._lock = threading.Lock()
        self._seen: dict[tuple[Call, bool], dict[str, Any]] = {}
        self._resources: dict[tuple[str, ...], int] = {}

    def note(self, call: Call, *, allowed: bool) -> None:
        """Remember a call; of many resources of one kind only the first ones."""
        with self._lock:
            seen = self._seen.get((call, allowed))
            if seen is None:
                kind = (call.principal, call.action, call.decided_by, call.via, call.resource.partition("/")[0])
                if allowed and self._resources.get(kind, 0) >= _KEPT_RESOURCES:
                    return
                self._resources[kind] = self._resources.get(kind, 0) + 1
                seen = self._seen[(call, allowed)] = {"count": 0, "scenarios": []}
            seen["count"] += 1
            if self.scenario not in seen["scenarios"] and len(seen["scenarios"]) < _KEPT_SCENARIOS:
                seen["scenarios"].append(self.scenario)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self._lock:
            found = [(call, allowed, dict(seen)) for (call, allowed), seen in self._seen.items()]
        for call, allowed, seen in found:
            yield {**asdict(call), "context": dict(call.context), "allowed": allowed, **seen}


RECORD = Record()
