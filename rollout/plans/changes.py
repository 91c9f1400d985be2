"""What a plan would do, read from Terraform's own description of it (`terraform show -json`). No I/O.

The format is Terraform's "JSON Output Format", plan representation; only names of attributes are kept, no values, since
values may be sensitive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rollout.plans.stateful import is_stateful
from rollout.terraform import Changes
from shared.contracts import StackId


class Action(StrEnum):
    """What happens to a resource. FORGET: Terraform lets go of it without destroying it. IMPORT: it is there, and is
    taken into the state as it is."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    IMPORT = "import"


# Terraform's words for why a resource is replaced or deleted, for people.
_REASONS = {
    "replace_because_tainted": "it is tainted: an earlier apply of it failed half-way",
    "replace_by_request": "asked for with -replace",
    "replace_by_triggers": "replace_triggered_by",
    "replace_because_cannot_update": "cannot be changed in place",
    "delete_because_no_resource_config": "no longer in the stack",
    "delete_because_no_module": "no longer in the stack",
    "delete_because_wrong_repetition": "count or for_each has changed",
    "delete_because_count_index": "count has changed",
    "delete_because_each_key": "for_each has changed",
}


@dataclass(frozen=True)
class ResourceChange:
    """One resource of a plan.

    Attributes
    ----------
    address, type
        In Terraform's words: ``aws_sqs_queue.dlq_1A2B``, ``aws_sqs_queue``.
    action
        What happens to it.
    attributes
        The top-level attributes that an update changes.
    reason
        Why it is replaced or deleted; empty otherwise.
    forced_by
        The attributes that force a replacement, such as ``attribute[0].name``.
    """

    address: str
    type: str
    action: Action
    attributes: tuple[str, ...] = ()
    reason: str = ""
    forced_by: tuple[str, ...] = ()

    @property
    def stateful(self) -> bool:
        return is_stateful(self.type)

    @property
    def loses(self) -> bool:
        """Whether what the resource holds is gone afterwards."""
        return self.stateful and self.action in (Action.DELETE, Action.REPLACE)

    @property
    def why(self) -> str:
        """The reason as a person wants to read it."""
        forced = f" ({', '.join(self.forced_by)})" if self.forced_by else ""
        return f"{self.reason}{forced}" if self.reason else ""


@dataclass(frozen=True)
class StackPlan:
    """What a plan would do to one stack.

    ``new_outputs`` are the outputs that come or change, ``lost_outputs`` those that go; ``gone`` the resources that
    somebody else has deleted.
    """

    resources: tuple[ResourceChange, ...] = ()
    new_outputs: tuple[str, ...] = ()
    lost_outputs: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()

    def count(self, action: Action) -> int:
        return sum(change.action is action for change in self.resources)

    @property
    def none(self) -> bool:
        return not (self.resources or self.new_outputs or self.lost_outputs)

    @property
    def losses(self) -> tuple[ResourceChange, ...]:
        """The stateful resources that would be destroyed or replaced."""
        return tuple(change for change in self.resources if change.loses)

    @property
    def as_changes(self) -> Changes:
        """The same as Terraform counts it: a replacement is one to add and one to destroy."""
        replaced = self.count(Action.REPLACE)
        return Changes(
            add=self.count(Action.CREATE) + replaced,
            change=self.count(Action.UPDATE),
            remove=self.count(Action.DELETE) + replaced,
            outputs=len(self.new_outputs) + len(self.lost_outputs),
            replaced=tuple(change.address for change in self.resources if change.action is Action.REPLACE),
            gone=len(self.gone),
        )


@dataclass(frozen=True)
class StackDiff:
    """What a deployment would do to one stack, and what that is worth.

    Attributes
    ----------
    plan
        What it would do.
    mocks
        Upstream stack -> those of its outputs that were made up, because it isn't deployed.
    refusal
        Why the plan may not be applied as it is; empty when it may.
    text
        The plan in Terraform's words, where asked for.
    taken_up
        The mark of what an earlier run that was cut off has left, if the plan takes that in; empty when not.
    """

    plan: StackPlan
    mocks: Mapping[StackId, tuple[str, ...]] = field(default_factory=dict)
    refusal: str = ""
    text: str = ""
    taken_up: str = ""

    @property
    def none(self) -> bool:
        """Whether there is nothing to do."""
        return self.plan.none and not self.taken_up

    @property
    def label(self) -> str:
        """Says that the plan was made with mock outputs, and of which stacks; empty when it was not."""
        return f"planned with mock outputs of {', '.join(map(str, self.mocks))}" if self.mocks else ""


def read_plan(document: Mapping[str, Any], *, without: Iterable[str] = ()) -> StackPlan:
    """A plan as Terraform shows it in JSON.

    Parameters
    ----------
    without
        Addresses that don't count: the engine's own additions to a stack.
    """
    left_out = set(without)
    found = (
        _resource(entry)
        for entry in document.get("resource_changes", ())
        if entry.get("mode", "managed") == "managed" and entry["address"] not in left_out
    )
    outputs: dict[str, list[str]] = {
        name: change["actions"] for name, change in (document.get("output_changes") or {}).items()
    }
    return StackPlan(
        resources=tuple(change for change in found if change is not None),
        new_outputs=tuple(name for name, actions in outputs.items() if set(actions) & {"create", "update"}),
        lost_outputs=tuple(name for name, actions in outputs.items() if actions == ["delete"]),
        gone=tuple(
            str(entry["address"])
            for entry in document.get("resource_drift", ())
            if entry["change"]["actions"] == ["delete"] and entry["address"] not in left_out
        ),
    )


def planned_outputs(document: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Output name -> its value after an apply, and which parts of it are not known before (Terraform's
    ``after_unknown``: True, or a list with a True per unknown element)."""
    return {
        name: (change.get("after"), change.get("after_unknown"))
        for name, change in (document.get("output_changes") or {}).items()
        if change["actions"] != ["delete"]
    }


def _resource(entry: Mapping[str, Any]) -> ResourceChange | None:
    change = entry["change"]
    action = _action(change["actions"])
    if action is None and change.get("importing"):
        action = Action.IMPORT
    if action is None:
        return None
    reason = str(entry.get("action_reason") or "")
    return ResourceChange(
        address=str(entry["address"]),
        type=str(entry["type"]),
        action=action,
        attributes=_changed(change) if action is Action.UPDATE else (),
        reason=_REASONS.get(reason, reason.replace("_", " ")),
        forced_by=tuple(path_text(path) for path in change.get("replace_paths") or ()),
    )


def _action(actions: Sequence[str]) -> Action | None:
    match list(actions):
        case ["delete", "create"] | ["create", "delete"]:
            return Action.REPLACE
        case ["create"]:
            return Action.CREATE
        case ["update"]:
            return Action.UPDATE
        case ["delete"]:
            return Action.DELETE
        case ["forget"] | ["create", "forget"]:
            return Action.FORGET
        case _:
            return None


def _changed(change: Mapping[str, Any]) -> tuple[str, ...]:
    before, after, unknown = change.get("before") or {}, change.get("after") or {}, change.get("after_unknown") or {}
    names = sorted({*before, *after, *unknown})
    return tuple(
        name for name in names if before.get(name) != after.get(name) or unknown.get(name) not in (None, False, {}, [])
    )


def path_text(path: Sequence[Any]) -> str:
    """A path into a resource: ``attribute[0].name``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
