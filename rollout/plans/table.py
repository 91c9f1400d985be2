"""A diff over many stacks for people: one table, and what would be lost."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from rollout.counted import counted
from rollout.plans.changes import Action, StackDiff, StackPlan
from rollout.progress import STYLES
from rollout.report import RunReport, StackResult
from rollout.schedule import Status

DANGER = "bold red"
_COLUMNS = (("add", Action.CREATE), ("change", Action.UPDATE), ("replace", Action.REPLACE), ("destroy", Action.DELETE))


def table(report: RunReport) -> Table:
    """A line per stack, and the totals. A replacement is counted once, as one."""
    found = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    found.add_column("stack", no_wrap=True)
    found.add_column("plan", no_wrap=True)
    for name in (*(name for name, _ in _COLUMNS), "outputs", "data lost"):
        found.add_column(name, justify="right", no_wrap=True)
    found.add_column("", overflow="fold")
    plans = []
    for result in report.stacks:
        plan = result.diff.plan if result.diff is not None else None
        plans.append(plan or StackPlan())
        numbers = _numbers([plan]) if plan is not None else [Text("")] * (len(_COLUMNS) + 2)
        word = "no changes" if result.status is Status.UNCHANGED else str(result.status)
        found.add_row(Text(str(result.stack)), Text(word, STYLES[result.status]), *numbers, Text(_note(result)))
    found.add_section()
    found.add_row(counted(len(report.stacks), "stack"), "", *_numbers(plans), "")
    return found


def loss_lines(report: RunReport) -> list[Text]:
    """What would be lost: every stateful resource that is destroyed or replaced, with the reason, in red."""
    lines: list[Text] = []
    for result in report.stacks:
        for change in result.diff.plan.losses if result.diff is not None else ():
            word = "replaced" if change.action is Action.REPLACE else "destroyed"
            why = f": {change.why}" if change.why else ""
            lines.append(Text(f"  {result.stack}: {change.address} {word}{why}", DANGER))
    if lines:
        lines.insert(0, Text("Destroyed with what they hold:", DANGER))
    return lines


def detail_lines(report: RunReport) -> Iterator[str]:
    """Every stack's plan in Terraform's words, under its name and what is to be known of it."""
    for result in report.stacks:
        found = result.diff
        if found is None or not found.text:
            continue
        note = _note(result)
        yield f"\n{result.stack}" + (f" ({note})" if note else "")
        yield found.text


def _numbers(plans: list[StackPlan]) -> list[Text]:
    counts = [
        (
            sum(plan.count(action) for plan in plans),
            any(change.loses and change.action is action for plan in plans for change in plan.resources),
        )
        for _, action in _COLUMNS
    ]
    outputs = sum(len(plan.new_outputs) + len(plan.lost_outputs) for plan in plans)
    lost = sum(len(plan.losses) for plan in plans)
    cells = [*counts, (outputs, False), (lost, lost > 0)]
    return [Text(str(number), DANGER if danger else "") for number, danger in cells]


def _note(result: StackResult) -> str:
    found = result.diff or StackDiff(StackPlan())
    # Of a plan without changes, too: when its upstream has changed, there may be some.
    return found.label or found.refusal or result.note
