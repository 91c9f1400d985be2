"""Applies saved plans: exactly what was reviewed, or nothing.

Everything that the plans were made from is compared before anything is applied. What an earlier, cut-off apply of the
same plans has done is known from their journal, so that the same command goes on where it ended. A stack whose own
apply ended half-way (see :mod:`rollout.engine.planned`) has no plan any more: it fails, and what builds on it is
blocked, until it is planned again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from rollout import selection
from rollout.engine import change
from rollout.engine.planned import Reviewed, apply_plan
from rollout.engine.run import Run
from rollout.engine.uptodate import UpToDate
from rollout.plans.saved import PlanFolder, SavedPlanError, facts, fingerprint, hash_of
from rollout.schedule import Status
from shared.contracts import StackId
from shared.errors import UsageError


def apply_saved(run: Run, folder: PlanFolder) -> None:
    """Apply the saved plans of a folder, producers before consumers.

    Raises
    ------
    UsageError
        When there are no saved plans in the folder, or they are for another environment.
    SavedPlanError
        When anything has changed since they were made; nothing is applied.
    """
    manifest = folder.read()
    _check_environment(run, folder, manifest)
    causes = [*_expired(manifest, datetime.now(UTC)), *_tampered(folder, manifest), *_nothing_to_apply(manifest)]
    if causes:
        raise SavedPlanError(causes)
    entries = _entries(run, manifest)
    run.reach()
    with run.phase("state"):
        change.await_others(run, entries)
        deployed = run.project.ground(entries)
        states = {stack: run.project.store.read(stack) for stack in entries}
    run.prepare(list(entries), make_buckets=False)
    journal = folder.journal()
    causes = [
        *_changed_facts(manifest, facts(run, list(entries))),
        *(
            cause
            for stack, entry in entries.items()
            for cause in _changed_stack(
                stack, entry, fingerprint(run.project, stack, states[stack], deployed), journal.get(str(stack), {})
            )
        ),
    ]
    if causes:
        raise SavedPlanError(causes)
    _Applier(run, folder, entries, journal).apply()
    run.write_outputs()


class _Applier:
    def __init__(
        self,
        run: Run,
        folder: PlanFolder,
        entries: Mapping[StackId, Mapping[str, Any]],
        journal: dict[str, Any],
    ) -> None:
        self._run = run
        self._folder = folder
        self._entries = entries
        self._journal = journal
        self._uptodate = UpToDate(run.project, run.tools)
        self._lock = Lock()

    def apply(self) -> None:
        """Apply what may be applied, and say what has to be planned again."""
        run = self._run
        chosen = [stack for stack, entry in self._entries.items() if not _refusal(entry)]
        run.execute(selection.restrict(run.project.graph, chosen), self._apply_one)
        for stack, entry in self._entries.items():
            if _refusal(entry):
                result = run.result(stack)
                result.status, result.note = Status.WAITING, _refusal(entry)
        order = [stack for stack in run.project.graph.order if stack in self._entries]
        run.report.stacks = [run.result(stack) for stack in order]

    def _apply_one(self, stack: StackId) -> Status:
        run, entry = self._run, self._entries[stack]
        if "plan" not in entry:
            return Status.UNCHANGED
        noted = self._journal.get(str(stack), {})
        if "state" in noted:
            run.result(stack).note = "already applied from this plan"
            return Status.UNCHANGED
        plan = Reviewed(
            self._folder.plan(stack).resolve(),
            entry["hash"],
            entry["state"],
            taken_up=entry["taken_up"],
            gone=bool(entry["gone"]),
            begun_at=noted.get("begun_at", ""),
        )
        return apply_plan(run, stack, plan, self._uptodate, lambda facts: self._note(stack, facts))

    def _note(self, stack: StackId, facts: Mapping[str, Any]) -> None:
        with self._lock:
            self._journal[str(stack)] = {**self._journal.get(str(stack), {}), **facts}
            self._folder.note(self._journal)


def _entries(run: Run, manifest: Mapping[str, Any]) -> dict[StackId, Mapping[str, Any]]:
    """The planned stacks, producers first. Stacks that are to be retired are nobody's business here."""
    found = {entry["stack"]: entry for entry in manifest["stacks"]}
    return {stack: found[str(stack)] for stack in run.project.graph.order if str(stack) in found}


