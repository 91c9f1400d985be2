"""Ctrl-C, termination and a closed terminal: while stacks run, finish what runs and start nothing more; else, end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_Handler = Callable[[int, FrameType | None], None]


class StoppedCommand(BaseException):
    """Somebody stopped a command where nothing runs that has to finish. No error, so that nobody takes it for one."""


class Interrupts:
    """Counts the interrupts of a run. The handler only counts; whoever asks acts on it."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Count these signals instead of dying of them."""
        with _handled_by(self._handle):
            yield

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1


@contextmanager
def ending() -> Iterator[None]:
    """End with :class:`StoppedCommand` at the first of these signals, and at once at the second."""
    told = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if told:
            os._exit(EXIT_INTERRUPTED)
        told = True
        raise StoppedCommand

    with _handled_by(end):
        yield


@contextmanager
def _handled_by(handler: _Handler) -> Iterator[None]:
    """Only the main thread gets signals; elsewhere nothing. A hang-up that is ignored (`nohup`) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    numbers = [number for number in _SIGNALS if number is not signal.SIGHUP or not outlives]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
