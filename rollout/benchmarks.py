"""Figures that docs/benchmarks.md quotes: `python -m rollout.benchmarks [--runs N]`.

Synthesizes all stacks with the stock import of the provider bindings and with the lazy one, in turn (A B A B), each
in a process of its own, and prints medians, the ratio pair by pair, and whether both wrote the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from rollout.workspace import STACK_FILE


@dataclass(frozen=True)
class Run:
    """One synthesis: wall and CPU seconds, and a digest of everything that it wrote."""

    wall_s: float
    cpu_s: float
    stacks: int
    digest: str


def synthesize(*, stock: bool) -> Run:
    """Synthesize the default configuration once, in a new process and an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CDKTF_OUTDIR": folder, "TRIPOINT_STOCK_PROVIDER": "1" if stock else "0"}
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        subprocess.run([sys.executable, "-m", "stacks"], env=environment, check=True, capture_output=True)
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


def main() -> int:
    """The command; exit code 1 when the two ways write different bytes."""
    parser = argparse.ArgumentParser(prog="python -m rollout.benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted pairs, after one that is not")
    runs = parser.parse_args().runs
    pairs: list[tuple[Run, Run]] = []
    for number in range(runs + 1):
        pair = synthesize(stock=True), synthesize(stock=False)
        print(f"pair {number}: stock {pair[0].wall_s:.1f} s, lazy {pair[1].wall_s:.1f} s", flush=True)
        pairs.append(pair)
    same = len({run.digest for pair in pairs for run in pair}) == 1
    counted = pairs[1:]
    print(f"{counted[0][0].stacks} stacks; the same bytes: {'yes' if same else 'NO'}")
    for title, of in (("wall s", attrgetter("wall_s")), ("cpu s", attrgetter("cpu_s"))):
        stock = statistics.median(of(pair[0]) for pair in counted)
        lazy = statistics.median(of(pair[1]) for pair in counted)
        ratio = statistics.median(of(pair[0]) / of(pair[1]) for pair in counted)
        print(f"{title}: stock {stock:.2f}, lazy {lazy:.2f}, stock/lazy {ratio:.2f} (medians of {len(counted)} pairs)")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
