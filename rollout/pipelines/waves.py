"""What a pipeline does, whoever runs it: the graph's waves, each with its commands and its gate. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.config import Environment, PipelineSettings
from shared.contracts import Graph
from shared.errors import UsageError

MATRIX_LIMITS = {"github": 256, "gitlab": 200}
"""Jobs of one matrix (GitHub Actions, "Usage limits"; GitLab CI/CD YAML reference, `parallel:matrix`)."""


# It is part of commands and of the CI's own expressions.
_PLAIN_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")


class PipelineError(UsageError):
    """There is no such pipeline for this environment."""


@dataclass(frozen=True)
class Wave:
    """Stacks that may be applied at the same time, after those of the waves before.

    Attributes
    ----------
    number
        From 1.
    stacks
        Their names, in the order of the graph.
    gated
        Whether somebody must agree before it is applied.
    """

    number: int
    stacks: tuple[str, ...]
    gated: bool


@dataclass(frozen=True)
class Pipeline:
    """The waves of one environment, what each stack needs by name, and the words of its commands."""

    environment: Environment
    config: str
    waves: tuple[Wave, ...]
    needs: Mapping[str, tuple[str, ...]]

    @property
    def settings(self) -> PipelineSettings:
        return self.environment.pipeline

    @property
    def name(self) -> str:
        """The environment, as the CI's page of deployments names it."""
        return self.settings.environment or self.environment.environment

    @property
    def plan_role(self) -> str:
        """The role that plans of pull requests assume."""
        return self.settings.plan_role_arn or self.settings.role_arn

    @property
    def reports(self) -> str:
        """Where a command leaves its report, see :mod:`rollout.reports`."""
        return f".tripoint/{self.environment.suffix}/reports"

    def plan(self, stack: str) -> str:
        """The command that shows what a deployment would change; that it changes something (3) is no failure."""
        return f".venv/bin/tripoint diff {stack} --details --config {self.config} || [ $? -eq 3 ]"

    def apply(self, stack: str) -> str:
        """The command that plans anew, and applies that."""
        return f".venv/bin/tripoint deploy {stack} --config {self.config}"


def pipeline_of(environment: Environment, graph: Graph, *, config: str, ci: str) -> Pipeline:
    """The pipeline of an environment.

    Parameters
    ----------
    config
        The configuration file, as seen from the repository's root.
    ci
        Who runs it; see MATRIX_LIMITS.

    Raises
    ------
    PipelineError
        When the environment is a sandbox, a wave has more stacks than that CI runs jobs, or there is a role for plans
        alone.
    """
    if environment.is_sandbox:
        raise PipelineError(
            f"{config}: target.kind = 'sandbox' has no pipeline: a sandbox ends with its machine; allowed: aws"
        )
    if not _PLAIN_PATH.fullmatch(config):
        raise PipelineError(f"--config {config}: is part of commands; allowed: letters, digits and . _ / -")
    if environment.pipeline.plan_role_arn and not environment.pipeline.role_arn:
        raise PipelineError(f"{config}: pipeline.plan_role_arn: only together with pipeline.role_arn")
    if ci not in MATRIX_LIMITS:
        raise PipelineError(f"{ci!r} is not allowed; allowed: {', '.join(MATRIX_LIMITS)}")
    waves = [[str(stack) for stack in wave] for wave in graph.waves()]
    for number, stacks in enumerate(waves, 1):
        if len(stacks) > MATRIX_LIMITS[ci]:
            raise PipelineError(
                f"wave {number} has {len(stacks)} stacks; {ci} runs {MATRIX_LIMITS[ci]} of a matrix at most"
            )
    needs = {str(stack): tuple(map(str, upstream)) for stack, upstream in graph.needs.items()}
    return Pipeline(environment, config, tuple(_waves(waves, environment.pipeline)), needs)


def _waves(waves: Sequence[Sequence[str]], settings: PipelineSettings) -> list[Wave]:
    gated = {"none": (), "first": (1,), "every": range(1, len(waves) + 1)}[settings.gates]
    return [Wave(number, tuple(stacks), number in gated) for number, stacks in enumerate(waves, 1)]
