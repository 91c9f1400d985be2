"""Brings stacks to what is configured, producers before consumers; those that are as they should be are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rollout import selection
from rollout.engine import change
from rollout.engine.readers import check_readers
from rollout.engine.retire import retire as destroy_strays
from rollout.engine.run import Run
from rollout.engine.uptodate import UpToDate, Verdict
from rollout.schedule import Status
from shared.contracts import StackId


def deploy(run: Run, stacks: Sequence[StackId], *, retire: bool = False, every: bool = False) -> None:
    """Bring these stacks to what is configured.

    Parameters
    ----------
    retire
        With all stacks: destroy those that are deployed and no longer configured.
    every
        Plan also those that nothing has changed of since their last apply.

    Raises
    ------
    UpstreamMissingError
        When a stack's producers are neither deployed nor among them.
    StillReadError
        When an output is to go that a deployed stack reads which is not among them.
    StrayStacksError
        When stacks are deployed that the configuration no longer has, and may not be retired.
    """
    graph = run.project.graph
    run.reach()
    with run.phase("state"):
        deployed = run.project.ground(stacks)
        outputs = {stack: state.outputs for stack, state in deployed.items()}
        strays = run.strays(stacks)
    selection.check_upstream(graph, stacks, outputs, run.promised, lambda stack: run.project.spec(stack).owner)
    if strays and not retire:
        raise selection.StrayStacksError(strays)
    check_readers(run, {one: set(outputs[one]) - set(run.promised(one)) for one in stacks if one in outputs}, stacks)
    first = selection.withdrawals(graph, stacks, outputs, run.promised)
    run.prepare(stacks, provider=False)
    uptodate = UpToDate(run.project, run.tools)
    with run.phase("state"):
        verdicts = uptodate.verdicts(stacks)
    work = partial(_deploy_one, run, uptodate, every=every)
    if strays or any(_why(run, stack, verdict, every=every) for stack, verdict in verdicts.items()):
        run.provide(stacks)
    destroy_strays(run, strays)
    if first and run.report.ok:
        run.say(f"first what others let go of: {', '.join(map(str, first))}")
        run.execute(selection.restrict(graph, first).reversed(), work)
    if run.report.ok:
        run.execute(selection.restrict(graph, stacks), work)
    if run.report.count(Status.UP_TO_DATE):
        run.say("what is up-to-date was not planned; changes made outside show up in: tripoint drift")
    run.write_outputs()


def _deploy_one(run: Run, uptodate: UpToDate, stack: StackId, *, every: bool) -> Status:
    """The verdict is asked for when the stack's turn comes: what it reads of others may have changed in this run, and
    another engine may be at work on it."""
    result = run.result(stack)
    change.await_others(run, [stack])
    verdict = uptodate.verdict(stack)
    why = _why(run, stack, verdict, every=every)
    if why:
        result.reason = why
        return change.apply(run, stack, uptodate, verdict)
    # A stack that others let go of first comes twice.
    if not result.changes.none:
        return Status.APPLIED
    result.reason = verdict.reason
    return Status.UP_TO_DATE


def _why(run: Run, stack: StackId, verdict: Verdict, *, every: bool) -> str | None:
    """Why a stack is to be planned; None when it isn't."""
    if change.unfinished(run, stack):
        return "an earlier run was cut off"
    if not verdict.current:
        return verdict.reason
    return "--all" if every else None
