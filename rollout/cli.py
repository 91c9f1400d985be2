"""The command `tripoint`: parses, calls, prints.

Exit codes: 0 all that was asked for happened; 1 it failed; 2 the input was wrong and nothing was touched; 3 `diff`
found changes; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rollout import graphs, outputs
from rollout.contracts import command as contracts_command
from rollout.counted import counted
from rollout.drills import command as drill_command
from rollout.engine import Engine
from rollout.graph_picture import as_svg
from rollout.interrupts import EXIT_INTERRUPTED, StoppedCommand, ending
from rollout.operations import ConfigOption, LayerArgument, ParallelOption, RegionOption, register
from rollout.outlets import outlive_readers
from rollout.payments import Order, PaymentApi, act_as
from rollout.pipelines import command as pipeline_command
from rollout.plans import commands as plan_commands
from rollout.plans.saved import PlanFolder, SavedPlanError
from rollout.plugins import locate
from rollout.progress import progress_for
from rollout.project import Project, as_json
from rollout.reconcile import command as reconcile_command
from rollout.report import RunReport, failure_lines, python_version, summary_sentence, summary_table
from rollout.reports import commands as report_commands
from rollout.sandbox.manager import sandbox_environment
from rollout.schedule import Status, default_parallelism
from rollout.smoke import SmokeResult, run_smoke
from rollout.toolchain import find_tool
from rollout.versions import own_version
from rollout.workspace import STACK_FILE
from shared.contracts import StackId
from shared.errors import TripointError, UsageError
from shared.node import use_supported_node
from shared.site import Site

app = typer.Typer(
    name="tripoint",
    help="Rolls the payment platform out over its regions.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
sandbox_app = typer.Typer(help="The local AWS that is the default target.")
app.add_typer(sandbox_app, name="sandbox")


AllOption = Annotated[
    bool, typer.Option("--all", help="Plan also the stacks of which nothing has changed since their last apply.")
]


# -- changing --------------------------------------------------------------------------------------


@app.command()
def rollout(
    config: ConfigOption = None,
    parallel: ParallelOption = None,
    smoke: Annotated[bool, typer.Option("--smoke", help="Then send a payment through every region.")] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Destroy deployed stacks that the configuration no longer has.")
    ] = False,
    every: AllOption = False,
) -> None:
    """Build, synthesize and deploy all stacks in the order of the graph."""
    project = Project.open(config)
    if smoke:
        _payers(project)
    engine = _engine(project, parallel)
    report = engine.deploy(project.graph.order, command="rollout", retire=retire, every=every)
    if smoke and report.ok:
        _smoke(project, report)
    _finish(project, report, _what_next(project) if report.ok else [])


@app.command()
def deploy(
    layer: Annotated[
        str | None, typer.Argument(help="A layer (data), a kind of stack (data-links) or one stack.")
    ] = None,
    region: RegionOption = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Apply the plans that tripoint diff --out has saved here.")
    ] = None,
    *,
    every: AllOption = False,
    config: ConfigOption = None,
    parallel: ParallelOption = None,
) -> None:
    """Deploy the stacks of one layer. What it builds on must be deployed. Exit code 3: there is more to be planned."""
    if (layer is None) == (plan is None):
        raise UsageError("Missing argument 'LAYER', or --plan with a folder; not both")
    project = Project.open(config)
    if plan is not None:
        if region is not None:
            raise UsageError(f"--region {region}: not together with --plan, which says what is deployed")
        if every:
            raise UsageError("--all: not together with --plan, which says what is deployed")
        report = _engine(project, parallel).apply_saved(PlanFolder(plan))
        waiting = report.count(Status.WAITING)
        _finish(project, report, code_if_ok=plan_commands.EXIT_CHANGES if waiting else 0)
    assert layer is not None
    chosen = project.select(layer, region)
    _finish(project, _engine(project, parallel).deploy(chosen, every=every))


@app.command()
def destroy(
    layer: LayerArgument = None,
    region: RegionOption = None,
    *,
    with_dependents: Annotated[
        bool, typer.Option("--with-dependents", help="Destroy deployed stacks that depend on these too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    config: ConfigOption = None,
    parallel: ParallelOption = None,
) -> None:
    """Destroy stacks, consumers before producers; all of them and the state buckets when no layer is given."""
    project = Project.open(config)
    chosen = project.select(layer, region)

    def confirm(doomed: Sequence[StackId]) -> None:
        if not yes and not project.environment.is_sandbox:
            _ask_for_name(project.environment.environment, doomed)

    _finish(project, _engine(project, parallel).destroy(chosen, with_dependents=with_dependents, confirm=confirm))


@app.command()
def unlock(
    stack: Annotated[str, typer.Argument(help="The stack whose lock a dead run left behind.")],
    lock_id: Annotated[str, typer.Option("--id", help="The id of the lock, as the refusal showed it.")],
    config: ConfigOption = None,
) -> None:
    """Release a left-over state lock."""
    project = Project.open(config)
    [chosen] = _one(project, stack)
    held = project.store.unlock(chosen, lock_id)
    _say(f"{chosen}: lock {lock_id} of {held.who} released")


# -- looking ---------------------------------------------------------------------------------------


@app.command()
def synth(layer: LayerArgument = None, region: RegionOption = None, config: ConfigOption = None) -> None:
    """Write the Terraform JSON of the stacks."""
    project = Project.open(config)
    chosen = project.select(layer, region)
    folder = _engine(project, 1).synth(chosen)
    for stack in chosen:
        _say(project.workspace.shown(folder / str(stack) / STACK_FILE))


@app.command(name="outputs")
def show_outputs(
    stack: LayerArgument = None,
    region: RegionOption = None,
    as_json_text: Annotated[bool, typer.Option("--json", help="As the flat JSON file.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the outputs of what is deployed."""
    project = Project.open(config)
    chosen = project.select(stack, region)
    flat = outputs.flatten(project.deployed(chosen).values())
    if as_json_text:
        print(outputs.render(flat), end="")
        return
    for key, value in flat.items():
        print(f"{key} = {', '.join(value) if isinstance(value, list) else value}")


