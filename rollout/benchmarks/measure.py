"""Runs a command and says what it took, and how busy the machine was."""

from __future__ import annotations

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.errors import TripointError

_SAMPLE_S = 2.0


class BenchmarkError(TripointError):
    """Something that is measured, or that the measurement needs, does not work."""


@dataclass(frozen=True)
class Cost:
    """What one command took.

    Attributes
    ----------
    wall_s, cpu_s
        CPU seconds are those of the command and of all the processes that it waited for; the sandbox is not among them.
    load_before, load_mean
        The load average of one minute when it started, and its mean meanwhile: both count the command itself.
    """

    wall_s: float
    cpu_s: float
    load_before: float
    load_mean: float


def timed(command: Sequence[str], *, cwd: Path, variables: Mapping[str, str], log: Path) -> Cost:
    """Run a command to its end; its output is appended to the log.

    Raises
    ------
    BenchmarkError
        When it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    loads = [os.getloadavg()[0]]
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_S):
            loads.append(os.getloadavg()[0])

    sampler = threading.Thread(target=sample, daemon=True)
    with log.open("ab") as output:
        output.write(f"=== {' '.join(command)}\n".encode())
        output.flush()
        begin = time.monotonic()
        with subprocess.Popen(
            command, cwd=cwd, env=dict(variables), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        ) as process:
            sampler.start()
            _, status, used = os.wait4(process.pid, 0)
            wall = time.monotonic() - begin
            process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        sampler.join()
    if process.returncode != 0:
        said = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise BenchmarkError(
            f"`{' '.join(command)[:200]}` ended with {process.returncode}: {said[-1][:300]} (log: {log})"
        )
    return Cost(
        wall_s=round(wall, 2),
        cpu_s=round(used.ru_utime + used.ru_stime, 2),
        load_before=round(loads[0], 1),
        load_mean=round(statistics.mean(loads), 1),
    )
