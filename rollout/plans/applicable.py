"""Which plans of a set may be applied as they are. Pure decisions, no I/O.

A plan is made with the outputs that its upstream stacks have now. If the plan of an upstream stack changes outputs,
what was planned on top of it is no longer what would happen: such a stack must be planned again after its upstream has
been applied. The same holds for everything above a stack that must be planned again, whatever its first plan says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rollout.plans.changes import StackPlan
from shared.contracts import Graph, StackId


def refusals(
    graph: Graph,
    plans: Mapping[StackId, StackPlan],
    mocked: Mapping[StackId, Collection[StackId]],
    strays: Collection[StackId] = (),
) -> dict[StackId, str]:
    """Why each of the plans may not be applied; those that may are left out.

    Parameters
    ----------
    graph
        All stacks of the environment.
    plans
        What was planned.
    mocked
        Stack -> the upstream stacks that it was planned with mock outputs of.
    strays
        Planned stacks that the configuration no longer has.
    """
    found: dict[StackId, str] = dict.fromkeys(strays, "no longer configured: destroyed by tripoint rollout --retire")
    for stack in (stack for stack in graph.order if stack in plans):
        if mocked.get(stack):
            found[stack] = f"planned with mock outputs of {_names(mocked[stack])}"
            continue
        after = [need for need in graph.needs[stack] if need in found or (need in plans and plans[need].new_outputs)]
        if after:
            found[stack] = f"must be planned again after {_names(after)}"
    for stack, plan in plans.items():
        # Consumers let go of an output before its producer takes away what it told of.
        holding = [other for other in graph.dependents(stack) if other in plans and not plans[other].none]
        if plan.lost_outputs and stack not in found and stack in graph.needs and holding:
            found[stack] = f"withdraws {', '.join(plan.lost_outputs)}: must be planned again after {_names(holding)}"
    return found


def _names(stacks: Collection[StackId]) -> str:
    return ", ".join(map(str, stacks))
