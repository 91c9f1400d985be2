"""Work that stops at every side effect, so that a test decides what happens next, and to whom.

Each task is a thread, of which one runs at a time: it goes on when it is told to, and stops at its next
point. So any interleaving can be made, and the same one again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

_here = threading.local()


class Killed(BaseException):
    """The task's container, or its whole execution, is gone."""


class Task:
    """Something a region does: an execution, a request, the handling of an event.

    `at` is the point it stands at, `None` once it has ended.
    """

    def __init__(self, name: str, region: str, work: Callable[[], Any]) -> None:
        self.name, self.region = name, region
        self.at: str | None = "start"
        self.answer: Any = None
        self._go, self._stopped = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._stopped.acquire()
        self._thrown: BaseException | None = None
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def step(self, thrown: BaseException | None = None) -> None:
        """Go on to the next point; or have something thrown at this one."""
        assert self.at is not None
        self._thrown = thrown
        self._go.release()
        self._stopped.acquire()
        if self._failed is not None:
            raise self._failed

    def kill(self) -> None:
        """End it where it stands."""
        while self.at is not None:
            self.step(Killed())

    def _run(self, work: Callable[[], Any]) -> None:
        _here.task = self
        try:
            self._wait()
            self.answer = work()
        except Killed:
            pass
        except BaseException as error:
            self._failed = error
        self.at = None
        self._stopped.release()

    def _wait(self) -> None:
        self._go.acquire()
        thrown, self._thrown = self._thrown, None
        if thrown is not None:
            raise thrown

    def stop_at(self, point: str) -> None:
        """Let others run; for the task itself."""
        self.at = point
        self._stopped.release()
        self._wait()


def stop_at(point: str) -> None:
    """A point of the task that runs; nothing where none does."""
    task = getattr(_here, "task", None)
    if task is not None:
        task.stop_at(point)
