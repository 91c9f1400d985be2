"""The pipeline as a GitLab CI configuration."""

from __future__ import annotations

from typing import Any

from rollout.pipelines.waves import Pipeline

STACK = '"$STACK"'
_TOKEN = "/tmp/tripoint-aws-token"


def configuration(pipeline: Pipeline) -> dict[str, Any]:
    """The configuration: a job per wave to plan in merge requests, and one to apply on the main branch.

    A gate is a manual job that blocks those after it; who may start it says the protected environment.
    """
    settings = pipeline.settings
    found: dict[str, Any] = {
        "stages": ["plan", *(f"apply {wave.number}" for wave in pipeline.waves)],
        # A branch with an open merge request gets one pipeline, not two.
        "workflow": {
            "rules": [
                {"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'},
                {"if": f'$CI_COMMIT_BRANCH == "{settings.branch}"'},
            ]
        },
        ".tripoint": _common(pipeline),
    }
    for wave in pipeline.waves:
        matrix = {"parallel": {"matrix": [{"STACK": list(wave.stacks)}]}}
        found[f"plan wave {wave.number}"] = {
            "extends": ".tripoint",
            "stage": "plan",
            **matrix,
            "rules": [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}],
            **({"variables": {"AWS_ROLE_ARN": settings.plan_role_arn}} if settings.plan_role_arn else {}),
            "interruptible": True,
            "script": [pipeline.plan(STACK)],
        }
        found[f"apply wave {wave.number}"] = {
            "extends": ".tripoint",
            "stage": f"apply {wave.number}",
            **matrix,
            **({"environment": {"name": pipeline.name}} if wave.gated else {}),
            "rules": [
                {
                    "if": f'$CI_COMMIT_BRANCH == "{settings.branch}"',
                    **({"when": "manual", "allow_failure": False} if wave.gated else {}),
                }
            ],
            # Two pipelines never work on the same stack: without that, one waits for the other's lock and fails.
            "resource_group": f"tripoint-{pipeline.environment.suffix}-$STACK",
            "interruptible": False,
            "script": [pipeline.apply(STACK)],
        }
    return found


def _common(pipeline: Pipeline) -> dict[str, Any]:
    settings = pipeline.settings
    found: dict[str, Any] = {
        "image": settings.image,
        "timeout": f"{settings.timeout_minutes} minutes",
        "before_script": ["make setup"],
        "dependencies": [],
        "artifacts": {
            "when": "always",
            "paths": [pipeline.reports],
            "reports": {"junit": f"{pipeline.reports}/[0-9]*.xml"},
            "expire_in": "30 days",
        },
    }
    if not settings.role_arn:
        return found
    return found | {
        "id_tokens": {"TRIPOINT_AWS_TOKEN": {"aud": "sts.amazonaws.com"}},
        "variables": {
            "AWS_ROLE_ARN": settings.role_arn,
            "AWS_WEB_IDENTITY_TOKEN_FILE": _TOKEN,
            "AWS_DEFAULT_REGION": pipeline.environment.primary,
        },
        "before_script": [f'(umask 077; printf %s "$TRIPOINT_AWS_TOKEN" > {_TOKEN})', "make setup"],
    }
