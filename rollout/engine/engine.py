"""What commands ask the engine for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rollout.drift import drift
from rollout.engine.deploy import deploy
from rollout.engine.destroy import destroy
from rollout.engine.run import Run, Steps
from rollout.engine.saved import apply_saved
from rollout.interrupts import StoppedCommand
from rollout.plans import diff as diffs
from rollout.plans.saved import PlanFolder
from rollout.progress import Progress
from rollout.project import Project
from rollout.report import RunReport
from rollout.target import one_line
from shared.contracts import StackId
from shared.errors import UsageError


class Engine:
    """Runs stacks of one project.

    Parameters
    ----------
    project
        What to work on.
    progress
        Who is told.
    parallel
        How many stacks run at once.
    """

    def __init__(self, project: Project, progress: Progress, *, parallel: int, steps: Steps | None = None) -> None:
        self._project = project
        self._progress = progress
        self._parallel = parallel
        self._steps = steps or Steps()

    def deploy(
        self, stacks: Sequence[StackId], *, command: str = "deploy", retire: bool = False, every: bool = False
    ) -> RunReport:
        """Bring these stacks to what is configured; see :func:`rollout.engine.deploy.deploy`."""
        with self._reported(command) as run:
            deploy(run, stacks, retire=retire, every=every)
        return run.report

    def destroy(
        self,
        stacks: Sequence[StackId],
        *,
        with_dependents: bool = False,
        confirm: Callable[[Sequence[StackId]], None] = lambda doomed: None,
    ) -> RunReport:
        """Destroy these stacks; see :func:`rollout.engine.destroy.destroy`."""
        with self._reported("destroy") as run:
            destroy(run, stacks, with_dependents=with_dependents, confirm=confirm)
        return run.report

    def diff(self, stacks: Sequence[StackId], *, details: bool = False, save: PlanFolder | None = None) -> RunReport:
        """Plan these stacks; see :func:`rollout.plans.diff.diff`."""
        with self._reported("diff") as run:
            diffs.diff(run, stacks, details=details, save=save)
        return run.report

    def drift(self, stacks: Sequence[StackId]) -> RunReport:
        """Look for what somebody changed in these stacks; see :func:`rollout.drift.drift`."""
        with self._reported("drift") as run:
            drift(run, stacks)
        return run.report

    def apply_saved(self, folder: PlanFolder) -> RunReport:
        """Apply saved plans; see :func:`rollout.engine.saved.apply_saved`."""
        with self._reported("deploy") as run:
            apply_saved(run, folder)
        return run.report

    def synth(self, stacks: Sequence[StackId]) -> Path:
        """Write the Terraform JSON of these stacks; returns the folder."""
        with self._run("synth") as run:
            run.synthesize(stacks)
        return self._project.workspace.synth / "stacks"

    @contextmanager
    def _reported(self, command: str) -> Iterator[Run]:
        """A run that leaves a report also where it fails or is stopped before it comes to its end. Who asked for a run
        that comes to its end writes the report, with what else is to go into it."""
        run = self._run(command)
        try:
            with run:
                yield run
        except UsageError:
            # Nothing was touched: that was no run.
            raise
        except (Exception, StoppedCommand) as error:
            run.report.interrupted |= isinstance(error, StoppedCommand)
            run.report.error.append("interrupted" if run.report.interrupted else one_line(error))
            # What went wrong first is what has to be told.
            with suppress(OSError):
                path = run.report.write(self._project.workspace.reports)
                run.say(f"report: {self._project.workspace.shown(path)}")
            raise

    def _run(self, command: str) -> Run:
        return Run(command, self._project, self._progress, parallel=self._parallel, steps=self._steps)
