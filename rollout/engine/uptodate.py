"""Which stacks are as their last apply left them, so that there is nothing to plan; and the records that tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from rollout.engine.inputs import ApplyRecord, Inputs, inputs_of, parse_record, reads_of, record_of
from rollout.project import Project
from rollout.state import DeployedStack
from rollout.terraform import Changes
from rollout.workspace import STACK_FILE
from shared.contracts import StackId

# Beside the state of each stack.
RECORD = "tripoint-apply.json"


@dataclass(frozen=True)
class Verdict:
    """Whether a stack is as its last apply left it.

    ``inputs`` is what an apply would go by now; ``state`` and ``last`` are what is deployed.
    """

    current: bool
    reason: str
    inputs: Inputs
    state: DeployedStack | None
    last: ApplyRecord | None


class UpToDate:
    """Compares stacks with their last applies.

    Parameters
    ----------
    project
        Whose stacks; they must be synthesized.
    tools
        ``terraform``, ``tripoint`` -> version.
    """

    def __init__(self, project: Project, tools: dict[str, str]) -> None:
        self._project = project
        self._tools = tools

    def verdicts(self, stacks: Iterable[StackId]) -> dict[StackId, Verdict]:
        """Whether stacks are as their last applies left them, by what is deployed at this moment."""
        chosen = list(stacks)
        near = list(dict.fromkeys([*chosen, *(need for stack in chosen for need in self._project.graph.needs[stack])]))
        states = self._project.store.deployed(near)
        with ThreadPoolExecutor(max_workers=8) as pool:
            found = dict(zip(near, pool.map(self._record, near), strict=True))
        records = {stack: record for stack, record in found.items() if record is not None}
        return {stack: self._verdict(stack, states, records) for stack in chosen}

    def verdict(self, stack: StackId) -> Verdict:
        """The same of one stack."""
        return self.verdicts([stack])[stack]

    def write(self, stack: StackId, verdict: Verdict, changes: Changes | None) -> None:
        """Record a successful apply. The caller holds the lock of the state, so that it is still what was applied.

        Parameters
        ----------
        verdict
            From before the apply.
        changes
            What the apply did; None when that isn't known.
        """
        after = self._project.store.read(stack)
        if after is None:
            return
        record = record_of(
            verdict.inputs,
            before=verdict.state,
            last=verdict.last if changes else None,
            after=after,
            applied_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            # What somebody else deleted is made anew as if it were new.
            removed=bool(changes and (changes.remove or changes.gone)),
            changed=bool(changes and (changes.add or changes.change or changes.remove)),
        )
        self._project.store.write_document(stack, RECORD, record.render())

    def _verdict(
        self, stack: StackId, states: Mapping[StackId, DeployedStack], records: Mapping[StackId, ApplyRecord]
    ) -> Verdict:
        document = (self._project.workspace.stack(stack) / STACK_FILE).read_bytes()
        reads = reads_of(document)
        inputs = inputs_of(
            document,
            reads,
            states={str(other): state for other, state in states.items()},
            records={str(other): record for other, record in records.items()},
            tools=self._tools,
        )
        state, last = states.get(stack), records.get(stack)
        reasons = _reasons(state, last, inputs)
        if not reasons and reads.unknown:
            reasons = [f"{', '.join(reads.unknown)} must be asked every time"]
        reason = reasons[0] if reasons else f"nothing changed since {last.applied_at if last else ''}"
        if len(reasons) > 1:
            reason += f", and {len(reasons) - 1} more"
        return Verdict(current=not reasons, reason=reason, inputs=inputs, state=state, last=last)

    def _record(self, stack: StackId) -> ApplyRecord | None:
        body = self._project.store.read_document(stack, RECORD)
        return None if body is None else parse_record(body)


def _reasons(state: DeployedStack | None, last: ApplyRecord | None, inputs: Inputs) -> list[str]:
    if state is None:
        return ["not deployed yet"]
    if last is None:
        return ["no record of its last apply"]
    if not last.of(state):
        return [f"somebody else changed its state (serial {state.serial}, after our apply {last.serial})"]
    return inputs.differences(last.inputs)
