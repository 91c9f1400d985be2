"""Brings stacks to what is configured, producers before consumers."""

from __future__ import annotations

from collections.abc import Sequence

from rollout import selection
from rollout.engine.run import Run
from rollout.schedule import Status
from shared.contracts import StackId


def deploy(run: Run, stacks: Sequence[StackId], *, retire: bool = False) -> None:
    """Bring these stacks to what is configured.

    Parameters
    ----------
    retire
        With all stacks: destroy those that are deployed and no longer configured.

    Raises
    ------
    UpstreamMissingError
        When a stack's producers are neither deployed nor among them.
    StrayStacksError
        When stacks are deployed that the configuration no longer has, and may not be retired.
    """
    graph = run.project.graph
    run.reach()
    with run.phase("state"):
        deployed = run.project.deployed()
        outputs = {stack: state.outputs for stack, state in deployed.items()}
        strays = run.strays(stacks)
    selection.check_upstream(graph, stacks, outputs, run.promised)
    if strays and not retire:
        raise selection.StrayStacksError(strays)
    first = selection.withdrawals(graph, stacks, outputs, run.promised)
    run.prepare(stacks)
    run.destroy_strays(strays)
    if first and run.report.ok:
        run.say(f"first what others let go of: {', '.join(map(str, first))}")
        run.execute(selection.restrict(graph, first).reversed(), lambda stack: _deploy_one(run, stack))
    if run.report.ok:
        run.execute(selection.restrict(graph, stacks), lambda stack: _deploy_one(run, stack))
    run.write_outputs()


def _deploy_one(run: Run, stack: StackId) -> Status:
    terraform = run.terraform(stack)
    with run.timed(stack, "init"):
        terraform.init()
    with run.timed(stack, "apply"):
        changes = terraform.apply(run.listener(stack))
    result = run.result(stack)
    # A stack that others let go of first is applied twice.
    result.changes += changes
    return Status.UNCHANGED if result.changes.none else Status.APPLIED
