"""The sandbox's record of a run: every call that IAM decided, and the policies that decided them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.request import urlopen

PATH = "/_ministack/iam"

# `shared/site.py`: <project>-<thing>-<region>-<suffix>, or without a project.
_ROLE = re.compile(r":role/[a-z0-9]+-(?P<thing>[a-z0-9-]+?)-[a-z]{2}(?:-[a-z]+)+-\d-[a-z0-9-]+$")


# A region without dashes at the end of a statement's name (`shared/replication.py`).
_REGION = re.compile(r"(?:af|ap|ca|eu|il|me|mx|sa|us)(?:gov)?(?:north|south|east|west|central)(?:east|west)?\d$")


@dataclass(frozen=True)
class Call:
    """One decided call; `decided_by` is "identity", "resource" or "endpoint" (`rollout/sandbox/iam/record.py`)."""

    principal: str
    action: str
    resource: str
    decided_by: str
    via: str
    context: Mapping[str, str]
    allowed: bool
    count: int
    scenarios: Sequence[str]

    @property
    def scenario(self) -> str:
        """The first scenario that it came in."""
        return self.scenarios[0] if self.scenarios else ""


@dataclass(frozen=True)
class RunRecord:
    """The calls of a run, each role's trust policy and policies, and the policies of resources by ARN."""

    calls: Sequence[Call]
    roles: Mapping[str, Mapping[str, Any]]
    resources: Mapping[str, Any]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """The record as the sandbox gives it out."""
        calls = [Call(**call) for call in data["calls"]]
        return cls(calls, data["roles"], data["resources"])

    @classmethod
    def read(cls, path: Path) -> Self:
        """The record that a run of the integration tests left behind."""
        return cls.of(json.loads(path.read_text()))

    @classmethod
    def fetch(cls, endpoint: str) -> Self:
        """What the sandbox at a loopback endpoint has noted so far."""
        with urlopen(f"{endpoint}{PATH}") as answer:
            return cls.of(json.load(answer))

    def is_services(self, principal: str) -> bool:
        """Whether services act with a role, or it is one; callers of the API have roles too, and are refused."""
        trust = self.roles.get(principal, {}).get("trust") or {}
        return principal not in self.roles or any("Service" in entry["Principal"] for entry in statements(trust))

    @property
    def denied(self) -> list[Call]:
        """What was refused."""
        return [call for call in self.calls if not call.allowed]


def thing_of(role_arn: str) -> str:
    """What a role is named after, the same in every region; its name when it isn't one of the project's."""
    found = _ROLE.search(role_arn)
    return found["thing"] if found else role_arn.rpartition("/")[2]


def grant_of(sid: str) -> str:
    """A statement's name without the region that it is for, as replication's have it."""
    return _REGION.sub("", sid)


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The statements of a policy document, with lists where one alone may stand without."""
    found = document.get("Statement", [])
    found = [found] if isinstance(found, dict) else found
    return [{**statement, "Action": _listed(statement.get("Action", []))} for statement in found]


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