def _refusal(entry: Mapping[str, Any]) -> str:
    return str(entry["refusal"])


def _check_environment(run: Run, folder: PlanFolder, manifest: Mapping[str, Any]) -> None:
    environment = run.project.environment
    here = {"environment": environment.environment, "suffix": environment.suffix, "target": run.report.target}
    for name, value in here.items():
        if manifest[name] != value:
            raise UsageError(
                f"--plan {folder.path}: made for {name} {_text(manifest[name])}, not {_text(value)}; "
                f"its configuration was {manifest['config']['path']}"
            )


def _expired(manifest: Mapping[str, Any], now: datetime) -> list[str]:
    if datetime.fromisoformat(manifest["expires_at"]) >= now:
        return []
    return [f"the plans were made at {manifest['created_at']} and expired at {manifest['expires_at']}"]


def _tampered(folder: PlanFolder, manifest: Mapping[str, Any]) -> list[str]:
    causes = []
    planned = {entry["plan"]: entry for entry in manifest["stacks"] if "plan" in entry}
    for name, entry in planned.items():
        path = folder.path / name
        if entry["refusal"] or entry["mock_outputs"]:
            causes.append(f"{entry['stack']}: {entry['refusal'] or 'planned with mock outputs'}; never applied")
        elif not path.is_file():
            causes.append(f"{entry['stack']}: {name} is missing")
        elif hash_of(path) != entry["hash"]:
            causes.append(f"{entry['stack']}: {name} is not the file that was saved")
    strangers = sorted(path.name for path in folder.path.glob("*.tfplan") if path.name not in planned)
    return [*causes, *(f"{name} is not among the saved plans" for name in strangers)]


def _nothing_to_apply(manifest: Mapping[str, Any]) -> list[str]:
    """Why there is nothing among the plans that may be applied, where that is so."""
    stacks = manifest["stacks"]
    if any("plan" in entry for entry in stacks):
        return []
    return [f"{entry['stack']}: {entry['refusal']}; never applied" for entry in stacks if entry["refusal"]]


def _changed_facts(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    causes = []
    if then["config"]["hash"] != now["config"]["hash"]:
        causes.append(f"the configuration {now['config']['path']} has changed")
    for name, version in then["versions"].items():
        if now["versions"][name] != version:
            causes.append(f"{name}: {version} when the plans were made, {now['versions'][name]} now")
    for name in sorted({*then["functions"], *now["functions"]}):
        if then["functions"].get(name) != now["functions"].get(name):
            causes.append(f"function {name}: its code has changed")
    return causes


def _changed_stack(
    stack: StackId, then: Mapping[str, Any], now: Mapping[str, Any], noted: Mapping[str, Any]
) -> list[str]:
    causes = []
    if then["synthesized"] != now["synthesized"]:
        causes.append(f"{stack}: what is synthesized has changed")
    expected = noted.get("state", then["state"])
    # A state that an unfinished apply of this plan has moved on is that stack's trouble alone.
    half_applied = "begun_at" in noted and "state" not in noted
    if now["state"] != expected and not half_applied:
        causes.append(f"{stack}: its state has changed: {_serial(expected)} then, {_serial(now['state'])} now")
    # Where nothing is to be applied, or has been, nothing goes by them any more.
    outputs = then["outputs"] if "plan" in then and "state" not in noted else {}
    for upstream, value in outputs.items():
        if now["outputs"].get(upstream) != value:
            causes.append(f"{stack}: the outputs of {upstream} have changed")
    return causes


def _serial(state: Mapping[str, Any] | None) -> str:
    return "none" if state is None else f"serial {state['serial']} of {state['lineage'][:8] or 'an unknown lineage'}"


def _text(value: Any) -> str:
    return " ".join(map(str, value.values())) if isinstance(value, dict) else str(value)
