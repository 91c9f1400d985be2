"""Destroys stacks that are deployed and that the configuration no longer has."""

from __future__ import annotations

from rollout import retirement
from rollout.engine import change
from rollout.engine.run import Run
from shared.contracts import StackId


def retire(run: Run, strays: list[StackId]) -> None:
    """Destroy these stacks, consumers before producers; what models their folders must be synthesized."""
    if not strays:
        return
    run.say(f"no longer configured, and destroyed: {', '.join(map(str, strays))}")
    environment, workspace = run.project.environment, run.project.workspace
    emptied = {stray: retirement.write_folder(workspace, stray, run.model(stray)) for stray in strays}
    graph = retirement.order(strays, list(environment.regions), environment.primary)
    run.execute(graph, lambda stack: change.destroy(run, stack, emptied[stack]))
