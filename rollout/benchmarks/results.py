"""What was measured, in one file that grows with every measurement, so that nothing is lost when a run is stopped."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from rollout.benchmarks.measure import Cost
from rollout.toolchain import find_tool

SCHEMA = 1


class Task(StrEnum):
    """What is measured."""

    ROLLOUT = "full rollout"
    LAYER = "single layer"
    NOTHING = "nothing to do"
    SYNTHESIS = "synthesis"


@dataclass(frozen=True)
class Figure:
    """One measurement: who did what, over how many regions and stacks, and its cost.

    ``part`` is the benchmark that it belongs to: ``peers``, ``growth`` or ``parallel``.
    """

    part: str
    way: str
    task: Task
    regions: int
    stacks: int
    cost: Cost
    at: str


@dataclass
class Results:
    """All measurements on one machine, with what ran."""

    path: Path
    machine: dict[str, str] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> Results:
        """What the file has, to be added to; nothing when there is none."""
        if not path.exists():
            return cls(path, machine())
        found = json.loads(path.read_text(encoding="utf-8"))
        figures = [
            Figure(**{**each, "task": Task(each["task"]), "cost": Cost(**each["cost"])}) for each in found["figures"]
        ]
        return cls(path, found["machine"], figures)

    def forget(self, part: str) -> None:
        """Drop the measurements of one part, which is to be measured anew."""
        self.figures = [figure for figure in self.figures if figure.part != part]

    def add(self, cost: Cost, *, part: str, way: str, task: Task, regions: int, stacks: int) -> None:
        """Add one and write it down."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        self.figures.append(Figure(part, way, task, regions, stacks, cost, at))
        content = {"schema": SCHEMA, "machine": self.machine, "figures": [asdict(figure) for figure in self.figures]}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        print(
            f"{way}, {task}, {regions} regions, {stacks} stacks: {cost.wall_s:.1f} s, {cost.cpu_s:.1f} CPU s, "
            f"load {cost.load_before} before, {cost.load_mean} meanwhile",
            flush=True,
        )

    def of(self, part: str, way: str, task: Task, regions: int | None = None) -> list[Figure]:
        return [
            figure
            for figure in self.figures
            if (figure.part, figure.way, figure.task) == (part, way, task) and regions in (None, figure.regions)
        ]


def median(figures: Sequence[Figure], what: str = "wall_s") -> float:
    """Of one field of the costs."""
    return float(statistics.median(getattr(figure.cost, what) for figure in figures))


def machine() -> dict[str, str]:
    """What this machine is, as far as it matters here."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GiB",
        "python": platform.python_version(),
        "terraform": find_tool().version,
        "date": datetime.now(UTC).date().isoformat(),
    }
