"""One command at work: prepares, runs stacks at the same time, shows and reports what came of each.

The order of a run: sandbox, what is deployed now, functions, synthesis, provider, state buckets, then every stack in
the order of the graph. Refusals come before anything of the environment is touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rollout import plugins, schedule
from rollout.children import Children, InterruptedRunError
from rollout.counted import counted
from rollout.engine.advice import advice
from rollout.interrupts import Interrupts
from rollout.plugins import Plugins
from rollout.progress import Line, Progress
from rollout.project import Project
from rollout.providers import ProviderServers
from rollout.report import RunReport, StackResult, python_version
from rollout.schedule import Status
from rollout.state import StateError
from rollout.synthesis import Synthesis, build_functions, synthesize
from rollout.target import one_line
from rollout.terraform import (
    Changes,
    Holding,
    StackTerraform,
    TerraformError,
    Transcript,
    aws_provider_version,
    terraform_settings,
)
from rollout.toolchain import Tool, check_version, find_tool
from rollout.versions import own_version
from shared.contracts import Graph, StackId
from shared.errors import TripointError


@dataclass(frozen=True)
class Steps:
    """The parts of a run that don't touch the environment; tests put their own here."""

    find_tool: Callable[[], Tool] = find_tool
    build_functions: Callable[[Project], int] = lambda project: build_functions(project.workspace)
    synthesize: Callable[[Project, Sequence[StackId]], Synthesis] = lambda project, stacks: synthesize(
        project.workspace, project.config, stacks
    )


