"""Figures that docs/benchmarks.md quotes: `python -m rollout.benchmarks synthesis [--runs N]`.

Synthesizes all stacks as they come with the bindings ("stock") and as the rollout does it ("ours"), and one layer, in
turn, each in a process of its own and an empty folder; then once with empty caches. Prints medians, the ratio pair by
pair, and whether both wrote the same bytes. Stock too finds its bytecode compiled, as it does wherever Python may
write it.
"""

from __future__ import annotations

import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rollout.workspace import STACK_FILE

LAYER = "network"
STOCK, OURS, ONE_LAYER = "stock", "ours", f"ours, {LAYER} of one region"


@dataclass(frozen=True)
class Run:
    """One synthesis: wall and CPU seconds (of all its processes), and a digest of everything that it wrote."""

    wall_s: float
    cpu_s: float
    stacks: int
    digest: str


def synthesize(options: Sequence[str], variables: Mapping[str, str]) -> Run:
    """Synthesize the default configuration once, in a new process and an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **variables, "CDKTF_OUTDIR": folder}
        command = [sys.executable, *options, "-m", "stacks"]
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run(command, env=environment, check=True, capture_output=True)
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        digest = hashlib.sha256()
        for file in files:
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
        return Run(
            wall_s=wall,
            cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            stacks=sum(file.name == STACK_FILE for file in files),
            digest=digest.hexdigest(),
        )


def main(rounds: int) -> int:
    """Measure so many rounds, after one that is not counted; returns 1 when the two ways write different bytes."""
    with tempfile.TemporaryDirectory() as caches:
        warm = {"PYTHONPYCACHEPREFIX": f"{caches}/bytecode"}
        ways: dict[str, Callable[[], Run]] = {
            STOCK: lambda: synthesize([], {**warm, "TRIPOINT_STOCK_PROVIDER": "1"}),
            OURS: lambda: synthesize(["-O"], warm),
            ONE_LAYER: lambda: synthesize(["-O"], {**warm, "TRIPOINT_STACKS": f"{LAYER}-us-east-1"}),
        }
        found: dict[str, list[Run]] = {way: [] for way in ways}
        for number in range(rounds + 1):
            for way, run in ways.items():
                found[way].append(run())
            walls = ", ".join(f"{way} {runs[-1].wall_s:.1f} s" for way, runs in found.items())
            print(f"round {number}: {walls}", flush=True)
        # What a machine has that has never synthesized: no bytecode, no unpacked packages.
        unpacked = {"JSII_RUNTIME_PACKAGE_CACHE_ROOT": f"{caches}/packages"}
        first = synthesize(["-O"], {"PYTHONPYCACHEPREFIX": f"{caches}/first", **unpacked})
    same = len({run.digest for run in (*found[STOCK], *found[OURS], first)}) == 1
    print(f"{first.stacks} stacks; the same bytes: {'yes' if same else 'NO'}")
    print(f"medians of {rounds} rounds, seconds:")
    for way, runs in found.items():
        wall = statistics.median(run.wall_s for run in runs[1:])
        cpu = statistics.median(run.cpu_s for run in runs[1:])
        print(f"{way}: wall {wall:.2f}, cpu {cpu:.2f}")
    print(f"ours, nothing cached: wall {first.wall_s:.2f}, cpu {first.cpu_s:.2f} (one run)")
    pairs = list(zip(found[STOCK], found[OURS], strict=True))[1:]
    wall = statistics.median(stock.wall_s / ours.wall_s for stock, ours in pairs)
    cpu = statistics.median(stock.cpu_s / ours.cpu_s for stock, ours in pairs)
    print(f"stock / ours, pair by pair: wall {wall:.1f}, cpu {cpu:.1f}")
    return 0 if same else 1
