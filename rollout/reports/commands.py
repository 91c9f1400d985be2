"""`tripoint report`: where the report of a run is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from rollout.console import say
from rollout.operations import ConfigOption
from rollout.project import Project
from rollout.reports.files import KINDS, find_report
from shared.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(report)


def report(
    run: Annotated[
        str | None, typer.Argument(help="How the report's name begins, such as 20260131T10; the last when left out.")
    ] = None,
    *,
    junit: Annotated[Path | None, typer.Option("--junit", help="Copy the run's JUnit XML into this file.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Copy the run's page into this file.")] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open the page in the system's browser.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say where the report of a run is: JSON, an HTML page, JUnit XML for CI.

    The newest 100 runs are kept, and of each command the newest one.
    """
    project = Project.open(config)
    found = find_report(project.workspace.reports, run)
    for target, kind in ((junit, ".xml"), (html, ".html")):
        if target is not None:
            if not target.resolve().parent.is_dir():
                raise UsageError(f"--{'junit' if kind == '.xml' else 'html'} {target}: there is no such folder")
            shutil.copyfile(found.with_suffix(kind), target)
    for kind in KINDS:
        say(project.workspace.shown(found.with_suffix(kind)))
    if browse and typer.launch(str(found.with_suffix(".html"))) != 0:
        raise UsageError("--open: this system has no browser to open a page with")
