"""Gets the cdktf CLI, from the npm registry, into the project's `.tools` folder."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from rollout.benchmarks.measure import BenchmarkError
from rollout.workspace import project_root

VERSION = "0.21.0"
LEAVE_OUT = "or leave it out: --ways tripoint shell-loop"
_TIMEOUT_S = 900


def install() -> Path:
    """The CLI's program, installed now if it isn't there.

    Raises
    ------
    BenchmarkError
        Without npm, or when npm can't install it.
    """
    folder = project_root() / ".tools" / f"cdktf-cli-{VERSION}"
    program = folder / "node_modules" / ".bin" / "cdktf"
    if program.exists():
        return program
    npm = shutil.which("npm")
    if npm is None:
        raise BenchmarkError(f"npm is not on PATH, which the cdktf CLI needs: install Node.js 20 or later, {LEAVE_OUT}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    try:
        done = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", f"cdktf-cli@{VERSION}"],
            cwd=folder,
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"npm did not install cdktf-cli {VERSION} in {_TIMEOUT_S} s, {LEAVE_OUT}") from None
    if done.returncode != 0 or not program.exists():
        lines = done.stderr.splitlines()
        said = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "nothing")
        raise BenchmarkError(f"npm could not install cdktf-cli {VERSION}, {LEAVE_OUT}; npm said: {said[:300]}")
    return program
