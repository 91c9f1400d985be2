"""The same stacks in the same kind of sandbox, rolled out in several ways, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rollout.benchmarks.measure import Cost, timed
from rollout.benchmarks.places import Place, place
from rollout.benchmarks.results import Results, Task
from rollout.benchmarks.ways import Ours, Way
from rollout.workspace import project_root

PART = "peers"
# With other log retention, of which these have log groups.
CHANGED_LAYER = "compute"


def measure(
    results: Results,
    ways: Sequence[Way],
    folder: Path,
    *,
    regions: int,
    layers: Sequence[str],
    rounds: int,
    port: int,
    part: str = PART,
) -> None:
    """Every way in turn in a new sandbox: full rollout, the same again, and one layer after a change.

    Parameters
    ----------
    layers
        Only these; all when none is named.
    """
    results.forget(part)
    for number in range(rounds):
        for way in ways:
            with place(folder / f"{part}-{number}-{way.name.replace(' ', '-')}", regions, port) as here:
                known: dict[str, Any] = {"part": part, "way": way.name, "regions": regions}
                stacks = len(here.stacks(layers))
                cost = run(way, here, here.config, layers)
                results.add(cost, task=Task.ROLLOUT, stacks=stacks, **known)
                # What takes seconds is measured more than once.
                for _ in range(3 if isinstance(way, Ours) else 1):
                    cost = run(way, here, here.config, layers)
                    results.add(cost, task=Task.NOTHING, stacks=stacks, **known)
                if layers and CHANGED_LAYER not in layers:
                    continue
                cost = run(way, here, here.changed, [CHANGED_LAYER])
                results.add(cost, task=Task.LAYER, stacks=len(here.stacks([CHANGED_LAYER])), **known)


def run(way: Way, here: Place, config: Path, layers: Sequence[str]) -> Cost:
    """The cost of all the commands that it takes."""
    variables = way.variables(here, config, layers)
    # The cdktf CLI works in the folder of its project file; the others in this project's.
    cdktf = here.folder / "cdktf"
    cwd = cdktf if way.name == "cdktf CLI" and cdktf.is_dir() else project_root()
    costs = [
        timed(command, cwd=cwd, variables=variables, log=here.folder / "log.txt")
        for command in way.command(here, config, layers)
    ]
    wall = sum(cost.wall_s for cost in costs)
    return Cost(
        wall_s=round(wall, 2),
        cpu_s=round(sum(cost.cpu_s for cost in costs), 2),
        load_before=costs[0].load_before,
        load_mean=round(sum(cost.load_mean * cost.wall_s for cost in costs) / wall, 1),
    )
