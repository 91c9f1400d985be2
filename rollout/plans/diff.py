"""Plans stacks and changes nothing, whether or not what they build on is deployed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rollout import retirement
from rollout.engine import change
from rollout.engine.readers import still_read
from rollout.plans.applicable import refusals
from rollout.plans.changes import StackDiff, StackPlan, planned_outputs, read_plan
from rollout.plans.mocks import GUARD, MockMaker, copy_stack
from rollout.plans.saved import PlanFolder
from rollout.schedule import Status
from rollout.selection import lacking
from rollout.state import DeployedStack
from rollout.terraform import StackTerraform
from shared.contracts import Graph, StackId

if TYPE_CHECKING:
    from rollout.engine.run import Run


def diff(run: Run, stacks: Sequence[StackId], *, details: bool = False, save: PlanFolder | None = None) -> None:
    """Plan these stacks; what each would change is in its result's ``diff``.

    A stack that builds on what isn't deployed is planned with mock outputs, see :mod:`rollout.plans.mocks`. With all
    stacks, those that the configuration no longer has are planned for their end. Plans that are saved take in what an
    earlier run that was cut off has made and not recorded.

    Parameters
    ----------
    details
        Keep each plan in Terraform's words, too.
    save
        Save the plans that may be applied. Makes the state buckets, since a plan is made for one state.

    Raises
    ------
    UsageError
        When there is something else in the folder to save into.
    """
    project = run.project
    if save is not None:
        save.check_free()
    run.reach()
    with run.phase("state"):
        if save is not None:
            change.await_others(run, stacks)
        deployed = project.ground(stacks)
        strays = run.strays(stacks)
    run.prepare(stacks, make_buckets=save is not None)
    for stray in strays:
        run.say(f"note: {stray} is deployed and no longer configured; tripoint rollout --retire")
        retirement.write_folder(project.workspace, stray, run.model(stray))
    if save is not None:
        save.make()
    planner = _Planner(run, deployed, details=details, save=save)
    graph = project.graph
    # Consumers wait only for the plans that tell them what to expect of what isn't deployed.
    order = dict.fromkeys(strays, ()) | {
        stack: tuple(need for need in graph.needs[stack] if need in stacks and planner.lacking(need))
        for stack in stacks
    }
    run.execute(Graph(order), planner.plan)
    run.report.stacks = [run.result(stack) for stack in [*strays, *stacks]]
    _refuse(run, strays)
    if save is not None:
        save.write(run, deployed)


class _Planner:
    """Plans one stack after the other, in several threads."""

    def __init__(
        self, run: Run, deployed: Mapping[StackId, DeployedStack], *, details: bool, save: PlanFolder | None
    ) -> None:
        environment = run.project.environment
        self._run = run
        self._deployed = deployed
        self._details = details
        self._save = save
        self._maker = MockMaker(environment.target.account_id, list(environment.regions))
        self._known: dict[StackId, dict[str, tuple[Any, Any]]] = {}

    def lacking(self, stack: StackId) -> bool:
        """Whether outputs that a stack promises are not deployed."""
        state = self._deployed.get(stack)
        return state is None or bool(lacking(stack, {stack: state.outputs}, self._promised))

    def plan(self, stack: StackId) -> Status:
        """Plan one stack, in a copy of its folder where it can't be planned in place."""
        run, workspace = self._run, self._run.project.workspace
        outputs, mocks = self._upstream(stack)
        stray = stack not in run.project.graph.needs
        there = stack in self._deployed or stray
        if mocks or (not there and self._save is None):
            copy = copy_stack(workspace.stack(stack), workspace.home / "looking", outputs, empty_state=not there)
            terraform = run.terraform(stack, folder=copy.folder, data=copy.data)
            saved = copy.data / "diff.tfplan"
        else:
            terraform = run.terraform(stack, folder=workspace.emptied(stack) if stray else None)
            saved = workspace.data(stack) / "diff.tfplan"
        with run.timed(stack, "init"):
            terraform.init()
        try:
            with run.timed(stack, "plan"), self._left(stack, terraform, mocks) as left:
                changes = terraform.plan(run.listener(stack), out=saved)
                # What Terraform says while it plans has no reasons; asking for them takes another second.
                document = {} if changes.none and not left else terraform.show_json(saved)
                text = terraform.show(saved) if self._details and document else ""
            found = StackDiff(read_plan(document, without=[GUARD]), mocks, text=text, taken_up=left)
            self._known[stack] = planned_outputs(document)
            if self._save is not None and not mocks and not found.none and not stray:
                self._save.keep(stack, saved)
        finally:
            saved.unlink(missing_ok=True)
        return self._told(stack, found)

    @contextmanager
    def _left(self, stack: StackId, terraform: StackTerraform, mocks: Mapping[StackId, Any]) -> Iterator[str]:
        """Plan with what an earlier run has left, if the plan may be saved; gives the mark of that, or nothing."""
        if self._save is None or mocks or not change.unfinished(self._run, stack):
            yield ""
            return
        with change.looked_for(self._run, stack, terraform) as mark:
            yield mark

    def _told(self, stack: StackId, found: StackDiff) -> Status:
        result = self._run.result(stack)
        result.diff, result.changes = found, found.plan.as_changes
        if found.taken_up:
            result.note = "takes up an earlier run that was cut off"
        elif change.unfinished(self._run, stack):
            result.note = "an earlier run was cut off or goes on; what it made and did not record is not in this plan"
        return Status.UNCHANGED if found.none else Status.PLANNED

    def _upstream(self, stack: StackId) -> tuple[dict[StackId, dict[str, Any]], dict[StackId, tuple[str, ...]]]:
        """The outputs of each upstream stack that isn't wholly there, and which of them are made up."""
        outputs: dict[StackId, dict[str, Any]] = {}
        mocks: dict[StackId, tuple[str, ...]] = {}
        for need in self._run.project.graph.needs.get(stack, ()):
            if not self.lacking(need):
                continue
            state = self._deployed.get(need)
            known = self._known.get(need, {}) | {
                name: (value, False) for name, value in (state.outputs if state else {}).items()
            }
            outputs[need], mocks[need] = self._maker.outputs(need, self._promised(need), known)
        return outputs, mocks

    def _promised(self, stack: StackId) -> dict[str, type]:
        project = self._run.project
        return project.spec(stack).outputs(project.environment.capabilities)


def _refuse(run: Run, strays: Sequence[StackId]) -> None:
    """Mark the plans that may not be applied as they are."""
    found: dict[StackId, StackDiff] = {
        result.stack: result.diff for result in run.report.stacks if result.diff is not None
    }
    plans: dict[StackId, StackPlan] = {stack: one.plan for stack, one in found.items()}
    mocked = {stack: tuple(one.mocks) for stack, one in found.items()}
    refused = refusals(run.project.graph, plans, mocked, strays)
    lost = {stack: plan.lost_outputs for stack, plan in plans.items() if stack not in refused}
    for stack, why in (refused | still_read(run, lost, plans)).items():
        run.result(stack).diff = replace(found[stack], refusal=why)
