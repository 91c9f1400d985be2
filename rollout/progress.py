"""Shows a run while it goes on: a live table on a terminal, one line per change of state everywhere else."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rollout.schedule import Status
from shared.contracts import StackId

STYLES: dict[Status, str] = {
    Status.PENDING: "dim",
    Status.RUNNING: "cyan",
    Status.APPLIED: "green",
    Status.UNCHANGED: "green",
    Status.UP_TO_DATE: "green",
    Status.DESTROYED: "green",
    Status.PLANNED: "green",
    Status.DRIFTED: "yellow",
    Status.FAILED: "bold red",
    Status.BLOCKED: "yellow",
    Status.INTERRUPTED: "yellow",
    Status.SKIPPED: "dim",
    Status.WAITING: "dim",
}


@dataclass
class Line:
    """What is shown of one stack.

    ``done`` and ``planned`` count resources; ``note`` is what the final line says beside the seconds.
    """

    stack: StackId
    status: Status = Status.PENDING
    phase: str = ""
    done: int = 0
    planned: int = 0
    current: str = ""
    note: str = ""
    started: float | None = None
    seconds: float = 0.0

    @property
    def state(self) -> str:
        return self.phase if self.status is Status.RUNNING and self.phase else str(self.status)

    @property
    def elapsed(self) -> float:
        if self.status is Status.RUNNING and self.started is not None:
            return time.monotonic() - self.started
        return self.seconds


class Progress(Protocol):
    """Told of everything worth showing; every method may be called from any thread."""

    def say(self, text: str) -> None:
        """A line that stays."""

    def begin(self, stacks: Sequence[StackId]) -> None:
        """These stacks are about to run."""

    def update(self, line: Line) -> None:
        """A stack's line has changed."""

    def end(self) -> None:
        """No stack runs any more."""


@dataclass
class PlainProgress:
    """One line per change of state, without control characters: for CI and files."""

    stream: IO[str] = field(default_factory=lambda: sys.stdout)
    _last: dict[StackId, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, text: str) -> None:
        with self._lock:
            print(text, file=self.stream, flush=True)

    def begin(self, stacks: Sequence[StackId]) -> None:
        self._last.clear()

    def update(self, line: Line) -> None:
        with self._lock:
            if line.state == self._last.get(line.stack) or line.state == Status.RUNNING:
                return
            self._last[line.stack] = line.state
            print(plain_line(line), file=self.stream, flush=True)

    def end(self) -> None:
        pass


def plain_line(line: Line) -> str:
    """A stack's state as one line: ``data-us-east-1: applied in 12.3 s (14 added, ...)``."""
    if not line.status.final:
        return f"{line.stack}: {line.state}"
    took = f" in {line.seconds:.1f} s" if line.seconds else ""
    note = f" ({line.note})" if line.note else ""
    return f"{line.stack}: {line.status}{took}{note}"


class LiveProgress:
    """A table that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lines: dict[StackId, Line] = {}
        self._live: Live | None = None

    def say(self, text: str) -> None:
        # Above the table while one is shown.
        self._console.print(Text(text))

    def begin(self, stacks: Sequence[StackId]) -> None:
        self._lines = {stack: Line(stack) for stack in stacks}
        self._live = Live(
            get_renderable=self._table,
            console=self._console,
            refresh_per_second=4,
            transient=True,
            vertical_overflow="crop",
        )
        self._live.start()

    def update(self, line: Line) -> None:
        self._lines[line.stack] = line

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        # Where the terminal is narrow, only the last column may shrink.
        names = max((len(str(stack)) for stack in self._lines), default=0)
        table.add_column("stack", no_wrap=True, min_width=names)
        table.add_column("state", no_wrap=True, min_width=max(map(len, Status)))
        table.add_column("seconds", justify="right", no_wrap=True, min_width=7)
        table.add_column("resources", justify="right", no_wrap=True, min_width=9)
        table.add_column("", style="dim", no_wrap=True, overflow="ellipsis")
        for line in list(self._lines.values()):
            table.add_row(
                Text(str(line.stack)),
                Text(line.state, STYLES[line.status]),
                f"{line.elapsed:.0f}" if line.elapsed else "",
                f"{line.done}/{line.planned}" if line.planned else "",
                Text(line.note or line.current),
            )
        return table


def progress_for(console: Console) -> Progress:
    """A live table where there is a terminal to redraw, plain lines elsewhere."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveProgress(console)
    return PlainProgress(console.file)
