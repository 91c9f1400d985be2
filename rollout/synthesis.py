"""From the configuration to Terraform JSON, in a process of its own (`python -m stacks`)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

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


def synthesize(workspace: Workspace, config: Path, stacks: Sequence[StackId]) -> None:
    """Write the Terraform JSON of these stacks into the workspace.

    Raises
    ------
    SynthesisError, RefusedSynthesisError
        When that fails; the message is the one line it ended with.
    """
    log = workspace.log("synth")
    log.parent.mkdir(parents=True, exist_ok=True)
    workspace.synth.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        done = subprocess.run(
            [sys.executable, "-m", "stacks"],
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
