"""Destroys stacks, consumers before producers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rollout import selection
from rollout.engine import change
from rollout.engine.retire import retire
from rollout.engine.run import Run
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
        deployed = {*project.deployed(), *_begun(run)}
        strays = run.strays(stacks)
    doomed = selection.to_destroy(graph, stacks, deployed, with_dependents=with_dependents)
    if doomed or strays:
        confirm([*doomed, *strays])
        run.prepare([*doomed, *map(run.model, strays)], make_buckets=False)
        retire(run, strays)
    if doomed and run.report.ok:
        run.execute(selection.restrict(graph, doomed).reversed(), lambda stack: change.destroy(run, stack))
    elif not strays:
        run.say("nothing to destroy: none of these stacks is deployed")
    if run.report.ok and run.is_everything(stacks) and not project.environment.protection.production:
        with run.phase("state"):
            gone = project.store.remove_buckets()
        if gone:
            run.say(f"state buckets removed: {', '.join(gone)}")
    run.write_outputs()


def _begun(run: Run) -> list[StackId]:
    """Stacks that an earlier run was cut off of: whatever their states say, something of them may be there."""
    begun = [stack for stack in run.project.graph.order if change.unfinished(run, stack)]
    places = {stack.region for stack in begun if run.project.store.has_bucket(stack.region)}
    # Without a place for its state, no run has come to make anything.
    return [stack for stack in begun if stack.region in places]
