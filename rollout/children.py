"""The processes that a run has started, so that an interrupt reaches each of them once."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


class InterruptedRunError(Exception):
    """The run was interrupted before this process could start."""


class Children:
    """Starts processes and remembers them while they run.

    Each is in a process group of its own: Ctrl-C in a terminal goes to every process of the foreground group, and
    Terraform takes a second interrupt as an order to drop everything. So it gets exactly one, from here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._interrupted = False

    @property
    def interrupted(self) -> bool:
        return self._interrupted

    @contextmanager
    def process(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]
    ) -> Iterator[subprocess.Popen[str]]:
        """A running process whose output, both streams, is read from its ``stdout``."""
        with self._lock:
            if self._interrupted:
                raise InterruptedRunError
            child = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                errors="replace",
                process_group=0,
            )
            self._running.add(child)
        try:
            with child:
                yield child
        finally:
            with self._lock:
                self._running.discard(child)

    def interrupt(self) -> int:
        """Ask every running process to finish what it does, and start no more. Only the first call does anything.

        Returns the number of processes that were asked.
        """
        with self._lock:
            if self._interrupted:
                return 0
            self._interrupted = True
            asked = [child for child in self._running if child.poll() is None]
            for child in asked:
                with suppress(ProcessLookupError):
                    child.send_signal(signal.SIGINT)
            return len(asked)
