"""The processes that a run has started, so that an interrupt reaches each of them once."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

_POLL_S = 0.05


class InterruptedRunError(Exception):
    """The run was interrupted before this process could start."""


class Child:
    """One running process and what it says."""

    def __init__(self, process: subprocess.Popen[bytes], output: IO[str]) -> None:
        self._process = process
        self._output = output

    def lines(self) -> Iterator[str]:
        """Every line of output as it comes, until the process has ended."""
        rest = ""
        while True:
            ended = self._process.poll() is not None
            text = self._output.read()
            *lines, rest = (rest + text).split("\n")
            yield from lines
            if ended:
                break
            if not text:
                time.sleep(_POLL_S)
        if rest:
            yield rest

    def wait(self) -> int:
        """The exit code."""
        return self._process.wait()


class Children:
    """Starts processes and remembers them while they run.

    Each is in a process group of its own: Ctrl-C in a terminal goes to every process of the foreground group, and
    Terraform takes a second interrupt as an order to drop everything. So it gets exactly one, from here.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._interrupted = False

    @property
    def interrupted(self) -> bool:
        return self._interrupted

    @contextmanager
    def process(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        output: Path | None = None,
        keep_open: Sequence[int] = (),
        started: Callable[[int], None] = lambda pid: None,
    ) -> Iterator[Child]:
        """A running process. Its output, both streams together, goes through a file, not a pipe: when the engine is
        killed, a Terraform that wrote into a pipe would die of it, half done.

        Parameters
        ----------
        output
            The file, appended to; a nameless one, of which nothing is left, when not given.
        keep_open
            File descriptors that the process gets too.
        started
            Told its id, which is also that of its process group.
        """
        with ExitStack() as open_files:
            # Opened twice, for two positions in it.
            if output is None:
                with tempfile.TemporaryDirectory() as folder:
                    writer, reader = _opened(Path(folder) / "output")
            else:
                output.parent.mkdir(parents=True, exist_ok=True)
                writer, reader = _opened(output)
            open_files.enter_context(writer)
            open_files.enter_context(reader)
            process = self._start(command, cwd, env, writer, keep_open)
            try:
                with process:
                    started(process.pid)
                    yield Child(process, reader)
            finally:
                with self._lock:
                    self._running.discard(process)

    def interrupt(self) -> int:
        """Ask every running process to finish what it does, and start no more. Only the first call does anything.

        Returns the number of processes that were asked.
        """
        with self._lock:
            if self._interrupted:
                return 0
            self._interrupted = True
            asked = [process for process in self._running if process.poll() is None]
            for process in asked:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
            return len(asked)

    def _start(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        output: IO[bytes],
        keep_open: Sequence[int],
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._interrupted:
                raise InterruptedRunError
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=tuple(keep_open),
            )
            self._running.add(process)
            return process


def _opened(path: Path) -> tuple[IO[bytes], IO[str]]:
    """A file to append to, and the same to read from where it ends now."""
    writer = path.open("ab")
    reader = path.open(encoding="utf-8", errors="replace", newline="\n")
    reader.seek(0, os.SEEK_END)
    return writer, reader
