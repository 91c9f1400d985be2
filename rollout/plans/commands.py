"""`tripoint diff` and `tripoint drift`: what a deployment would change, and what somebody else has changed."""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TextIO

import typer

from rollout import drift as drifts
from rollout.console import console, say, show
from rollout.counted import counted
from rollout.engine import Engine
from rollout.interrupts import EXIT_INTERRUPTED
from rollout.operations import ConfigOption, LayerArgument, ParallelOption, RegionOption
from rollout.plans.document import document
from rollout.plans.saved import MANIFEST, PlanFolder
from rollout.plans.table import detail_lines, loss_lines, table
from rollout.progress import progress_for
from rollout.project import Project
from rollout.report import RunReport, failure_lines, summary_sentence
from rollout.schedule import Status, default_parallelism
from shared.errors import UsageError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, and everything else on stderr.")]
JsonFileOption = Annotated[Path | None, typer.Option("--json-file", help="Write the JSON into this file.")]

VALID_HOURS = 24

EXIT_CHANGES = 3


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(diff)
    app.command()(drift)


def diff(
    layer: LayerArgument = None,
    region: RegionOption = None,
    *,
    details: Annotated[bool, typer.Option("--details", help="Show Terraform's plans.")] = False,
    as_json: JsonOption = False,
    json_file: JsonFileOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Save the plans in this new folder, for tripoint deploy --plan.")
    ] = None,
    valid_hours: Annotated[
        float | None,
        typer.Option(
            "--valid-hours",
            min=0.01,
            max=168,
            help=f"How long saved plans hold; {VALID_HOURS} when left out.",
        ),
    ] = None,
    config: ConfigOption = None,
    parallel: ParallelOption = None,
) -> None:
    """Show what a deployment would change. Exit code 0: nothing; 3: something; 1: it can't be told."""
    project = Project.open(config)
    chosen = project.select(layer, region)
    if as_json and details:
        raise UsageError("--details: not together with --json, which has no room for Terraform's own words")
    if valid_hours is not None and out is None:
        raise UsageError(f"--valid-hours {valid_hours:g}: only together with --out, which saves plans")
    _check_file(json_file)
    stream = sys.stderr if as_json else sys.stdout
    save = None if out is None else PlanFolder(out, timedelta(hours=valid_hours or VALID_HOURS))
    engine = Engine(project, progress_for(console(stream)), parallel=parallel or default_parallelism())
    report = engine.diff(chosen, details=details, save=save)
    for line in detail_lines(report):
        say(line, stream)
    show(table(report), stream)
    for loss in loss_lines(report):
        console(stream).print(loss, soft_wrap=True)
    text = json.dumps(document(report), indent=2)
    if json_file is not None:
        json_file.write_text(text + "\n", encoding="utf-8")
    _end(project, report, save, stream)
    if as_json:
        say(text)
    raise typer.Exit(_code(report))


def drift(
    layer: LayerArgument = None,
    region: RegionOption = None,
    *,
    as_json: JsonOption = False,
    json_file: JsonFileOption = None,
    config: ConfigOption = None,
    parallel: ParallelOption = None,
) -> None:
    """Name what somebody changed by hand. Exit code 0: nothing; 3: something; 1: it can't be told."""
    project = Project.open(config)
    chosen = project.select(layer, region)
    _check_file(json_file)
    stream = sys.stderr if as_json else sys.stdout
    report = Engine(project, progress_for(console(stream)), parallel=parallel or default_parallelism()).drift(chosen)
    for line in drifts.lines(report):
        say(line, stream)
    text = json.dumps(drifts.document(report, chosen), indent=2)
    if json_file is not None:
        json_file.write_text(text + "\n", encoding="utf-8")
    path = report.write(project.workspace.reports)
    for line in failure_lines(report, project.workspace.shown):
        say(line, sys.stderr)
    count = sum(len(result.drift.resources) for result in report.stacks if result.drift is not None)
    absent = len(chosen) - len(report.stacks)
    not_there = f"; not deployed: {absent}" if absent else ""
    say(
        f"drift: {counted(count, 'resource')} changed by somebody else in "
        f"{counted(len(report.stacks), 'stack')}{not_there} "
        f"(report: {project.workspace.shown(path)})",
        stream,
    )
    if as_json:
        say(text)
    if report.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    raise typer.Exit(1 if not report.ok else EXIT_CHANGES if count else 0)


def _check_file(json_file: Path | None) -> None:
    """Refuse a file that cannot be written, before an hour of work is for nothing."""
    if json_file is None:
        return
    if not json_file.resolve().parent.is_dir():
        raise UsageError(f"--json-file {json_file}: there is no such folder")
    if json_file.is_dir() or not os.access(json_file if json_file.exists() else json_file.resolve().parent, os.W_OK):
        raise UsageError(f"--json-file {json_file}: cannot be written")


def _end(project: Project, report: RunReport, save: PlanFolder | None, stream: TextIO) -> None:
    path = report.write(project.workspace.reports)
    for line in failure_lines(report, project.workspace.shown):
        say(line, sys.stderr)
    if save is not None:
        count = sum(save.plan(result.stack).exists() for result in report.stacks)
        later = sum(1 for result in report.stacks if result.diff and result.diff.refusal)
        more = f"; {later} cannot be applied from there, as the table says" if later else ""
        say(f"{counted(count, 'plan')} saved in {save.path} ({MANIFEST} says what they depend on){more}", stream)
    say(f"{summary_sentence(report)} (report: {project.workspace.shown(path)})", stream)


def _code(report: RunReport) -> int:
    if report.interrupted:
        return EXIT_INTERRUPTED
    if not report.ok:
        return 1
    return 0 if all(result.status is Status.UNCHANGED for result in report.stacks) else EXIT_CHANGES
