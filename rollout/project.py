"""The composition root: everything that a command works with, made from one configuration file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from rollout import outputs
from rollout.sandbox.existing_secrets import make_up_secrets
from rollout.sandbox.manager import Sandbox, SandboxError, SandboxStatus
from rollout.selection import select
from rollout.state import DeployedStack, StateError, StateStore
from rollout.target import Target, one_line
from rollout.workspace import Workspace, project_root
from shared.config import Environment, load
from shared.contracts import Graph, StackId, StackSpec
from shared.errors import TripointError
from stacks.catalogue import graph_of, specs_of

DEFAULT_CONFIG = "config/sandbox.toml"


class SandboxUnavailableError(TripointError):
    """The sandbox doesn't start or stop; the message says what to do."""


@dataclass(frozen=True)
class Project:
    """One environment of the project and how to work on it."""

    config: Path
    environment: Environment
    specs: tuple[StackSpec, ...]
    graph: Graph
    workspace: Workspace
    target: Target
    store: StateStore

    @classmethod
    def open(cls, config: Path | None = None) -> Project:
        """Read a configuration (default: the sandbox's). Touches nothing.

        Raises
        ------
        ConfigError, ContractError
            When the configuration or the layers' contracts are refused.
        """
        root = project_root()
        path = config if config is not None else root / DEFAULT_CONFIG
        environment = load(path)
        target = Target(environment)
        return cls(
            config=path.resolve(),
            environment=environment,
            specs=specs_of(environment),
            graph=graph_of(environment),
            workspace=Workspace.of(environment.suffix, root),
            target=target,
            store=StateStore(environment, target),
        )

    def spec(self, stack: StackId) -> StackSpec:
        """What kind of stack one is."""
        return next(spec for spec in self.specs if spec.name == stack.name)

    def select(self, layer: str | None = None, region: str | None = None) -> tuple[StackId, ...]:
        """The stacks meant by a layer and a region; see :func:`rollout.selection.select`."""
        return select(self.graph, self.specs, layer, region)

    # -- the sandbox ------------------------------------------------------------------------------

    @property
    def sandbox(self) -> Sandbox:
        """The sandbox of this environment.

        Raises
        ------
        SandboxUnavailableError
            When the environment's target is not a sandbox.
        """
        endpoint = self.environment.target.endpoint
        if endpoint is None:
            raise SandboxUnavailableError(
                f"environment {self.environment.environment!r} lives in an AWS account and has no sandbox"
            )
        try:
            return Sandbox(endpoint, self.workspace.sandbox, enforce_iam=self.environment.target.enforce_iam)
        except SandboxError as error:
            raise SandboxUnavailableError(str(error)) from error

    def start_sandbox(self) -> SandboxStatus:
        """Have the sandbox running, with the secrets in it that the configuration takes for granted."""
        try:
            status = self.sandbox.up()
            make_up_secrets(self.environment, self.target)
        except SandboxError as error:
            raise SandboxUnavailableError(str(error)) from error
        except (BotoCoreError, ClientError) as error:
            raise SandboxUnavailableError(f"the sandbox takes no secrets: {one_line(error)}") from error
        return status

    def stop_sandbox(self) -> None:
        """Stop the sandbox. All that was deployed in it is gone, and so are its outputs."""
        sandbox = self.sandbox
        try:
            sandbox.down()
        except SandboxError as error:
            raise SandboxUnavailableError(str(error)) from error
        if self.workspace.outputs.exists():
            outputs.write(self.workspace.outputs, {})

    @property
    def reachable(self) -> bool:
        """Whether anything can be deployed at all: a stopped sandbox holds nothing."""
        return not self.environment.is_sandbox or self.sandbox.status().healthy

    # -- what is deployed -------------------------------------------------------------------------

    def deployed(self, stacks: Iterable[StackId] | None = None) -> dict[StackId, DeployedStack]:
        """What is deployed of the stacks (default: all), producers first."""
        if not self.reachable:
            return {}
        return self.store.deployed(self.graph.order if stacks is None else stacks)

    def ground(self, stacks: Iterable[StackId]) -> dict[StackId, DeployedStack]:
        """What is deployed of these stacks and of all that they build on, and of nothing else: another region's state
        may be out of reach."""
        wanted = set(stacks)
        below = self.graph.all_needs(wanted & set(self.graph.order))
        return self.deployed(stack for stack in self.graph.order if stack in wanted | below)

    def write_outputs(self) -> tuple[dict[str, Any], dict[StackId, StateError]]:
        """Write the flat outputs of all that is deployed now; those of a stack whose state is out of reach stay as they
        were. Returns the outputs, and why which states could not be read."""
        states, unread = self.store.within_reach(self.graph.order if self.reachable else ())
        flat = outputs.flatten(states.values())
        if unread:
            flat = dict(sorted({**outputs.of(outputs.read(self.workspace.outputs), unread), **flat}.items()))
        outputs.write(self.workspace.outputs, flat)
        return flat, unread

    def read_outputs(self) -> dict[str, Any]:
        """The flat outputs of all that is deployed now."""
        return outputs.flatten(self.deployed().values())


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
