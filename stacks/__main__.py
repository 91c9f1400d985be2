"""The CDKTF application: `python -m stacks` writes the Terraform JSON of an environment's stacks.

Configuration is read here, once. The environment variables are the only interface, because `cdktf` gives its app no
arguments:

TRIPOINT_CONFIG
    The configuration file; `config/sandbox.toml` when unset.
TRIPOINT_FUNCTIONS
    The folder with the functions' zips; `.tripoint/functions` when unset. They are built when they are not there.
TRIPOINT_STACKS
    Comma-separated stack names to synthesize (`network-eu-west-1`); all when unset.
TRIPOINT_STOCK_PROVIDER
    "1" does without everything that makes synthesis fast, to compare with.
CDKTF_OUTDIR
    Where the result goes; `cdktf.out` when unset (cdktf sets it).
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

from stacks.leave import leave

STOCK = os.environ.get("TRIPOINT_STOCK_PROVIDER") == "1"


def main() -> int:
    if not STOCK:
        _hurry()
    from shared.config import load
    from stacks.halves import in_halves, worth_halving
    from stacks.synth import Request

    out = Path(os.environ.get("CDKTF_OUTDIR", "cdktf.out"))
    only = os.environ.get("TRIPOINT_STACKS")
    requests: list[Request] = []

    def check() -> None:
        environment = load(Path(os.environ.get("TRIPOINT_CONFIG", "config/sandbox.toml")))
        functions = Path(os.environ.get("TRIPOINT_FUNCTIONS", ".tripoint/functions"))
        requests.append(Request.of(environment, functions, only.split(",") if only else None))

    if code := _said(check):
        return code
    (request,) = requests
    if STOCK or not worth_halving(request.stacks):
        return _said(lambda: request.write(request.stacks, out))
    return in_halves(request.stacks, out, lambda stacks, folder: _said(lambda: request.write(stacks, folder)))


def _said(work: Callable[[], None]) -> int:
    """Do some work; returns the exit code, after a line about what is wrong."""
    from shared.errors import TripointError

    try:
        work()
    except TripointError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _hurry() -> None:
    """What a process that lives for two seconds need not do."""
    gc.disable()
    if sys.dont_write_bytecode and sys.pycache_prefix is None:
        # To compile the bindings anew takes longer than all the rest. Who wants no bytecode beside the sources
        # (PYTHONDONTWRITEBYTECODE) has it in a folder of its own.
        base = Path(os.environ.get("TRIPOINT_HOME", ".tripoint"))
        sys.dont_write_bytecode, sys.pycache_prefix = False, str(base.resolve() / "bytecode")


if __name__ == "__main__":
    ended_with = main()
    if not STOCK:
        leave(ended_with)
    sys.exit(ended_with)
