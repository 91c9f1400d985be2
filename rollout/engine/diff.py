"""Plans stacks and changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from rollout.engine.run import Run
from rollout.schedule import Status
from shared.contracts import Graph, StackId


def diff(run: Run, stacks: Sequence[StackId], *, details: bool = False) -> None:
    """Plan these stacks. Those whose upstream isn't deployed can't be planned, and say so."""
    project, graph = run.project, run.project.graph
    run.reach()
    with run.phase("state"):
        deployed = project.deployed()
    possible = [stack for stack in stacks if all(need in deployed for need in graph.needs[stack])]
    run.prepare(possible, make_buckets=project.environment.is_sandbox)
    strays = run.strays(stacks)
    for stray in strays:
        run.say(f"note: {stray} is deployed and no longer configured; tripoint rollout --retire")
        result = run.result(stray)
        result.status, result.note = Status.PLANNED, "no longer configured: to be destroyed"
    run.execute(Graph(dict.fromkeys(possible, ())), lambda stack: _plan_one(run, stack, details=details))
    for stack in stacks:
        if stack not in possible:
            missing = [str(need) for need in graph.needs[stack] if need not in deployed]
            result = run.result(stack)
            result.status, result.note = Status.WAITING, f"needs {', '.join(missing)} first"
    run.report.stacks = [run.result(stack) for stack in [*strays, *stacks]]


def _plan_one(run: Run, stack: StackId, *, details: bool) -> Status:
    terraform = run.terraform(stack)
    with run.timed(stack, "init"):
        terraform.init()
    saved = run.project.workspace.data(stack) / "diff.tfplan" if details else None
    with run.timed(stack, "plan"):
        changes = terraform.plan(run.listener(stack), out=saved)
    result = run.result(stack)
    result.changes = changes
    if saved is not None:
        result.plan_text = "" if changes.none else terraform.show(saved)
        saved.unlink(missing_ok=True)
    return Status.UNCHANGED if changes.none else Status.PLANNED
