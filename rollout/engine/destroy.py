"""Destroys stacks, consumers before producers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from rollout import retirement, selection
from rollout.engine import change
from rollout.engine.retire import retire
from rollout.engine.run import Run
from rollout.workspace import STACK_FILE
from shared.contracts import StackId


def destroy(
    run: Run,
    stacks: Sequence[StackId],
    *,
    with_dependents: bool = False,
    confirm: Callable[[Sequence[StackId]], None] = lambda doomed: None,
) -> None:
    """Destroy these stacks, consumers before producers.

    Destroying all stacks of a non-production environment removes the state buckets too, so nothing remains.

    Parameters
    ----------
    with_dependents
        Take the deployed stacks along that depend on these.
    confirm
        Told what is about to go; raises to refuse.

    Raises
    ------
    DependentsDeployedError
        When deployed stacks depend on these and may not be taken along.
    """
    project, graph = run.project, run.project.graph
    if not project.reachable:
        run.say("the sandbox is not running: nothing is deployed")
        run.write_outputs()
        return
    run.reach()
    with run.phase("state"):
        outputs = {stack: state.outputs for stack, state in project.deployed().items()}
        strays = run.strays(stacks)
    doomed = selection.to_destroy(graph, stacks, {*outputs, *_begun(run)}, with_dependents=with_dependents)
    if doomed or strays:
        confirm([*doomed, *strays])
        run.prepare([*doomed, *map(run.model, strays)], make_buckets=False)
        retire(run, strays)
    if doomed and run.report.ok:
        emptied = {stack: _emptied(run, stack) for stack in doomed if _unreadable(run, stack, outputs)}
        run.execute(
            selection.restrict(graph, doomed).reversed(), lambda stack: change.destroy(run, stack, emptied.get(stack))
        )
    elif not strays:
        run.say("nothing to destroy: none of these stacks is deployed")
    if run.report.ok and run.is_everything(stacks) and not project.environment.protection.production:
        with run.phase("state"):
            gone = project.store.remove_buckets()
        if gone:
            run.say(f"state buckets removed: {', '.join(gone)}")
    run.write_outputs()


def _unreadable(run: Run, stack: StackId, outputs: Mapping[StackId, Collection[str]]) -> bool:
    """Whether a stack's configuration names outputs that are not deployed: Terraform could not read it."""
    needs = run.project.graph.needs[stack]
    # What must not be destroyed is said in the configuration alone.
    return any(selection.lacking(need, outputs, run.promised) for need in needs) and not _protects(run, stack)


def _protects(run: Run, stack: StackId) -> bool:
    return '"prevent_destroy": true' in (run.project.workspace.stack(stack) / STACK_FILE).read_text(encoding="utf-8")


def _emptied(run: Run, stack: StackId) -> Path:
    run.say(f"{stack}: destroyed by its state alone, since what it builds on lacks outputs that it would read")
    return retirement.write_folder(run.project.workspace, stack, stack)


def _begun(run: Run) -> list[StackId]:
    """Stacks that an earlier run was cut off of: whatever their states say, something of them may be there."""
    begun = [stack for stack in run.project.graph.order if change.unfinished(run, stack)]
    places = {stack.region for stack in begun if run.project.store.has_bucket(stack.region)}
    # Without a place for its state, no run has come to make anything.
    return [stack for stack in begun if stack.region in places]
