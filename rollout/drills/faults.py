"""Asking the sandbox for faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from rollout.project import Project
from shared.errors import TripointError, UsageError

_PATH = "/_ministack/faults"


class FaultsUnavailableError(TripointError):
    """The sandbox does not take the faults."""


class SandboxFaults:
    """The faults of an environment's sandbox.

    Parameters
    ----------
    standing
        What stays in force beside the regions that go down.

    Raises
    ------
    UsageError
        When the environment is no sandbox: nobody breaks an AWS account from here.
    """

    def __init__(self, project: Project, standing: Mapping[str, Any], *, seed: int) -> None:
        endpoint = project.environment.target.endpoint
        if not project.environment.is_sandbox or endpoint is None:
            raise UsageError(
                f"environment {project.environment.environment!r} lives in an AWS account; drills break things in a "
                "sandbox only (target.kind: allowed: sandbox)"
            )
        self._url = f"{endpoint}{_PATH}"
        self._standing = {**standing, "seed": seed}

    def begin(self, *, down: tuple[str, ...] = ()) -> None:
        """Put the standing faults into force, with these regions down."""
        self._ask("PUT", {**self._standing, "down": list(down)})

    def end(self) -> None:
        """Let everything work again."""
        self._ask("DELETE")

    def state(self) -> dict[str, Any]:
        """What is in force, how often each fault has struck, and how many writes are on their way between regions."""
        return self._ask("GET")

    def _ask(self, method: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            # Kills of a region's environments take their time on a busy machine.
            answer = httpx.request(method, self._url, json=document, timeout=60.0, trust_env=False)
        except httpx.HTTPError as error:
            raise FaultsUnavailableError(f"the sandbox at {self._url} does not answer: {error}") from error
        if answer.status_code != httpx.codes.OK:
            raise FaultsUnavailableError(f"the sandbox refuses the faults: {answer.status_code} {answer.text[:200]}")
        told: dict[str, Any] = answer.json()
        return told
