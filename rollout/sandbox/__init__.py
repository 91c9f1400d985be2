"""The local AWS that a rollout can target: one process, bound to the loopback address.

`manager.Sandbox` starts and stops it, `server` is the process itself, and `extensions` holds what
the emulator lacks. What the sandbox does not do as AWS does is listed in `docs/fidelity.md`.
"""

from rollout.sandbox.manager import (
    Sandbox,
    SandboxError,
    SandboxStatus,
    isolated_environment,
    sandbox_environment,
)

__all__ = [
    "Sandbox",
    "SandboxError",
    "SandboxStatus",
    "isolated_environment",
    "sandbox_environment",
]
