"""The pipeline as a GitHub Actions workflow."""

from __future__ import annotations

from typing import Any

from rollout.pipelines.waves import Pipeline

MATRIX = "${{ matrix.stack }}"
# A fork gets no identity token, and what its author wrote is nothing to run with a role of ours.
OWN_PULL_REQUEST = (
    "github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name == github.repository"
)
APPLY_OR_BRANCH = "${{ github.event_name == 'pull_request' && github.ref || 'apply' }}"


def workflow(pipeline: Pipeline) -> dict[str, Any]:
    """The workflow: a job per wave to plan on pull requests, and one per stack to apply on the main branch.

    A gate is a deployment environment: who must agree is one of its protection rules, in the repository's settings.
    """
    settings = pipeline.settings
    jobs: dict[str, Any] = {}
    for wave in pipeline.waves:
        jobs[f"plan-wave-{wave.number}"] = {
            "name": f"plan {wave.number}: {MATRIX}",
            "if": OWN_PULL_REQUEST,
            **_job(pipeline),
            "strategy": {"fail-fast": False, "matrix": {"stack": list(wave.stacks)}},
            "steps": [
                *_ready(pipeline, pipeline.plan_role),
                {"name": f"Plan {MATRIX}", "run": pipeline.plan(MATRIX)},
                _keep_report(pipeline, f"plan-{MATRIX}"),
            ],
        }
    # A job is skipped when one that it needs has failed or was skipped ("Defining prerequisite jobs"): what does not
    # need it goes on. So a stack is a job here, and no entry of a matrix, which can only be needed as a whole.
    for wave in pipeline.waves:
        for stack in wave.stacks:
            needs = [f"apply-{need}" for need in pipeline.needs[stack]]
            jobs[f"apply-{stack}"] = {
                "name": f"apply {wave.number}: {stack}",
                "if": f"github.event_name != 'pull_request' && github.ref == 'refs/heads/{settings.branch}'",
                **({"needs": needs} if needs else {}),
                **({"environment": pipeline.name} if wave.gated else {}),
                **_job(pipeline),
                "steps": [
                    *_ready(pipeline, settings.role_arn),
                    {"name": f"Apply {stack}", "run": pipeline.apply(stack)},
                    _keep_report(pipeline, f"apply-{stack}"),
                ],
            }
    return {
        "name": f"tripoint {pipeline.environment.environment}",
        "on": {
            "pull_request": {"branches": [settings.branch]},
            "push": {"branches": [settings.branch]},
            "workflow_dispatch": {},
        },
        "permissions": {"contents": "read", **({"id-token": "write"} if settings.role_arn else {})},
        # A rollout that has begun is never cancelled; plans of a pull request give way to newer ones.
        "concurrency": {
            "group": f"tripoint-{pipeline.environment.suffix}-{APPLY_OR_BRANCH}",
            "cancel-in-progress": "${{ github.event_name == 'pull_request' }}",
        },
        "jobs": jobs,
    }


def _job(pipeline: Pipeline) -> dict[str, Any]:
    return {
        "runs-on": pipeline.settings.runner,
        "timeout-minutes": pipeline.settings.timeout_minutes,
    }


def _ready(pipeline: Pipeline, role_arn: str) -> list[dict[str, Any]]:
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
    if role_arn:
        role = {"role-to-assume": role_arn, "aws-region": pipeline.environment.primary}
        steps.append({"uses": "aws-actions/configure-aws-credentials@v4", "with": role})
    return steps


def _keep_report(pipeline: Pipeline, name: str) -> dict[str, Any]:
    """Keep the report of a job that failed, too; one that was refused has none."""
    return {
        "name": "Keep the report",
        "if": "always()",
        "uses": "actions/upload-artifact@v4",
        "with": {
            "name": name,
            "path": pipeline.reports,
            # The folder's name begins with a dot.
            "include-hidden-files": True,
            "if-no-files-found": "ignore",
            "overwrite": True,
        },
    }