@app.command()
def status(config: ConfigOption = None) -> None:
    """Show what is deployed."""
    project = Project.open(config)
    environment = project.environment
    if environment.is_sandbox:
        found = project.sandbox.status()
        memory = f", {found.memory_mb:.0f} MB" if found.memory_mb is not None else ""
        text = f"running at {found.endpoint} (process {found.pid}{memory})" if found.running else "stopped"
        _say(f"sandbox {text}")
    else:
        project.target.verify_account()
    deployed = project.deployed()
    locks = {lock.stack: lock for lock in project.store.locks(deployed)} if deployed else {}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("stack", "owner", "state"):
        table.add_column(name, no_wrap=True)
    for name in ("resources", "serial"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("last change", no_wrap=True)
    for stack in project.graph.order:
        state = deployed.get(stack)
        owner = project.spec(stack).owner
        if state is None:
            table.add_row(str(stack), owner, Text("not deployed", "dim"), "", "", "")
            continue
        word = Text(f"locked by {locks[stack].who}" if stack in locks else "deployed")
        changed = state.changed_at.strftime("%Y-%m-%d %H:%M:%SZ")
        table.add_row(str(stack), owner, word, str(state.resources), str(state.serial), changed)
    _show(table)
    total = sum(state.resources for state in deployed.values())
    _say(f"{len(deployed)} of {counted(len(project.graph.order), 'stack')} deployed, {counted(total, 'resource')}")


@app.command()
def graph(
    dot: Annotated[bool, typer.Option("--dot", help="As Graphviz DOT.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="As an SVG picture.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the graph of stacks: what runs together, and what each needs."""
    if dot and svg:
        raise UsageError("--dot and --svg: one of them")
    project = Project.open(config)
    draw = graphs.as_dot if dot else as_svg if svg else graphs.as_text
    print(draw(project.graph).rstrip("\n"))


@app.command()
def order(
    reverse: Annotated[bool, typer.Option("--destroy", help="The order of a destroy.")] = False,
    config: ConfigOption = None,
) -> None:
    """Print the order in which stacks are deployed, one a line."""
    project = Project.open(config)
    for stack in (project.graph.reversed() if reverse else project.graph).order:
        print(stack)


@app.command()
def doctor(config: ConfigOption = None) -> None:
    """Say which Terraform, provider, Node.js and Python run."""
    project = Project.open(config)
    tool = find_tool()
    mirror, source = locate(project.workspace, tool, None)
    use_supported_node()
    target = project.environment.target
    facts = {
        "tripoint": own_version(),
        "python": python_version(),
        "terraform": str(tool),
        "aws provider": f"{mirror.version} from {source}" if mirror else f"from {source}",
        "node": os.environ.get("JSII_NODE") or "the system's",
        "target": f"sandbox at {target.endpoint}" if target.endpoint else f"AWS account {target.account_id}",
        "workspace": project.workspace.shown(project.workspace.home),
    }
    for name, value in facts.items():
        print(f"{name:<13} {value}")


@app.command(name="version")
def show_version() -> None:
    """Print the version."""
    print(f"tripoint {own_version()}")


# -- paying ----------------------------------------------------------------------------------------


@app.command()
def pay(
    *,
    region: Annotated[str, typer.Option("--region", help="Whose API to send the payment to.")],
    amount: Annotated[int, typer.Option("--amount", min=1, help="In the currency's minor unit.")] = 1299,
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217.")] = "EUR",
    token: Annotated[str, typer.Option("--token", help="The payment method.")] = "tok_visa",
    merchant: Annotated[str, typer.Option("--merchant", help="The merchant's id.")] = "m-1",
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key; a new one when left out.")] = None,
    read_from: Annotated[str | None, typer.Option("--read-from", help="Region to read the final state from.")] = None,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait for the final state.")] = 120.0,
    config: ConfigOption = None,
) -> None:
    """Send one payment through the deployed API and wait for its final state. Exit code 0 only for SETTLED."""
    project = Project.open(config)
    for name in (region, read_from):
        project.select(None, name)
    flat = project.read_outputs()
    wanted = Order(amount=amount, currency=currency, merchant_id=merchant, payment_method=token)
    with (
        PaymentApi.of(flat, region, project=project, merchant=merchant) as here,
        PaymentApi.of(flat, read_from or region, project=project, merchant=merchant) as there,
    ):
        sent = here.send(wanted, key=key, timeout_s=timeout)
        print(f"{region}: payment {sent.id} {sent.status}", flush=True)
        final = there.wait(
            sent.id,
            timeout_s=timeout,
            changed=lambda status: print(f"{read_from or region}: payment {sent.id} {status}", flush=True),
        )
    print(as_json(final.body))
    if final.status != "SETTLED":
        raise typer.Exit(1)


@app.command()
def credentials(
    merchant: Annotated[str, typer.Argument(help="The merchant's id.")],
    config: ConfigOption = None,
) -> None:
    """Print an hour's credentials of a merchant's role as shell variables: eval "$(tripoint credentials m-1)"."""
    project = Project.open(config)
    found = act_as(merchant, site=Site(project.environment, project.environment.primary), target=project.target)
    print(f"export AWS_ACCESS_KEY_ID={shlex.quote(found.access_key)}")
    print(f"export AWS_SECRET_ACCESS_KEY={shlex.quote(found.secret_key)}")
    print(f"export AWS_SESSION_TOKEN={shlex.quote(found.token)}")


@app.command()
def smoke(config: ConfigOption = None) -> None:
    """Send a payment through every region's API and read each back as SETTLED from another region."""
    project = Project.open(config)
    results = _pay_everywhere(project)
    bad = [result.region for result in results if not result.ok]
    if bad:
        raise TripointError(f"smoke: payments did not settle in: {', '.join(bad)}")
    _say(f"smoke: {counted(len(results), 'payment')} settled, each read from another region")


# -- the sandbox -----------------------------------------------------------------------------------


@sandbox_app.command("up")
def sandbox_up(config: ConfigOption = None) -> None:
    """Start the sandbox."""
    found = Project.open(config).start_sandbox()
    _say(f"sandbox running at {found.endpoint} (process {found.pid})")


@sandbox_app.command("down")
def sandbox_down(config: ConfigOption = None) -> None:
    """Stop the sandbox; everything in it is lost."""
    Project.open(config).stop_sandbox()
    _say("sandbox stopped")


@sandbox_app.command("status")
def sandbox_status(config: ConfigOption = None) -> None:
    """Say whether the sandbox runs. Exit code 0 when it does, 1 when not."""
    found = Project.open(config).sandbox.status()
    if not found.running:
        _say("sandbox stopped")
        raise typer.Exit(1)
    _say(f"sandbox {'running' if found.healthy else 'not answering'} at {found.endpoint} (process {found.pid})")
    _say(f"started  {found.started_at}")
    _say(f"memory   {found.memory_mb} MB, {found.lambda_workers} Lambda workers {found.lambda_workers_memory_mb} MB")
    _say(f"log      {found.log}")


@sandbox_app.command("env")
def sandbox_env(config: ConfigOption = None) -> None:
    """Print what a shell needs to talk to the sandbox: eval "$(tripoint sandbox env)"."""
    project = Project.open(config)
    for name, value in sandbox_environment(project.sandbox.endpoint).items():
        print(f"export {name}={value}")


# -- helpers ---------------------------------------------------------------------------------------


def _engine(project: Project, parallel: int | None) -> Engine:
    return Engine(project, progress_for(_out()), parallel=parallel or default_parallelism())


def _out() -> Console:
    # Made when needed: the stream may have been replaced since the import.
    return Console(highlight=False)


def _show(table: Table) -> None:
    """Print a table; without a terminal as wide as it needs to be, and without spaces at the ends of lines."""
    console = _out()
    if console.is_terminal:
        console.print(table)
        return
    plain = Console(highlight=False, width=250, file=io.StringIO())
    plain.print(table)
    for line in plain.file.getvalue().splitlines():  # type: ignore[attr-defined]
        print(line.rstrip())


def _say(text: str) -> None:
    print(text, flush=True)


def _one(project: Project, stack: str) -> tuple[StackId, ...]:
    chosen = project.select(stack)
    if len(chosen) != 1:
        raise UsageError(f"{stack!r} is {len(chosen)} stacks; name one: {', '.join(map(str, chosen))}")
    return chosen


def _ask_for_name(name: str, doomed: Sequence[StackId]) -> None:
    question = f"This destroys {', '.join(map(str, doomed))}. Type the environment's name to go on"
    if not sys.stdin.isatty():
        raise UsageError(f"destroying {name!r} needs --yes where nobody can be asked")
    if typer.prompt(question) != name:
        raise UsageError(f"that is not {name!r}: nothing was destroyed")


def _payers(project: Project) -> list[str]:
    merchants = list(project.environment.merchants)
    if not merchants:
        raise UsageError("smoke payments need a merchant; add [merchants.<id>] to the configuration")
    return merchants


def _pay_everywhere(project: Project) -> list[SmokeResult]:
    merchants = _payers(project)
    flat = project.read_outputs()
    return run_smoke(
        list(project.environment.regions),
        order=Order(merchant_id=merchants[0]),
        connect=lambda region: PaymentApi.of(flat, region, project=project, merchant=merchants[0]),
        say=_say,
    )


def _smoke(project: Project, report: RunReport) -> None:
    try:
        results = _pay_everywhere(project)
    except StoppedCommand:
        report.interrupted = True
        return
    except TripointError as error:
        report.error.append(f"smoke: {error}")
        return
    report.smoke = [result.as_dict() for result in results]
    report.smoke_failed = not all(result.ok for result in results)
    report.phases["smoke"] = max(result.seconds for result in results)
    report.seconds += report.phases["smoke"]


def _summary(project: Project, report: RunReport) -> None:
    path = report.write(project.workspace.reports)
    if report.stacks:
        _show(summary_table(report))
    for line in failure_lines(report, project.workspace.shown):
        print(line, file=sys.stderr)
    _say(f"{summary_sentence(report)} (report: {project.workspace.shown(path)})")


def _finish(project: Project, report: RunReport, more: Sequence[str] = (), *, code_if_ok: int = 0) -> NoReturn:
    sys.stdout.flush()
    _summary(project, report)
    for line in more:
        _say(line)
    if report.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    raise typer.Exit(code_if_ok if report.ok else 1)


def _what_next(project: Project) -> list[str]:
    first, *others = project.environment.regions
    elsewhere = f" --read-from {others[0]}" if others else ""
    return [
        "Try next:",
        f"  tripoint pay --region {first}{elsewhere}",
        "  tripoint status",
        "  tripoint outputs edge",
        "  tripoint diff",
        "  tripoint destroy",
    ]


register(app)
reconcile_command.register(app)
contracts_command.register(app)
pipeline_command.register(app)
drill_command.register(app)
plan_commands.register(app)
report_commands.register(app)


def main() -> NoReturn:
    """Run the command; expected errors are one line on stderr."""
    outlive_readers()
    try:
        with ending():
            code: Any = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except SavedPlanError as error:
        for cause in error.causes[:-1]:
            print(f"error: {cause}", file=sys.stderr)
        _fail(f"{error.causes[-1]}; {error.remedy}", error.exit_code)
    except TripointError as error:
        _fail(str(error), error.exit_code)
    except StoppedCommand:
        _fail("interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        # A full disk, a folder that was taken away: the operation failed, and the error names the file.
        _fail(str(error), 1)
    except typer.Abort:
        _fail("aborted", 1)
    except Exception as error:
        # Typer's own errors (an unknown option, a missing argument) differ in class from version to version.
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        _fail(describe(), getattr(error, "exit_code", 2))
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    with suppress(OSError):
        sys.stdout.flush()
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
