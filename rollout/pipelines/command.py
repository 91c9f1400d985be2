"""The command `tripoint pipeline`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rollout.operations import ConfigOption
from rollout.pipelines import github, gitlab
from rollout.pipelines.waves import PipelineError, pipeline_of
from rollout.project import Project
from rollout.workspace import project_root


class Ci(StrEnum):
    """Who runs the pipeline."""

    GITHUB = "github"
    GITLAB = "gitlab"


WRITERS = {Ci.GITHUB: github.workflow, Ci.GITLAB: gitlab.configuration}


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(pipeline)


def pipeline(
    ci: Annotated[Ci, typer.Argument(help="Who runs it.")],
    output: Annotated[Path | None, typer.Option("--output", help="The file to write; printed when left out.")] = None,
    config: ConfigOption = None,
) -> None:
    """Write a CI workflow whose jobs are the graph's waves: plan on pull requests, apply on the main branch."""
    project = Project.open(config)
    try:
        seen = project.config.relative_to(project_root()).as_posix()
    except ValueError:
        raise PipelineError(f"--config {config}: must be in the repository, so that the pipeline finds it") from None
    text = render(WRITERS[ci](pipeline_of(project.environment, project.graph, config=seen, ci=ci)), ci, seen)
    if output is None:
        print(text, end="")
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PipelineError(f"--output {output}: cannot be written: {error}") from error
    print(output)


def render(document: dict[str, Any], ci: Ci, config: str) -> str:
    """The file's text: the same for the same configuration and graph."""
    import yaml

    head = f"# Written by `tripoint pipeline {ci} --config {config}`; changes belong into [pipeline] there.\n"
    return head + str(yaml.safe_dump(document, sort_keys=False, width=120))
