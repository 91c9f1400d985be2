"""Who still reads what a stack is about to withdraw (LAY-08): no stack takes the ground from under a deployed one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rollout.engine.inputs import parse_record
from rollout.engine.run import Run
from rollout.engine.uptodate import RECORD
from shared.contracts import StackId
from shared.errors import TripointError


class StillReadError(TripointError):
    """Outputs are to go that deployed stacks read."""


def still_read(run: Run, lost: Mapping[StackId, Collection[str]], among: Collection[StackId]) -> dict[StackId, str]:
    """Why stacks may not withdraw outputs yet; those that may are left out.

    What a stack reads is in the record of its last apply. One without a record may read whatever its upstream has.

    Parameters
    ----------
    lost
        Stack -> the outputs that it is about to withdraw.
    among
        The stacks that are worked on: those let go in the right order by themselves.
    """
    lost = {stack: names for stack, names in lost.items() if names}
    if not lost:
        return {}
    project = run.project
    staying = [stack for stack in project.deployed() if stack not in among]
    if not run.is_everything(among):
        staying += project.store.strays(project.graph.order)
    reads = {stack: _reads(run, stack) for stack in staying}
    found: dict[StackId, str] = {}
    for stack, names in lost.items():
        holding = {
            other: sorted(name for name in names if read is None or f"{stack}.{name}" in read)
            for other, read in reads.items()
            if read is not None or stack in project.graph.needs.get(other, ())
        }
        holders = [other for other, held in holding.items() if held]
        if holders:
            outputs = ", ".join(dict.fromkeys(name for held in holding.values() for name in held))
            owned = ", ".join(_owned(run, other) for other in holders)
            found[stack] = (
                f"withdraws {outputs}, which deployed stacks still read: {owned}; deploy them first, or everything in "
                "the right order: tripoint rollout"
            )
    return found


def check_readers(run: Run, lost: Mapping[StackId, Collection[str]], among: Collection[StackId]) -> None:
    """Refuse to withdraw what deployed stacks read; see :func:`still_read`.

    Raises
    ------
    StillReadError
        Naming the outputs, the stacks that read them, and their owners.
    """
    found = still_read(run, lost, among)
    if found:
        raise StillReadError("; ".join(f"{stack} {why}" for stack, why in found.items()))


def _owned(run: Run, stack: StackId) -> str:
    owners = [spec.owner for spec in run.project.specs if spec.name == stack.name]
    return f"{stack} (owner {owners[0]})" if owners else f"{stack} (no longer configured)"


def _reads(run: Run, stack: StackId) -> Collection[str] | None:
    body = run.project.store.read_document(stack, RECORD)
    record = None if body is None else parse_record(body)
    return None if record is None else record.inputs.outputs.keys()
