"""What more regions cost: the synthesis, the full rollout and the rollout with nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rollout.benchmarks.measure import timed
from rollout.benchmarks.peers import run
from rollout.benchmarks.places import place
from rollout.benchmarks.results import Results, Task
from rollout.benchmarks.ways import SYNTHESIS, Ours
from rollout.workspace import project_root

PART = "growth"


def measure(results: Results, folder: Path, *, regions: Sequence[int], port: int) -> None:
    """Everything for each number of regions, each in a new sandbox."""
    results.forget(PART)
    way = Ours()
    for count in regions:
        with place(folder / f"{PART}-{count}", count, port) as here:
            known: dict[str, Any] = {"part": PART, "way": way.name, "regions": count, "stacks": len(here.stacks([]))}
            variables = here.synthesis(here.config, here.folder / "synthesis", [])
            # Once for the caches.
            for counted in (False, True):
                cost = timed(SYNTHESIS, cwd=project_root(), variables=variables, log=here.folder / "log.txt")
                if counted:
                    results.add(cost, task=Task.SYNTHESIS, **known)
            for task in (Task.ROLLOUT, Task.NOTHING):
                results.add(run(way, here, here.config, []), task=task, **known)
