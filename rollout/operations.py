"""The commands of those who run the platform: take a region out of service, have another one write, look at a region,
plan its capacity."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rollout.project import DEFAULT_CONFIG, Project
from rollout.promote import TIMEOUT_S as PROMOTION_TIMEOUT_S
from rollout.target import Target
from shared.errors import UsageError

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar="TRIPOINT_CONFIG", help=f"Configuration file; {DEFAULT_CONFIG} when left out."),
]
RegionOption = Annotated[str | None, typer.Option("--region", help="Only this region.")]
LayerArgument = Annotated[
    str | None, typer.Argument(help="A layer (data), a kind of stack (data-links) or one stack; all when left out.")
]
ParallelOption = Annotated[
    int | None, typer.Option("--parallel", min=1, max=64, help="Stacks at once; six per core at most when left out.")
]

HEALTH_TIMEOUT_S = 60.0


class Store(StrEnum):
    """A store in which one region writes."""

    RELATIONAL = "relational"


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (drain, restore, promote, dashboard, capacity):
        app.command()(command)


def drain(
    region: Annotated[str, typer.Argument(help="The region to take out of service.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept with the switch.")] = "by hand",
    force: Annotated[bool, typer.Option("--force", help="Also when no region is left in service.")] = False,
    config: ConfigOption = None,
) -> None:
    """Turn a region's /health to 503, so that DNS leaves it; payments in flight finish."""
    from rollout import drain as switches

    project = Project.open(config)
    environment, outputs = project.environment, project.read_outputs()
    result = switches.drain(environment, region, outputs, target=Target(environment), reason=reason, force=force)
    switches.await_health(environment, region, outputs, wanted="draining", timeout_s=HEALTH_TIMEOUT_S, progress=_say)
    for line in result.lines:
        _say(line)


def restore(
    region: Annotated[str, typer.Argument(help="The region to put back into service.")], config: ConfigOption = None
) -> None:
    """Put a drained region back into service."""
    from rollout import drain as switches

    project = Project.open(config)
    environment, outputs = project.environment, project.read_outputs()
    result = switches.restore(environment, region, outputs, target=Target(environment))
    switches.await_health(environment, region, outputs, wanted="ok", timeout_s=HEALTH_TIMEOUT_S, progress=_say)
    for line in result.lines:
        _say(line)


def promote(
    region: Annotated[str, typer.Argument(help="The region that is to write.")],
    store: Annotated[Store, typer.Option("--store", help="Which store.")],
    allow_data_loss: Annotated[
        bool,
        typer.Option("--allow-data-loss", help="The region that writes is down: lose what was not replicated."),
    ] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=1, help="Seconds to wait.")] = PROMOTION_TIMEOUT_S,
    config: ConfigOption = None,
) -> None:
    """Make a region's cluster the writer of a store, and wait until it is."""
    from rollout import promote as promotion

    project = Project.open(config)
    result = promotion.promote(
        project.environment,
        region,
        target=project.target,
        allow_data_loss=allow_data_loss,
        progress=_say,
        timeout_s=timeout,
    )
    for line in result.lines:
        _say(line)


def dashboard(
    render: Annotated[bool, typer.Option("--render", help="Draw the deployed dashboards as HTML.")] = False,
    region: Annotated[str | None, typer.Option("--region", help="Only this region's.")] = None,
    minutes: Annotated[int, typer.Option("--minutes", min=1, max=20_160, help="How far back.")] = 180,
    out: Annotated[Path, typer.Option("--out", help="The folder for the pages.")] = Path(".tripoint/dashboards"),
    config: ConfigOption = None,
) -> None:
    """Name the deployed dashboards, or draw them with live numbers."""
    from rollout.dashboards.render import DASHBOARD_OUTPUTS
    from rollout.dashboards.render import render as draw

    project = Project.open(config)
    outputs = project.read_outputs()
    if region is not None and region not in project.environment.regions:
        raise UsageError(f"--region {region}: allowed: {', '.join(project.environment.regions)}")
    if render:
        for page in draw(project.environment, outputs, out, region, minutes):
            _say(project.workspace.shown(page))
        return
    for home in [region] if region else list(project.environment.regions):
        for output in DASHBOARD_OUTPUTS:
            _say(f"{home}: {outputs.get(f'observability-{home}.{output}', 'not deployed')}")


def capacity(
    tps: Annotated[float, typer.Option("--tps", min=0.001, max=1_000_000, help="Payments per second, globally.")],
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Write a page instead.")] = None,
    config: ConfigOption = None,
) -> None:
    """Say which quotas and concurrency a load needs, what cannot hold it, and what it costs; and what idling costs."""
    from rollout.capacity import facts, measured, report
    from rollout.capacity.model import plan

    project = Project.open(config)
    data = facts.load()
    wanted = plan(project.environment, tps, data, measured.load())
    if markdown is not None:
        markdown.write_text(report.markdown(wanted, data), encoding="utf-8")
        _say(str(markdown))
    elif as_json:
        _say(json.dumps(report.document(wanted), indent=2))
    else:
        _say(report.render(wanted))


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
