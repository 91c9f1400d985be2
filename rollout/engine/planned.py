"""Applies the saved plan of one stack, also after an apply of it that was cut off.

What an apply of the very same plan had done by then is known from what Terraform said: nothing, and the plan is
applied; all, because Terraform went on after its engine was killed, and there is nothing left to do; a part, and the
plan is of no use any more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from rollout.engine import change
from rollout.engine.attempt import Attempt
from rollout.engine.change import PlanAgainError
from rollout.engine.run import Run
from rollout.engine.uptodate import RECORD, UpToDate
from rollout.plans.saved import state_document
from rollout.schedule import Status
from rollout.terraform import Changes, Transcript
from shared.contracts import StackId

_NOTE = "what an earlier run began was finished without its engine"


@dataclass(frozen=True)
class Reviewed:
    """A saved plan and what it goes by.

    Attributes
    ----------
    path, hash
        The plan file, and its SHA-256.
    state
        Serial and lineage of the state that it was made for; None where there was none.
    taken_up
        The mark of what an earlier run had left and the plan takes in; empty where there was nothing.
    gone
        Whether it makes anew what somebody else had deleted. Terraform says so when it plans, and not again.
    begun_at
        When an earlier apply of it began; empty where none did.
    """

    path: Path
    hash: str
    state: Mapping[str, Any] | None
    taken_up: str = ""
    gone: bool = False
    begun_at: str = ""

    @property
    def identity(self) -> str:
        """What an attempt notes of the plan that it applies."""
        return f"{self.hash}+{self.taken_up}" if self.taken_up else self.hash


class Extent(StrEnum):
    """How much of a plan was applied."""

    NOTHING = "nothing"
    PART = "part"
    ALL = "all"


def extent(said: Iterable[str]) -> tuple[Extent, Changes]:
    """How much of a plan was applied, by what Terraform said until its end or until it was killed; and the changes,
    if it was all."""
    lines = list(said)
    transcript = Transcript()
    for line in lines:
        transcript.read(line)
    if transcript.applied is not None:
        return Extent.ALL, transcript.applied
    return Extent.PART if any(_is_change(line) for line in lines) else Extent.NOTHING, Changes()


def apply_plan(
    run: Run, stack: StackId, plan: Reviewed, uptodate: UpToDate, note: Callable[[Mapping[str, Any]], None]
) -> Status:
    """Do exactly what a saved plan says, once; nothing is tried a second time.

    Parameters
    ----------
    note
        Told ``begun_at`` before, and the ``state`` that it left.

    Raises
    ------
    PlanAgainError
        When a part of the plan has been applied, or an earlier run has left what the plan doesn't know of.
    """

    def accept(attempt: Attempt) -> None:
        left = attempt.cut_off
        if left is not None and left.plan != plan.identity and attempt.mark != plan.taken_up:
            raise PlanAgainError(stack, f"an earlier {left.operation} of it was cut off, and is not in the plan")

    verdict = uptodate.verdict(stack)
    result = run.result(stack)
    with change.held(run, stack, "apply", plan=plan.identity, accept=accept) as attempt:
        done, changes = Extent.NOTHING, Changes()
        if attempt.cut_off is not None and attempt.cut_off.plan == plan.identity:
            done, changes = extent(attempt.said_of_plan)
        terraform = change.ready(run, stack, attempt)
        if done is not Extent.ALL:
            moved = state_document(run.project.store.read(stack)) != plan.state
            if done is Extent.PART or (plan.begun_at and moved):
                begun = f" at {plan.begun_at}" if plan.begun_at else ""
                raise PlanAgainError(stack, f"its apply from this plan was begun{begun} and did not finish")
            note({"begun_at": datetime.now(UTC).isoformat(timespec="seconds")})
            run.project.store.delete_document(stack, RECORD)
            with run.timed(stack, "apply"):
                changes = terraform.apply_plan(plan.path, run.listener(stack))
        else:
            result.note = _NOTE
            run.say(f"{stack}: {_NOTE}")
        # What the plan took in besides its changes is known to nobody.
        known = done is Extent.NOTHING and not plan.taken_up
        uptodate.write(stack, verdict, replace(changes, gone=int(plan.gone)) if known else None)
        note({"state": state_document(run.project.store.read(stack))})
    result.changes = changes
    return Status.APPLIED


def _is_change(line: str) -> bool:
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get("type") == "apply_start"
