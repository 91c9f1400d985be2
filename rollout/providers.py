"""One provider server for all the Terraform processes of one stack (docs/decisions/provider-start-up.md).

Terraform starts the provider anew for every step of every command, four times in one apply. A server that outlives
them is started once: Terraform attaches to it through ``TF_REATTACH_PROVIDERS``.

A server's configuration is whoever configured it last. So one belongs to one stack for one run, it is never handed on,
and a stack with more than one provider configuration (an alias) gets none. It also is not checked against the
dependency lock file, which is why only the sandbox uses it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from rollout.toolchain import PROVIDER
from shared.errors import TripointError

VARIABLE = "TF_REATTACH_PROVIDERS"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0

_POLL_S = 0.01
# The provider writes some 10,000 lines at the finest level in one apply, which Terraform would throw away.
_LOGS = ("SDK", "SDK_PROTO", "SDK_HELPER_SCHEMA", "SDK_FRAMEWORK", "SDK_MUX", "PROVIDER", "PROVIDER_AWS")
_SETTINGS = {"GOGC": "300", **{f"TF_LOG_{name}": "OFF" for name in _LOGS}}
_ANNOUNCED = re.compile(rf"^\s*{VARIABLE}='(.+)'\s*$", re.MULTILINE)
# By its path and in isolation, because all that it needs is the standard library, and quickly.
_KEEPER = (sys.executable, "-I", "-S", str(Path(__file__).with_name("provider_keeper.py")))


class ProviderServerError(TripointError):
    """The provider could not be started as a server."""


@dataclass(frozen=True)
class Attachment:
    """What a Terraform process needs to use a server: the variables, and the descriptors that it must inherit.

    The server lives until the last process that inherited the descriptors has ended.
    """

    variables: Mapping[str, str]
    descriptors: tuple[int, ...]


NO_ATTACHMENT = Attachment({}, ())


class ProviderServer:
    """The provider as a server of one stack. Starts when it is first needed.

    Parameters
    ----------
    executable
        The provider.
    registry
        The registry host that Terraform knows it under.
    directory
        The stack's working directory: files that its configuration names are looked for in there.
    environment
        The environment variables to run with; the provider makes its AWS clients from them.
    """

    def __init__(self, executable: Path, registry: str, directory: Path, environment: Mapping[str, str]) -> None:
        self._executable = executable
        self._directory = directory
        self._address = f"{registry}/{PROVIDER}"
        self._environment = environment
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._attachment = NO_ATTACHMENT

    def attach(self) -> Attachment:
        """How to use the server, which is started now unless it runs already.

        Raises
        ------
        ProviderServerError
            When it does not start.
        """
        with self._lock:
            if self._keeper is not None and self._keeper.poll() is not None:
                self._forget()
            if self._keeper is None:
                self._start()
            return self._attachment

    def stop(self) -> None:
        """End the server and leave nothing of it. Does nothing when it has not been started."""
        with self._lock:
            keeper = self._keeper
            if keeper is None:
                return
            self._forget()
            # A Terraform that nobody has waited for still uses it? It may finish, and the server ends with it.
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(STOP_TIMEOUT_S)

    def _forget(self) -> None:
        self._keeper = None
        for descriptor in self._attachment.descriptors:
            os.close(descriptor)
        self._attachment = NO_ATTACHMENT

    def _start(self) -> None:
        # Short, because a socket's path may have 108 characters; nobody else may enter it, because whoever reaches the
        # socket may give the provider orders.
        folder = Path(tempfile.mkdtemp(prefix="tripoint-"))
        path = folder / "said"
        lease, held = os.pipe()
        try:
            # Opened for reading before it is written: the folder goes with the server.
            with path.open("wb") as output, path.open(encoding="utf-8", errors="replace") as said:
                keeper = subprocess.Popen(
                    [*_KEEPER, str(self._executable)],
                    cwd=self._directory,
                    env={**_SETTINGS, **self._environment, "TMPDIR": str(folder)},
                    stdin=lease,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Ctrl-C is for Terraform, which then needs its provider to finish.
                    process_group=0,
                )
                found = self._announced(keeper, said)
        except BaseException:
            os.close(held)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            os.close(lease)
        self._keeper = keeper
        self._attachment = Attachment({VARIABLE: json.dumps({self._address: found})}, (held,))

    def _announced(self, keeper: subprocess.Popen[bytes], said: TextIO) -> dict[str, Any]:
        """Where the server listens, in the words in which it tells Terraform."""
        deadline = time.monotonic() + START_TIMEOUT_S
        text = ""
        while True:
            ended = keeper.poll() is not None
            text += said.read()
            announced = _ANNOUNCED.search(text)
            if announced:
                [found] = json.loads(announced[1]).values()
                return dict(found)
            if ended or time.monotonic() > deadline:
                break
            time.sleep(_POLL_S)
        if not ended:
            os.killpg(keeper.pid, signal.SIGKILL)
            keeper.wait()
        last = [line.strip() for line in text.splitlines() if line.strip()][-1:] or ["it said nothing"]
        why = "ended at once" if ended else f"announced no address in {START_TIMEOUT_S:.0f} s"
        raise ProviderServerError(f"provider {self._executable} {why}: {last[0][:400]}")


class ProviderServers:
    """The servers of a run: one per stack while it is worked on, none that two stacks share.

    Parameters
    ----------
    executable
        The provider; with None there are no servers, and Terraform starts the provider itself.
    registry
        The registry host that Terraform knows it under.
    """

    def __init__(self, executable: Path | None, registry: str) -> None:
        self._executable = executable
        self._registry = registry
        self._lock = threading.Lock()
        self._servers: dict[str, dict[Path, ProviderServer]] = {}

    def of(self, stack: str, directory: Path, environment: Mapping[str, str]) -> ProviderServer | None:
        """The server of a stack that is worked on in this directory; None where it must do without."""
        if self._executable is None or not can_serve(directory):
            return None
        with self._lock:
            servers = self._servers.setdefault(stack, {})
            if directory not in servers:
                servers[directory] = ProviderServer(self._executable, self._registry, directory, environment)
            return servers[directory]

    def stop(self, stack: str) -> None:
        """End what serves a stack."""
        with self._lock:
            servers = self._servers.pop(stack, {})
        for server in servers.values():
            server.stop()


def can_serve(directory: Path) -> bool:
    """Whether a stack's only provider configuration is one of the AWS provider, without an alias."""
    configurations: list[tuple[str, Mapping[str, Any]]] = []
    for path in sorted(directory.glob("*.tf.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if "module" in content:
            return False
        for name, blocks in (content.get("provider") or {}).items():
            found: Sequence[Any] = blocks if isinstance(blocks, list) else [blocks]
            configurations += [(name, block) for block in found]
    return [(name, "alias" in block) for name, block in configurations] == [("aws", False)]
