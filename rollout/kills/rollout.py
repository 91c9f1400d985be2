"""The command that the drill disturbs: `python -m rollout.kills.rollout CONFIG PARALLEL [diff]`."""

from __future__ import annotations

import sys
from pathlib import Path

from rollout.engine import Engine
from rollout.kills.drill import chosen
from rollout.progress import PlainProgress
from rollout.project import Project
from rollout.report import failure_lines
from rollout.schedule import Status
from shared.errors import TripointError


def main() -> int:
    """Deploy the drilled layers, or see whether there is anything to deploy; exit code 0 when so, or when not."""
    config, parallel, *words = sys.argv[1:]
    project = Project.open(Path(config))
    engine = Engine(project, PlainProgress(), parallel=int(parallel))
    try:
        if words == ["diff"]:
            planned = engine.diff(chosen(project)).stacks
            return 0 if all(result.status is Status.UNCHANGED for result in planned) else 1
        report = engine.deploy(chosen(project))
    except TripointError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for text in failure_lines(report):
        print(text)
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
