"""Carries out what a command asks for: prepare, run Terraform over the graph, say what came of it.

The order of a run: sandbox, what is deployed now, functions, synthesis, provider, state buckets, then every stack in
the order of the graph. Refusals come before anything of the environment is touched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rollout import plugins, retirement, selection
from rollout.children import Children, InterruptedRunError
from rollout.interrupts import Interrupts
from rollout.plugins import Plugins
from rollout.progress import Line, Progress
from rollout.project import Project
from rollout.report import RunReport, StackResult, python_version
from rollout.schedule import Status, run
from rollout.state import StateError
from rollout.synthesis import build_functions, synthesize
from rollout.terraform import (
    Changes,
    StackTerraform,
    TerraformError,
    Transcript,
    aws_provider_version,
    terraform_settings,
)
from rollout.toolchain import Tool, check_version, find_tool
from shared.contracts import Graph, StackId
from shared.errors import TripointError


@dataclass(frozen=True)
class Steps:
    """The parts of a run that don't touch the environment; tests put their own here."""

    find_tool: Callable[[], Tool] = find_tool
    build_functions: Callable[[Project], int] = lambda project: build_functions(project.workspace)
    synthesize: Callable[[Project, Sequence[StackId]], None] = lambda project, stacks: synthesize(
        project.workspace, project.config, stacks
    )


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
        self._children = Children()
        self._interrupts = Interrupts()
        self._interrupts_told = 0
        self._lines: dict[StackId, Line] = {}
        self._results: dict[StackId, StackResult] = {}
        self._plugins: Plugins | None = None
        self._tool: Tool | None = None

    # -- what commands ask for --------------------------------------------------------------------

    def deploy(self, stacks: Sequence[StackId], *, command: str = "deploy", retire: bool = False) -> RunReport:
        """Bring these stacks to what is configured.

        Parameters
        ----------
        retire
            With all stacks: destroy those that are deployed and no longer configured.

        Raises
        ------
        UpstreamMissingError
            When a stack's producers are neither deployed nor among them.
        StrayStacksError
            When stacks are deployed that the configuration no longer has, and may not be retired.
        """
        with self._run(command) as report:
            self._reach(report)
            with self._phase(report, "state"):
                deployed = self._project.deployed()
                outputs = {stack: state.outputs for stack, state in deployed.items()}
                strays = self._strays(stacks)
            graph = self._project.graph
            selection.check_upstream(graph, stacks, outputs, self._promised)
            if strays and not retire:
                raise selection.StrayStacksError(strays)
            first = selection.withdrawals(graph, stacks, outputs, self._promised)
            self._prepare(report, stacks)
            self._destroy_strays(report, strays)
            if first and report.ok:
                self._progress.say(f"first what others let go of: {', '.join(map(str, first))}")
                backwards = selection.restrict(graph, first).reversed()
                self._execute(report, backwards, self._deploy_one)
            if report.ok:
                self._execute(report, selection.restrict(graph, stacks), self._deploy_one)
            self._write_outputs(report)
        return report

    def destroy(
        self,
        stacks: Sequence[StackId],
        *,
        with_dependents: bool = False,
        confirm: Callable[[Sequence[StackId]], None] = lambda doomed: None,
    ) -> RunReport:
        """Destroy these stacks, consumers before producers.

        Destroying all stacks of a non-production environment removes the state buckets too, so nothing remains.

        Parameters
        ----------
        with_dependents
            Take the deployed stacks along that depend on these.
        confirm
            Told what is about to go; raises to refuse.

        Raises
        ------
        DependentsDeployedError
            When deployed stacks depend on these and may not be taken along.
        """
        graph = self._project.graph
        with self._run("destroy") as report:
            if not self._project.reachable:
                self._progress.say("the sandbox is not running: nothing is deployed")
                self._write_outputs(report)
                return report
            self._reach(report)
            with self._phase(report, "state"):
                deployed = self._project.deployed()
                strays = self._strays(stacks)
            doomed = selection.to_destroy(graph, stacks, deployed, with_dependents=with_dependents)
            if doomed or strays:
                confirm([*doomed, *strays])
                self._prepare(report, [*doomed, *(self._model(s) for s in strays)], make_buckets=False)
                self._destroy_strays(report, strays)
            if doomed and report.ok:
                self._execute(report, selection.restrict(graph, doomed).reversed(), self._destroy_one)
            elif not strays:
                self._progress.say("nothing to destroy: none of these stacks is deployed")
            if report.ok and set(stacks) == set(graph.order) and not self._project.environment.protection.production:
                with self._phase(report, "state"):
                    gone = self._project.store.remove_buckets()
                if gone:
                    self._progress.say(f"state buckets removed: {', '.join(gone)}")
            self._write_outputs(report)
        return report

    def diff(self, stacks: Sequence[StackId], *, details: bool = False) -> RunReport:
        """Plan these stacks. Those whose upstream isn't deployed can't be planned, and say so."""
        with self._run("diff") as report:
            self._reach(report)
            with self._phase(report, "state"):
                deployed = self._project.deployed()
            graph = self._project.graph
            possible = [stack for stack in stacks if all(need in deployed for need in graph.needs[stack])]
            self._prepare(report, possible, make_buckets=self._project.environment.is_sandbox)
            independent = Graph(dict.fromkeys(possible, ()))
            strays = self._strays(stacks)
            for stray in strays:
                self._progress.say(f"note: {stray} is deployed and no longer configured; tripoint rollout --retire")
                result = self._result(stray)
                result.status, result.note = Status.PLANNED, "no longer configured: to be destroyed"
            self._execute(report, independent, lambda stack: self._plan_one(stack, details=details))
            for stack in stacks:
                if stack not in possible:
                    missing = [str(need) for need in graph.needs[stack] if need not in deployed]
                    result = self._result(stack)
                    result.status, result.note = Status.WAITING, f"needs {', '.join(missing)} first"
            report.stacks = [self._results[stack] for stack in [*strays, *stacks]]
        return report

    def synth(self, stacks: Sequence[StackId]) -> Path:
        """Write the Terraform JSON of these stacks; returns the folder."""
        report = self._report("synth")
        self._synthesize(report, stacks)
        return self._project.workspace.synth / "stacks"

    def _promised(self, stack: StackId) -> Collection[str]:
        return self._project.spec(stack).outputs(self._project.environment.capabilities)

    # -- phases -----------------------------------------------------------------------------------

    def _reach(self, report: RunReport) -> None:
        """Have the sandbox running, or make sure that the account is the configured one."""
        project = self._project
        if project.environment.is_sandbox:
            with self._phase(report, "sandbox"):
                project.start_sandbox()
            self._progress.say(f"sandbox answers at {project.environment.target.endpoint}")
            return
        with self._phase(report, "account"):
            project.target.verify_account()
        self._progress.say(f"AWS account {project.environment.target.account_id}")

    def _prepare(self, report: RunReport, stacks: Sequence[StackId], *, make_buckets: bool = True) -> None:
        project = self._project
        self._tool = self._steps.find_tool()
        self._synthesize(report, stacks)
        for stack in stacks:
            required = terraform_settings(project.workspace.stack(stack)).get("required_version")
            if required:
                check_version(self._tool, str(required), str(stack))
        with self._phase(report, "provider"):
            wanted = aws_provider_version([project.workspace.stack(stack) for stack in stacks])
            self._plugins = plugins.prepare(project.workspace, self._tool, wanted)
        provider = f"AWS provider {wanted} from {self._plugins.source}" if wanted else "no provider needed"
        self._progress.say(f"{self._tool}, {provider}")
        report.versions |= {"terraform": str(self._tool), "provider": provider, "python": python_version()}
        with self._phase(report, "state"):
            if make_buckets:
                made = project.store.create_buckets()
                what = f"made: {', '.join(made)}" if made else "are there"
                self._progress.say(f"state buckets {what}")
            for lock in project.store.locks(stacks):
                self._progress.say(f"note: {lock}; waiting for it; {lock.remedy}")

    def _synthesize(self, report: RunReport, stacks: Sequence[StackId]) -> None:
        with self._phase(report, "functions"):
            count = self._steps.build_functions(self._project)
        self._progress.say(f"{count} functions built in {report.phases['functions']:.1f} s")
        if not stacks:
            return
        with self._phase(report, "synth"):
            self._steps.synthesize(self._project, stacks)
        self._progress.say(f"{_stacks(len(stacks))} synthesized in {report.phases['synth']:.1f} s")

    def _execute(self, report: RunReport, graph: Graph, work: Callable[[StackId], Status]) -> None:
        for stack in graph.order:
            self._lines[stack] = Line(stack)
            self._result(stack)
        with self._phase(report, "stacks"), self._interrupts.caught():
            self._progress.begin(graph.order)
            try:
                run(
                    graph,
                    lambda stack: self._guarded(stack, work),
                    parallel=self._parallel,
                    changed=self._changed,
                    stopping=self._stopping,
                )
            finally:
                self._progress.end()
        report.interrupted = self._children.interrupted
        strays = [stack for stack in self._results if stack not in self._project.graph.needs]
        order = [*strays, *self._project.graph.order]
        report.stacks = [self._results[stack] for stack in order if stack in self._results]

    def _strays(self, stacks: Collection[StackId]) -> list[StackId]:
        """Deployed stacks that the configuration no longer has. They are the business of whole environments only."""
        known = self._project.graph.order
        return list(self._project.store.strays(known)) if set(stacks) == set(known) else []

    def _model(self, stray: StackId) -> StackId:
        """A stack whose backend and provider are those of a stray one."""
        return next(stack for stack in self._project.graph.order if stack.region == stray.region)

    def _destroy_strays(self, report: RunReport, strays: list[StackId]) -> None:
        if not strays:
            return
        names = ", ".join(map(str, strays))
        self._progress.say(f"no longer configured, and destroyed: {names}")
        environment, workspace = self._project.environment, self._project.workspace
        for stray in strays:
            retirement.write_folder(workspace, stray, self._model(stray))
        self._execute(
            report, retirement.order(strays, list(environment.regions), environment.primary), self._destroy_one
        )

    def _write_outputs(self, report: RunReport) -> None:
        with self._phase(report, "outputs"):
            flat = self._project.write_outputs()
        shown = self._project.workspace.shown(self._project.workspace.outputs)
        self._progress.say(f"{len(flat)} outputs written to {shown}")

    # -- one stack --------------------------------------------------------------------------------

    def _deploy_one(self, stack: StackId) -> Status:
        terraform = self._terraform(stack)
        with self._timed(stack, "init"):
            terraform.init()
        with self._timed(stack, "apply"):
            changes = terraform.apply(self._listener(stack))
        result = self._result(stack)
        # A stack that others let go of first is applied twice.
        result.changes += changes
        return Status.UNCHANGED if result.changes.none else Status.APPLIED

    def _destroy_one(self, stack: StackId) -> Status:
        terraform = self._terraform(stack)
        with self._timed(stack, "init"):
            terraform.init()
        with self._timed(stack, "destroy"):
            self._result(stack).changes = terraform.destroy(self._listener(stack))
        return Status.DESTROYED

    def _plan_one(self, stack: StackId, *, details: bool) -> Status:
        terraform = self._terraform(stack)
        with self._timed(stack, "init"):
            terraform.init()
        saved = self._project.workspace.data(stack) / "diff.tfplan" if details else None
        with self._timed(stack, "plan"):
            changes = terraform.plan(self._listener(stack), out=saved)
        result = self._result(stack)
        result.changes = changes
        if saved is not None:
            result.plan_text = "" if changes.none else terraform.show(saved)
            saved.unlink(missing_ok=True)
        return Status.UNCHANGED if changes.none else Status.PLANNED

    def _guarded(self, stack: StackId, work: Callable[[StackId], Status]) -> Status:
        """Turn a failure of one stack into its status: the others go on."""
        begin = time.monotonic()
        result = self._result(stack)
        try:
            result.status = work(stack)
        except InterruptedRunError:
            result.status = Status.INTERRUPTED
        except TerraformError as error:
            result.status = Status.INTERRUPTED if self._children.interrupted else Status.FAILED
            result.error = self._explain(stack, error)
        except TripointError as error:
            result.status = Status.FAILED
            result.error = [str(error)]
        with suppress(StateError):
            state = self._project.store.read(stack)
            result.resources = state.resources if state else 0
        result.seconds = time.monotonic() - begin
        return result.status

    def _explain(self, stack: StackId, error: TerraformError) -> list[str]:
        held = None
        if error.locked:
            with suppress(StateError):
                held = self._project.store.lock(stack)
        if held is None:
            return error.lines or [str(error)]
        # Of Terraform's own refusal nothing is left to say; a kill is still worth telling.
        kill = [line for line in error.lines[:1] if "killed" in line]
        return [*kill, str(held), held.remedy]

    def _terraform(self, stack: StackId) -> StackTerraform:
        assert self._tool is not None
        assert self._plugins is not None
        workspace, target = self._project.workspace, self._project.target
        return StackTerraform(
            tool=self._tool,
            children=self._children,
            directory=workspace.stack(stack),
            data=workspace.data(stack),
            log=workspace.log(stack),
            environment={**target.child_environment(), "TF_CLI_CONFIG_FILE": str(self._plugins.cli_config)},
            plugins=self._plugins.fingerprint,
            trust_provider=self._project.environment.is_sandbox,
        )

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

    @contextmanager
    def _timed(self, stack: StackId, phase: str) -> Iterator[None]:
        line = self._lines[stack]
        line.phase = phase
        self._progress.update(line)
        begin = time.monotonic()
        try:
            yield
        finally:
            self._results[stack].phases[phase] = time.monotonic() - begin

    def _listener(self, stack: StackId) -> Callable[[Transcript], None]:
        line = self._lines[stack]

        def listen(transcript: Transcript) -> None:
            line.planned, line.done, line.current = transcript.planned, transcript.done, transcript.current

        return listen

    def _stopping(self) -> bool:
        if self._interrupts.count > self._interrupts_told:
            self._interrupts_told = self._interrupts.count
            if not self._children.interrupted:
                running = self._children.interrupt()
                self._progress.say(f"interrupted: {running} running Terraform finish what they do, nothing new starts")
            else:
                self._progress.say("still waiting for Terraform to finish; killing it would leave locks behind")
        return self._children.interrupted

    def _result(self, stack: StackId) -> StackResult:
        return self._results.setdefault(stack, StackResult(stack, self._project.workspace.log(stack)))

    # -- the report -------------------------------------------------------------------------------

    def _report(self, command: str) -> RunReport:
        project = self._project
        target = project.environment.target
        return RunReport(
            command=command,
            environment=project.environment.environment,
            suffix=project.environment.suffix,
            config=project.workspace.shown(project.config),
            target={"account_id": target.account_id, **({"endpoint": target.endpoint} if target.endpoint else {})},
            parallel=self._parallel,
        )

    @contextmanager
    def _run(self, command: str) -> Iterator[RunReport]:
        report = self._report(command)
        begin = time.monotonic()
        try:
            yield report
        finally:
            report.seconds = time.monotonic() - begin

    @contextmanager
    def _phase(self, report: RunReport, name: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            report.phases[name] = report.phases.get(name, 0.0) + time.monotonic() - begin


def _note(result: StackResult) -> str:
    match result.status:
        case Status.APPLIED | Status.DESTROYED:
            return _done(result.changes)
        case Status.PLANNED:
            return f"{result.changes.add} to add, {result.changes.change} to change, {result.changes.remove} to destroy"
        case Status.FAILED | Status.INTERRUPTED:
            return result.error[0] if result.error else ""
        case _:
            return ""


def _done(changes: Changes) -> str:
    if changes.none or changes.add or changes.change or changes.remove:
        return str(changes)
    return f"only outputs changed: {changes.outputs}"


def _stacks(count: int) -> str:
    return f"{count} stack" if count == 1 else f"{count} stacks"