class Run:
    """One command at work on one project, while it is entered.

    Parameters
    ----------
    command
        Its name, for the report.
    project
        What to work on.
    progress
        Who is told.
    parallel
        How many stacks run at once.
    """

    def __init__(self, command: str, project: Project, progress: Progress, *, parallel: int, steps: Steps) -> None:
        self.project = project
        self.report = _report(command, project, parallel)
        self._progress = progress
        self._parallel = parallel
        self._steps = steps
        self._children = Children()
        self._interrupts = Interrupts()
        self._interrupts_told = 0
        self._lines: dict[StackId, Line] = {}
        self._results: dict[StackId, StackResult] = {}
        self._plugins: Plugins | None = None
        self._providing = threading.Lock()
        self._servers = ProviderServers(None, "")
        self._tool: Tool | None = None
        self._begin = time.monotonic()

    def __enter__(self) -> Self:
        self.project.workspace.make()
        self._begin = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.report.seconds = time.monotonic() - self._begin

    # -- what is asked about the project ----------------------------------------------------------

    def promised(self, stack: StackId) -> Collection[str]:
        """The outputs that a stack's contracts promise."""
        return self.project.spec(stack).outputs(self.project.environment.capabilities)

    def is_everything(self, stacks: Collection[StackId]) -> bool:
        """Whether these are all the stacks of the environment: some things are the business of whole ones only."""
        return set(stacks) == set(self.project.graph.order)

    def strays(self, stacks: Collection[StackId]) -> list[StackId]:
        """Deployed stacks that the configuration no longer has; none where only some stacks are worked on."""
        return list(self.project.store.strays(self.project.graph.order)) if self.is_everything(stacks) else []

    def model(self, stray: StackId) -> StackId:
        """A stack whose backend and provider are those of a stray one."""
        return next(stack for stack in self.project.graph.order if stack.region == stray.region)

    @property
    def tools(self) -> dict[str, str]:
        """The versions that a result depends on; the provider's is in the synthesized JSON."""
        return {self.tool.name: self.tool.version, "tripoint": own_version()}

    # -- phases -----------------------------------------------------------------------------------

    def reach(self) -> None:
        """Have the sandbox running, or make sure that the account is the configured one."""
        project = self.project
        if project.environment.is_sandbox:
            if project.sandbox.died:
                self.say("the sandbox had ended without being stopped: what was deployed is gone, it starts empty")
            with self.phase("sandbox"):
                project.start_sandbox()
            self.say(f"sandbox answers at {project.environment.target.endpoint}")
            return
        with self.phase("account"):
            project.target.verify_account()
        self.say(f"AWS account {project.environment.target.account_id}")

    def prepare(self, stacks: Sequence[StackId], *, make_buckets: bool = True, provider: bool = True) -> None:
        """Synthesize these stacks and have all that Terraform needs to run on them.

        Without ``provider`` that waits for :meth:`provide`, or for the first Terraform that is asked for.
        """
        project = self.project
        self._tool = self._steps.find_tool()
        self.synthesize(stacks)
        for stack in stacks:
            required = terraform_settings(project.workspace.stack(stack)).get("required_version")
            if required:
                check_version(self._tool, str(required), str(stack))
        self.report.versions |= {"terraform": str(self._tool), "provider": "not needed", "python": python_version()}
        if make_buckets:
            with self.phase("state"):
                made = project.store.create_buckets({stack.region for stack in stacks})
            what = f"made: {', '.join(made)}" if made else "are there"
            self.say(f"state buckets {what}")
        if provider:
            self.provide(stacks)

    def provide(self, stacks: Sequence[StackId]) -> None:
        """Have the provider that these stacks ask for where Terraform finds it. Later calls do nothing."""
        with self._providing:
            if self._plugins is not None:
                return
            workspace = self.project.workspace
            with self.phase("provider"):
                wanted = aws_provider_version([workspace.stack(stack) for stack in stacks])
                self._plugins = plugins.prepare(workspace, self.tool, wanted)
            # Nobody checks a server against the lock file: in an account, Terraform starts the provider and checks it.
            executable = self._plugins.executable if self.project.environment.is_sandbox else None
            self._servers = ProviderServers(executable, self.tool.registry)
            provider = f"AWS provider {wanted} from {self._plugins.source}" if wanted else "no provider needed"
            self.say(f"{self._tool}, {provider}")
            self.report.versions["provider"] = provider

    def synthesize(self, stacks: Sequence[StackId]) -> None:
        """Build the functions and write the Terraform JSON of these stacks."""
        phases = self.report.phases
        with self.phase("functions"):
            count = self._steps.build_functions(self.project)
        self.say(f"{counted(count, 'function')} built in {phases['functions']:.1f} s")
        if not stacks:
            return
        with self.phase("synth"):
            done = self._steps.synthesize(self.project, stacks)
        self.say(done.told(phases["synth"]))

    def execute(self, graph: Graph, work: Callable[[StackId], Status]) -> None:
        """Do the work of every stack of a graph, as much at once as allowed. A failure of one stack becomes its
        result; see :mod:`rollout.schedule`."""
        for stack in graph.order:
            self._lines[stack] = Line(stack)
            self.result(stack)
        with self.phase("stacks"), self._interrupts.caught():
            self._progress.begin(graph.order)
            try:
                schedule.run(
                    graph,
                    lambda stack: self._guarded(stack, work),
                    parallel=self._parallel,
                    changed=self._changed,
                    stopping=self._stopping,
                )
            finally:
                self._progress.end()
                self.report.interrupted = self._children.interrupted
                strays = [stack for stack in self._results if stack not in self.project.graph.needs]
                order = [*strays, *self.project.graph.order]
                self.report.stacks = [self._results[stack] for stack in order if stack in self._results]

    def write_outputs(self) -> None:
        """Write the flat outputs of all that is deployed. Where that fails, the run has failed, and all the same there
        is more to be told of it."""
        shown = self.project.workspace.shown(self.project.workspace.outputs)
        try:
            with self.phase("outputs"):
                flat, unread = self.project.write_outputs()
                self.report.outputs = flat
        except (TripointError, OSError) as error:
            self.report.error.append(f"{shown} could not be written: {one_line(error)}")
            return
        self.say(f"{counted(len(flat), 'output')} written to {shown}")
        for stack, why in unread.items():
            if stack in self._results:
                self.report.error.append(str(why))
            else:
                self.say(f"{why}; its outputs are as they were")

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time in here as this phase of the run."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.report.phases[name] = self.report.phases.get(name, 0.0) + time.monotonic() - begin

    def say(self, text: str) -> None:
        self._progress.say(text)

    def interrupted(self) -> bool:
        """Whether nothing more may start."""
        return self._children.interrupted

    # -- one stack --------------------------------------------------------------------------------

    @property
    def tool(self) -> Tool:
        """Which Terraform runs; the run must be prepared."""
        assert self._tool is not None
        return self._tool

    def terraform(
        self, stack: StackId, *, folder: Path | None = None, data: Path | None = None, holding: Holding | None = None
    ) -> StackTerraform:
        """Terraform on a stack, or in a folder of its own on a copy of it; the run must be prepared. With ``holding``,
        the lock on the state is already held."""
        self.provide([stack])
        assert self._plugins is not None
        workspace, target = self.project.workspace, self.project.target
        directory = folder or workspace.stack(stack)
        environment = {**target.child_environment(), "TF_CLI_CONFIG_FILE": str(self._plugins.cli_config)}
        return StackTerraform(
            tool=self.tool,
            children=self._children,
            directory=directory,
            data=data or workspace.data(stack),
            log=workspace.log(stack),
            environment=environment,
            plugins=self._plugins.fingerprint,
            trust_provider=self.project.environment.is_sandbox,
            holding=holding,
            server=self._servers.of(str(stack), directory, environment),
        )

    def result(self, stack: StackId) -> StackResult:
        """What is known of a stack so far; grows."""
        return self._results.setdefault(stack, StackResult(stack, self.project.workspace.log(stack)))

    @contextmanager
    def timed(self, stack: StackId, phase: str) -> Iterator[None]:
        """Show and time a phase of a stack."""
        line = self._lines[stack]
        line.phase = phase
        self._progress.update(line)
        begin = time.monotonic()
        try:
            yield
        finally:
            end, result = time.monotonic(), self._results[stack]
            result.phases[phase] = end - begin
            result.spans.append((phase, begin - self._begin, end - self._begin))

    def listener(self, stack: StackId) -> Callable[[Transcript], None]:
        """Shows what Terraform says of a stack."""
        line = self._lines[stack]

        def listen(transcript: Transcript) -> None:
            line.planned, line.done, line.current = transcript.planned, transcript.done, transcript.current

        return listen

    def _guarded(self, stack: StackId, work: Callable[[StackId], Status]) -> Status:
        """Turn a failure of one stack into its status: the others go on."""
        begin = time.monotonic()
        result = self.result(stack)
        try:
            result.status = work(stack)
        except InterruptedRunError:
            result.status = Status.INTERRUPTED
        except TerraformError as error:
            result.status = Status.INTERRUPTED if self._children.interrupted else Status.FAILED
            result.error = self._explain(stack, error)
        except TripointError as error:
            result.status = Status.FAILED
            result.error = list(getattr(error, "lines", ())) or [str(error)]
        finally:
            self._servers.stop(str(stack))
        with suppress(StateError):
            state = self.project.store.read(stack)
            result.resources = state.resources if state else 0
        # A stack that others let go of first comes twice.
        result.seconds += time.monotonic() - begin
        return result.status

    def _explain(self, stack: StackId, error: TerraformError) -> list[str]:
        held = None
        if error.locked:
            with suppress(StateError):
                held = self.project.store.lock(stack)
        if held is None:
            return [*(error.lines or [str(error)]), *advice(error)]
        # Of Terraform's own refusal nothing is left to say; a kill is still worth telling.
        kill = [line for line in error.lines[:1] if "killed" in line]
        return [*kill, str(held), held.remedy]

    # -- telling ----------------------------------------------------------------------------------

    def _changed(self, stack: StackId, status: Status) -> None:
        line, result = self._lines[stack], self._results[stack]
        line.status = status
        if status is Status.RUNNING:
            line.started = time.monotonic()
        else:
            result.status = status
            line.seconds, line.current = result.seconds, ""
            line.note = _note(result)
        self._progress.update(line)

    def _stopping(self) -> bool:
        if self._interrupts.count > self._interrupts_told:
            self._interrupts_told = self._interrupts.count
            if not self._children.interrupted:
                running = self._children.interrupt()
                what = f"{counted(running, 'Terraform')} may finish what was begun" if running else "no Terraform runs"
                self.say(f"interrupted: {what}, nothing new starts")
            else:
                self.say("still waiting for Terraform to finish; killing it would leave locks behind")
        return self._children.interrupted


def _report(command: str, project: Project, parallel: int) -> RunReport:
    target = project.environment.target
    return RunReport(
        command=command,
        environment=project.environment.environment,
        suffix=project.environment.suffix,
        config=project.workspace.shown(project.config),
        target={"account_id": target.account_id, **({"endpoint": target.endpoint} if target.endpoint else {})},
        parallel=parallel,
        versions={"tripoint": own_version()},
    )


def _note(result: StackResult) -> str:
    match result.status:
        case Status.APPLIED | Status.UNCHANGED | Status.DESTROYED:
            done = "" if result.status is Status.UNCHANGED else _done(result.changes)
            return "; ".join(part for part in (done, result.reason) if part)
        case Status.UP_TO_DATE:
            return result.reason
        case Status.PLANNED:
            return f"{result.changes.add} to add, {result.changes.change} to change, {result.changes.remove} to destroy"
        case Status.DRIFTED:
            return result.note
        case Status.FAILED | Status.INTERRUPTED:
            return result.error[0] if result.error else ""
        case _:
            return ""


def _done(changes: Changes) -> str:
    if changes.none or changes.add or changes.change or changes.remove:
        return str(changes)
    return f"only outputs changed: {changes.outputs}"
