"""What somebody changed behind Terraform's back: `tripoint drift`.

Terraform reads every resource and says where it differs from the state. That alone is not drift: right after an apply
it also reports what other resources of the same stack have added (a bucket's policy, a role's), and null where AWS
answers with nothing in it. Drift is what the next deployment would undo: an attribute that is no longer as the state
has it, and that the same plan sets back; or a resource that is gone. All the rest is only counted.

`tripoint drift --json` prints one object::

    schema          1
    environment, suffix, target, checked_at
    drift           whether anything was found
    stacks          one object per deployed stack, producers first:
        stack, region, status (clean | drifted | failed), error (lines)
        resources   one object each: address, type, action (update | delete),
                    attributes: path, before (as deployed), after (as found); "(sensitive)" where Terraform says so
        unmanaged   how many other differences there are that no deployment would undo
    not_deployed    the stacks that aren't there to be looked at
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from rollout.counted import counted
from rollout.plans.changes import path_text
from rollout.schedule import Status
from shared.contracts import Graph, StackId

if TYPE_CHECKING:
    from rollout.engine.run import Run
    from rollout.report import RunReport, StackResult

SCHEMA = 1
SENSITIVE = "(sensitive)"
_SHOWN = 120


@dataclass(frozen=True)
class Difference:
    """An attribute (``tags.Owner``) that somebody changed: JSON values as deployed, and as found."""

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.before)} -> {_shown(self.after)}"


@dataclass(frozen=True)
class Drifted:
    """A resource that somebody changed, or deleted."""

    address: str
    type: str
    deleted: bool = False
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class StackDrift:
    """What somebody changed in one stack. ``unmanaged`` counts differences that no deployment would undo."""

    resources: tuple[Drifted, ...] = ()
    unmanaged: int = 0


def drift(run: Run, stacks: Sequence[StackId]) -> None:
    """Look for drift in those of the stacks that are deployed; what is found is in each result's ``drift``."""
    run.reach()
    with run.phase("state"):
        deployed = run.project.deployed(stacks)
    there = [stack for stack in stacks if stack in deployed]
    run.prepare(there, make_buckets=False)
    run.execute(Graph(dict.fromkeys(there, ())), lambda stack: _look(run, stack))
    run.report.stacks = [run.result(stack) for stack in there]


def _look(run: Run, stack: StackId) -> Status:
    terraform = run.terraform(stack)
    saved = run.project.workspace.data(stack) / "drift.tfplan"
    with run.timed(stack, "init"):
        terraform.init()
    try:
        with run.timed(stack, "plan"):
            changes = terraform.plan(run.listener(stack), out=saved)
            # Where a deployment would do nothing, there is nothing that it would undo.
            found = StackDrift() if changes.none else read_drift(terraform.show_json(saved))
    finally:
        saved.unlink(missing_ok=True)
    result = run.result(stack)
    result.drift = found
    result.note = (
        f"{counted(len(found.resources), 'resource')} changed by somebody else" if found.resources else "as deployed"
    )
    return Status.DRIFTED if found.resources else Status.UNCHANGED


def read_drift(document: Mapping[str, Any]) -> StackDrift:
    """What a plan says was changed by somebody else (`terraform show -json`)."""
    planned = {entry["address"]: entry["change"] for entry in document.get("resource_changes", ())}
    found, unmanaged = [], 0
    for entry in document.get("resource_drift", ()):
        address, change = entry["address"], entry["change"]
        undone = planned.get(address, {"actions": ["no-op"]})
        if change["actions"] == ["delete"]:
            # Deleting what the stack no longer has is nobody's drift.
            if "create" in undone["actions"]:
                found.append(Drifted(address, entry["type"], deleted=True))
            continue
        differences = tuple(_differences(change))
        managed = tuple(one for one in differences if _undone(one, undone))
        unmanaged += len(differences) - len(managed)
        if managed:
            found.append(Drifted(address, entry["type"], differences=_once(managed)))
    return StackDrift(tuple(found), unmanaged)


