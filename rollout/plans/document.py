"""What `tripoint diff --json` prints.

One JSON object::

    schema          1
    environment, suffix, target, created_at
    changes         whether a deployment would change anything
    totals          create, update, replace, delete, forget, import, outputs;
                    stateful: resources that would lose what they hold
    stacks          one object each, producers first:
        stack, name, region
        status          planned | unchanged | failed | blocked | interrupted | skipped
        counts          create, update, replace, delete, forget, import (a replacement is counted there alone), outputs
        changes         one object per resource: address, type, action, stateful,
                        loses_state (a stateful resource that is deleted or replaced),
                        attributes (names, of an update), reason and forced_by (attributes), of a replacement or an end
        outputs         changed: names that come or change; lost: names that go
        gone            addresses of what somebody else has deleted
        mock_outputs    upstream stack -> names of its outputs that were made up; {} for a plan on what is deployed
        applicable      whether a saved plan of this may be applied as it is
        refusal         why not; empty when it may
        error           lines; empty unless it could not be planned

Values of attributes are left out: they may be sensitive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rollout.plans.changes import Action, ResourceChange, StackDiff, StackPlan

if TYPE_CHECKING:
    from rollout.report import RunReport, StackResult

SCHEMA = 1


def document(report: RunReport) -> dict[str, Any]:
    """A run of `diff` as the object above."""
    found = [result.diff for result in report.stacks if result.diff is not None]
    plans = [one.plan for one in found]
    return {
        "schema": SCHEMA,
        "environment": report.environment,
        "suffix": report.suffix,
        "target": report.target,
        "created_at": report.started_at.isoformat(timespec="seconds"),
        "changes": any(not one.none for one in found),
        "totals": {
            **{str(action): sum(plan.count(action) for plan in plans) for action in Action},
            "outputs": sum(len(plan.new_outputs) + len(plan.lost_outputs) for plan in plans),
            "stateful": sum(len(plan.losses) for plan in plans),
        },
        "stacks": [stack_document(result) for result in report.stacks],
    }


def stack_document(result: StackResult) -> dict[str, Any]:
    """One stack of it."""
    found = result.diff or StackDiff(StackPlan())
    plan = found.plan
    return {
        "stack": str(result.stack),
        "name": result.stack.name,
        "region": result.stack.region,
        "status": str(result.status),
        "counts": {
            **{str(action): plan.count(action) for action in Action},
            "outputs": len(plan.new_outputs) + len(plan.lost_outputs),
        },
        "changes": [_change(change) for change in plan.resources],
        "outputs": {"changed": list(plan.new_outputs), "lost": list(plan.lost_outputs)},
        "gone": list(plan.gone),
        "mock_outputs": {str(stack): list(names) for stack, names in found.mocks.items()},
        "applicable": result.diff is not None and not found.refusal,
        "refusal": found.refusal,
        "error": result.error,
    }


def _change(change: ResourceChange) -> dict[str, Any]:
    return {
        "address": change.address,
        "type": change.type,
        "action": str(change.action),
        "stateful": change.stateful,
        "loses_state": change.loses,
        "attributes": list(change.attributes),
        "reason": change.reason,
        "forced_by": list(change.forced_by),
    }
