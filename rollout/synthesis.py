"""From the configuration to Terraform JSON, in a process of its own (`python -m stacks`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rollout.counted import counted
from rollout.synthesized import Entry, Record, digest_of_inputs
from rollout.workspace import Workspace
from shared.contracts import StackId
from shared.errors import TripointError, UsageError


class SynthesisError(TripointError):
    """The stacks can't be synthesized."""


class RefusedSynthesisError(UsageError):
    """The configuration or the contracts are refused."""


def build_functions(workspace: Workspace) -> int:
    """Build the functions' zips; returns how many there are."""
    from functions.build import build_all

    return len(build_all(workspace.functions))


@dataclass(frozen=True)
class Synthesis:
    """What became of the stacks that were asked for.

    Attributes
    ----------
    written
        Those that were synthesized.
    unchanged
        Those whose inputs and output are what they were: nothing was done.
    since
        When the last of the unchanged was written, ISO 8601, UTC; empty when there are none.
    """

    written: tuple[StackId, ...]
    unchanged: tuple[StackId, ...] = ()
    since: str = ""

    def told(self, seconds: float) -> str:
        """One line for people."""
        parts = [f"{counted(len(self.written), 'stack')} synthesized in {seconds:.1f} s"] if self.written else []
        if self.unchanged:
            parts.append(f"{counted(len(self.unchanged), 'stack')} unchanged since the synthesis of {self.since}")
        return ", ".join(parts)


def synthesize(workspace: Workspace, config: Path, stacks: Sequence[StackId]) -> Synthesis:
    """Write the Terraform JSON of these stacks into the workspace, unless it lies there and nothing has changed since.

    Raises
    ------
    SynthesisError, RefusedSynthesisError
        When that fails; the message is the one line it ended with.
    """
    inputs, record = digest_of_inputs(workspace, config), Record.read(workspace)
    found = {stack: record.current(workspace, stack, inputs) for stack in stacks}
    kept: dict[StackId, Entry] = {stack: entry for stack, entry in found.items() if entry}
    wanted = [stack for stack in stacks if stack not in kept]
    if wanted:
        _run(workspace, config, wanted)
        # What was edited meanwhile may or may not be in the output.
        if digest_of_inputs(workspace, config) == inputs:
            record.written(workspace, wanted, inputs)
    return Synthesis(tuple(wanted), tuple(kept), max((entry.at for entry in kept.values()), default=""))


def _run(workspace: Workspace, config: Path, stacks: Sequence[StackId]) -> None:
    log = workspace.log("synth")
    log.parent.mkdir(parents=True, exist_ok=True)
    workspace.synth.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            # -O leaves out the run-time type checks of the generated bindings, an eighth of the time; mypy and the
            # tests of the stacks check the same.
            [sys.executable, "-O", "-m", "stacks"],
            cwd=workspace.root,
            env={
                **os.environ,
                "TRIPOINT_CONFIG": str(config),
                "TRIPOINT_FUNCTIONS": str(workspace.functions),
                "TRIPOINT_STACKS": ",".join(map(str, stacks)),
                "CDKTF_OUTDIR": str(workspace.synth),
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode == 0:
        return
    said = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
    if done.returncode == UsageError.exit_code and errors:
        raise RefusedSynthesisError(errors[-1])
    why = (errors or said or ["it said nothing"])[-1]
    raise SynthesisError(f"synthesis failed: {why} (log: {workspace.shown(log)})")