def _differences(change: Mapping[str, Any]) -> Iterator[Difference]:
    before, after = change.get("before") or {}, change.get("after") or {}
    hidden = change.get("before_sensitive") or {}, change.get("after_sensitive") or {}
    for name in sorted({*before, *after}):
        yield from _compare([name], before.get(name), after.get(name), tuple(_of(marks, name) for marks in hidden))


def _compare(path: list[Any], before: Any, after: Any, hidden: tuple[Any, Any]) -> Iterator[Difference]:
    if before == after or (_nothing(before) and _nothing(after)):
        return
    if any(marks is True for marks in hidden):
        yield Difference(path_text(path), SENSITIVE, SENSITIVE)
    elif isinstance(before, dict | None) and isinstance(after, dict | None):
        before, after = before or {}, after or {}
        for name in sorted({*before, *after}):
            marks = (_of(hidden[0], name), _of(hidden[1], name))
            yield from _compare([*path, name], before.get(name), after.get(name), marks)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            marks = (_of(hidden[0], number), _of(hidden[1], number))
            yield from _compare([*path, number], *pair, marks)
    else:
        yield Difference(path_text(path), before, after)


def _undone(difference: Difference, planned: Mapping[str, Any]) -> bool:
    """Whether a planned change sets back the attribute that differs."""
    if not set(planned["actions"]) & {"update", "create"}:
        return False
    top = difference.path.split(".")[0].split("[")[0]
    before, after = planned.get("before") or {}, planned.get("after") or {}
    unknown = planned.get("after_unknown") or {}
    return bool(_of(unknown, top)) or (
        before.get(top) != after.get(top) and not (_nothing(before.get(top)) and _nothing(after.get(top)))
    )


def _once(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """Each tag once: ``tags`` leaves out what the provider's default tags say, so ``tags_all`` is the truth."""
    whole = {one.path.removeprefix("tags_all."): one for one in differences if one.path.startswith("tags_all.")}
    rest = [one for one in differences if one.path.removeprefix("tags.") not in whole and one not in whole.values()]
    return (*rest, *(replace(one, path=f"tags.{key}") for key, one in whole.items()))


def _of(marks: Any, key: Any) -> Any:
    if marks is True:
        return True
    if isinstance(marks, dict):
        return marks.get(key)
    return marks[key] if isinstance(marks, list) and isinstance(key, int) and key < len(marks) else None


def _nothing(value: Any) -> bool:
    """Null, and what AWS answers instead of it."""
    return value is None or value in ("", [], {})


def _shown(value: Any) -> str:
    text = value if value == SENSITIVE else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def found(report: RunReport) -> bool:
    """Whether somebody changed anything."""
    return any(result.drift is not None and result.drift.resources for result in report.stacks)


def lines(report: RunReport) -> Iterator[str]:
    """What was found, for people."""
    for result in report.stacks:
        for one in result.drift.resources if result.drift else ():
            yield f"{result.stack}: {one.address}" + (" was deleted" if one.deleted else "")
            yield from (f"  {difference}" for difference in one.differences)


def document(report: RunReport, chosen: Sequence[StackId]) -> dict[str, Any]:
    """What `--json` prints."""
    looked_at = {result.stack for result in report.stacks}
    return {
        "schema": SCHEMA,
        "environment": report.environment,
        "suffix": report.suffix,
        "target": report.target,
        "checked_at": report.started_at.isoformat(timespec="seconds"),
        "drift": found(report),
        "stacks": [stack_document(result) for result in report.stacks],
        "not_deployed": [str(stack) for stack in chosen if stack not in looked_at],
    }


def stack_document(result: StackResult) -> dict[str, Any]:
    """One stack of it."""
    found = result.drift or StackDrift()
    words = {Status.UNCHANGED: "clean"}
    return {
        "stack": str(result.stack),
        "region": result.stack.region,
        "status": words.get(result.status, str(result.status)),
        "error": result.error,
        "resources": [
            {
                "address": one.address,
                "type": one.type,
                "action": "delete" if one.deleted else "update",
                "attributes": [
                    {"path": each.path, "before": each.before, "after": each.after} for each in one.differences
                ],
            }
            for one in found.resources
        ],
        "unmanaged": found.unmanaged,
    }
