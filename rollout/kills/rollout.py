"""The commands that the drill disturbs: `python -m rollout.kills.rollout CONFIG PARALLEL WORD [FOLDER]`.

WORD is `deploy`, `destroy`, `diff`, `save` (`diff --out FOLDER`) or `plan` (`deploy --plan FOLDER`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from rollout.engine import Engine
from rollout.kills.drill import CHANGES, chosen
from rollout.plans.saved import PlanFolder, SavedPlanError
from rollout.progress import PlainProgress
from rollout.project import Project
from rollout.report import RunReport, failure_lines
from rollout.schedule import Status
from shared.errors import TripointError


def main() -> int:
    """Run the command on the drilled layers; the exit codes are those of `tripoint`."""
    config, parallel, word, *more = sys.argv[1:]
    project = Project.open(Path(config))
    engine = Engine(project, PlainProgress(), parallel=int(parallel))
    stacks = chosen(project)
    commands: dict[str, Callable[[], RunReport]] = {
        "deploy": lambda: engine.deploy(stacks),
        # Everything, so that the state buckets go too.
        "destroy": lambda: engine.destroy(project.graph.order),
        "diff": lambda: engine.diff(stacks),
        "save": lambda: engine.diff(stacks, save=PlanFolder(Path(more[0]))),
        "plan": lambda: engine.apply_saved(PlanFolder(Path(more[0]))),
    }
    try:
        report = commands[word]()
    except SavedPlanError as error:
        print(f"error: {error}; {error.remedy}", file=sys.stderr)
        return error.exit_code
    except TripointError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    for text in failure_lines(report):
        print(text)
    if not report.ok:
        return 1
    more_to_do = report.count(Status.PLANNED) or report.count(Status.WAITING)
    return CHANGES if more_to_do else 0


if __name__ == "__main__":
    sys.exit(main())
