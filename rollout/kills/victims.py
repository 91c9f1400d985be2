"""Which process a kill is about."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from rollout.sandbox import processes

_POLL_S = 0.02


class Victim(StrEnum):
    ENGINE = "engine"
    TERRAFORM = "terraform"
    PROVIDER = "provider"


def kill(engine: int, victim: Victim, dice: random.Random, *, deadline: float) -> str | None:
    """End a process of a run with SIGKILL; waits for one of that kind.

    Parameters
    ----------
    engine
        The process id of the run.
    deadline
        Of the monotonic clock, until which to wait.

    Returns
    -------
    str or None
        Who was killed; None when the run was over before.
    """
    while time.monotonic() < deadline and processes.alive(engine):
        candidates = [engine] if victim is Victim.ENGINE else _below(engine, victim)
        if candidates:
            chosen = dice.choice(sorted(candidates))
            with suppress(ProcessLookupError):
                os.kill(chosen, signal.SIGKILL)
                return f"{victim} {chosen}"
        time.sleep(_POLL_S)
    return None


def _below(engine: int, victim: Victim) -> list[int]:
    name = "terraform-provider" if victim is Victim.PROVIDER else "terraform"
    return [pid for pid in processes.descendants(engine) if _is(_name(pid), name)]


def _is(found: str, wanted: str) -> bool:
    return found.startswith(wanted) if wanted == "terraform-provider" else found == wanted


def _name(pid: int) -> str:
    try:
        first = (Path("/proc") / str(pid) / "cmdline").read_bytes().split(b"\0")[0]
    except OSError:
        return ""
    return Path(first.decode(errors="replace")).name
