"""jsii's kernel, in the one Node.js process that runs it.

jsii starts a Node.js that starts a second one, the kernel, and only passes every message and line of output on: at
3,000 messages, a tenth of a synthesis. Here the kernel is started at once, with its end of a socket as the descriptor
that it talks on (3, as its parent would have given it; a pipe of Node's is such a socket too). All else is jsii's own.
Where that does not work, be it an upgrade of jsii that says nothing or an operating system without `posix_spawn`, jsii
does as it always did.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import platform
import signal
import socket
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsii
from jsii._kernel.providers.process import ProcessProvider, _NodeProcess

HELLO_S = 20.0
_CHANNEL = 3  # lib/program.js: new SyncStdio({readFD: 3, writeFD: 3})
_OPTIONS = ("--max-old-space-size=4069", "--preserve-symlinks")  # as jsii starts it


def use_one_process() -> None:
    """Have jsii start its kernel without the process in between. Must run before the first assembly is loaded."""
    jsii.kernel.provider = DirectProvider()


class DirectProvider(ProcessProvider):
    """jsii's provider, with the kernel as a direct child."""

    @cached_property
    def _process(self) -> Any:
        try:
            return _started(DirectProcess)
        except Exception as error:
            print(f"jsii's kernel was not started directly ({error!r}); jsii starts it", file=sys.stderr)
            return _started(_NodeProcess)


def _started(kind: Any) -> Any:
    process = kind()
    process.start()
    return process


class DirectProcess(_NodeProcess):
    """The kernel's process; `_process` has the two streams that jsii's code uses."""

    _pid: int | None = None
    _process: Any

    def start(self) -> None:
        """Start Node.js and wait for its greeting; raises what goes wrong, TimeoutError included."""
        node = os.environ.get("JSII_NODE", "node")
        program = Path(self._jsii_runtime()).parents[1] / "lib" / "program.js"
        program.stat()
        ours, theirs = socket.socketpair()
        with theirs:
            # Not 3 already: dup2 of a descriptor onto itself would leave it close-on-exec.
            channel = fcntl.fcntl(theirs, fcntl.F_DUPFD_CLOEXEC, _CHANNEL + 1)
        try:
            self._pid = os.posix_spawnp(
                node,
                [node, *_OPTIONS, str(program)],
                {**os.environ, "JSII_AGENT": f"Python/{platform.python_version()}"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, channel, _CHANNEL),
                ],
            )
        finally:
            os.close(channel)
        self._socket = ours
        self._process = SimpleNamespace(stdin=ours.makefile("wb"), stdout=ours.makefile("rb"))
        ours.settimeout(HELLO_S)
        try:
            self.handshake()
        except BaseException:
            os.kill(self._pid, signal.SIGKILL)
            self._ended()
            raise
        ours.settimeout(None)
        atexit.register(self.stop)

    def stop(self) -> None:
        """Tell it to end, and wait until it has removed its folders."""
        if self._pid is None:
            return
        atexit.unregister(self.stop)
        with suppress(OSError):  # of one that has ended already
            self._process.stdin.write(b'{"exit":0}\n')
            self._process.stdin.flush()
        self._ended()

    def _ended(self) -> None:
        assert self._pid is not None
        os.waitpid(self._pid, 0)
        self._pid = None
        for part in (self._process.stdin, self._process.stdout, self._socket):
            with suppress(OSError):  # of bytes that nobody reads any more
                part.close()
        self._ctx_stack.close()
