"""The pipeline as a GitHub Actions workflow."""

from __future__ import annotations

from typing import Any

from rollout.pipelines.waves import Pipeline, Wave

MATRIX = "${{ matrix.stack }}"
APPLY_OR_BRANCH = "${{ github.event_name == 'pull_request' && github.ref || 'apply' }}"


def workflow(pipeline: Pipeline) -> dict[str, Any]:
    """The workflow: a job per wave to plan on pull requests, and one to apply on the main branch.

    A gate is a deployment environment: who must agree is one of its protection rules, in the repository's settings.
    """
    settings = pipeline.settings
    jobs: dict[str, Any] = {}
    for wave in pipeline.waves:
        jobs[f"plan-wave-{wave.number}"] = {
            "name": f"plan {wave.number}: {MATRIX}",
            "if": "github.event_name == 'pull_request'",
            **_job(pipeline, wave),
            "steps": [*_ready(pipeline), {"name": f"Plan {MATRIX}", "run": pipeline.plan(MATRIX)}],
        }
    for wave in pipeline.waves:
        jobs[f"apply-wave-{wave.number}"] = {
            "name": f"apply {wave.number}: {MATRIX}",
            "if": f"github.event_name != 'pull_request' && github.ref == 'refs/heads/{settings.branch}'",
            **({"needs": f"apply-wave-{wave.number - 1}"} if wave.number > 1 else {}),
            **({"environment": pipeline.name} if wave.gated else {}),
            **_job(pipeline, wave),
            "steps": [*_ready(pipeline), {"name": f"Apply {MATRIX}", "run": pipeline.apply(MATRIX)}],
        }
    return {
        "name": f"tripoint {pipeline.environment.environment}",
        "on": {
            "pull_request": {"branches": [settings.branch]},
            "push": {"branches": [settings.branch]},
            "workflow_dispatch": {},
        },
        "permissions": {"contents": "read", "id-token": "write"},
        # A rollout that has begun is never cancelled; plans of a pull request give way to newer ones.
        "concurrency": {
            "group": f"tripoint-{pipeline.environment.suffix}-{APPLY_OR_BRANCH}",
            "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
        },
        "jobs": jobs,
    }


def _job(pipeline: Pipeline, wave: Wave) -> dict[str, Any]:
    return {
        "runs-on": pipeline.settings.runner,
        "timeout-minutes": pipeline.settings.timeout_minutes,
        # One region's failure stops no other stack of the wave.
        "strategy": {"fail-fast": False, "matrix": {"stack": list(wave.stacks)}},
    }


def _ready(pipeline: Pipeline) -> list[dict[str, Any]]:
    settings = pipeline.settings
    steps: list[dict[str, Any]] = [
        {"uses": "actions/checkout@v4", "with": {"persist-credentials": False}},
        {"uses": "actions/setup-python@v5", "with": {"python-version": settings.python}},
        {
            "uses": "hashicorp/setup-terraform@v3",
            "with": {"terraform_version": settings.terraform, "terraform_wrapper": False},
        },
        {"name": "Set up", "run": "make setup"},
    ]
    if settings.role_arn:
        role = {"role-to-assume": settings.role_arn, "aws-region": pipeline.environment.primary}
        steps.append({"uses": "aws-actions/configure-aws-credentials@v4", "with": role})
    return steps
