"""The sandbox process: MiniStack plus this project's additions (`python -m
rollout.sandbox.server`).

Configured by the environment that `manager.Sandbox` gives it. Run by hand it needs at least
`GATEWAY_PORT`; it never listens beyond the loopback address, whatever `BIND_HOST` says.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

# The additions replace private functions of the emulator, so any other version is unknown ground.
REQUIRED_MINISTACK = "1.5.33"

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def ministack_problem() -> str | None:
    """The one line that says why this MiniStack can't be used; None when it can."""
    remedy = f"install it with: pip install ministack=={REQUIRED_MINISTACK}"
    try:
        found = version("ministack")
    except PackageNotFoundError:
        return f"the sandbox needs ministack {REQUIRED_MINISTACK}, which is not installed; {remedy}"
    if found != REQUIRED_MINISTACK:
        return f"the sandbox needs ministack {REQUIRED_MINISTACK}, found {found}; {remedy}"
    return None


def listen_on_loopback_only() -> None:
    """Refuse every bind to an address other hosts can reach.

    Some emulated services open listeners of their own (MQTT, SFTP, database proxies) on 0.0.0.0.
    They are switched off by configuration; this holds even if one is overlooked.
    """
    original = socket.socket.bind

    def bind(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _LOOPBACK:
            raise PermissionError(f"the sandbox listens on the loopback address only, not {address}")
        original(self, address)

    socket.socket.bind = bind  # type: ignore[method-assign, assignment]


def main() -> None:
    problem = ministack_problem()
    if problem:
        print(f"error: {problem}", file=sys.stderr)
        raise SystemExit(2)
    os.environ["BIND_HOST"] = "127.0.0.1"
    listen_on_loopback_only()

    from rollout.sandbox import extensions
    from rollout.sandbox.emulator import module

    app = module("app")

    # A sandbox starts empty: no start-up scripts of a container image that happens to be here.
    app._collect_scripts = lambda *_directories: []
    extensions.apply_all()
    # What it holds is much and stays: under load, looking through all of it for cycles took a seventh of its time.
    gc.freeze()
    gc.set_threshold(50_000, 50, 50)
    app.main()


if __name__ == "__main__":
    main()
