"""Work on one stack from this machine, and what is left of it when it is killed.

Before an attempt touches the state it writes down the id of the lock that it is about to take, and then the process
that it starts. Terraform inherits an exclusive lock on a file (flock), which the kernel gives back only when both the
engine and Terraform are gone. So the next run on this machine knows whether an earlier one still works, and, when
nothing of it is alive, that a lock with the noted id has no owner any more.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from rollout.sandbox import processes

_POLL_S = 0.2


@dataclass
class Notes:
    """What an attempt has written down.

    Attributes
    ----------
    lock_id
        Of the lock on the state that it took or was about to take.
    operation
        ``apply`` or ``destroy``.
    pid
        Terraform's process, and its process group; 0 before the first one.
    birth
        When that process began, in clock ticks since boot; None where the system can't tell.
    plan
        Names the saved plan that was applied; empty where none was.
    said_before
        How long the journal was when the first attempt with this plan began, in bytes.
    """

    lock_id: str
    operation: str
    pid: int = 0
    birth: int | None = None
    plan: str = ""
    said_before: int = 0


class Attempt:
    """Exclusive work on one stack, from :func:`exclusive`.

    Attributes
    ----------
    cut_off
        What the attempt before this one had written down, if that one did not come to its end.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self._folder = folder
        self.descriptor = descriptor
        self.cut_off = _read(folder)
        self._notes: Notes | None = None
        self._kept = False

    @property
    def journal(self) -> Path:
        """All that Terraform says in this attempt, and in those before it that were cut off."""
        return self._folder / "attempt.jsonl"

    @property
    def mark(self) -> str:
        """Names what an attempt that was cut off has left; another one when anything was added. Empty: nothing."""
        if self.cut_off is None:
            return ""
        return hashlib.sha256(self.cut_off.lock_id.encode() + self._said()).hexdigest()

    @property
    def said_of_plan(self) -> list[str]:
        """What Terraform said in the attempt that was cut off, and in those with the same saved plan before it."""
        start = self.cut_off.said_before if self.cut_off else 0
        return self._said()[start:].decode(errors="replace").splitlines()

    def begin(self, lock_id: str, operation: str, plan: str = "") -> None:
        """Write down which lock will be taken, and which saved plan applied."""
        again = self.cut_off is not None and self.cut_off.plan == plan != ""
        start = self.cut_off.said_before if self.cut_off is not None and again else len(self._said())
        self._notes = Notes(lock_id, operation, plan=plan, said_before=start)
        self._write()

    def started(self, pid: int) -> None:
        """Write down which process was started."""
        assert self._notes is not None
        self._notes.pid, self._notes.birth = pid, processes.birth(pid)
        self._write()

    def keep(self) -> None:
        """Something is left of the attempt, whatever end it comes to: the next one must know."""
        self._kept = True

    def finish(self) -> None:
        """The attempt came to its end: nothing of it is left to be told."""
        if self._kept:
            return
        self.journal.unlink(missing_ok=True)
        _notes_file(self._folder).unlink(missing_ok=True)

    def _said(self) -> bytes:
        return self.journal.read_bytes() if self.journal.exists() else b""

    def _write(self) -> None:
        assert self._notes is not None
        draft = self._folder / "attempt.draft"
        draft.write_text(json.dumps(asdict(self._notes)) + "\n", encoding="utf-8")
        draft.replace(_notes_file(self._folder))


def was_cut_off(folder: Path) -> bool:
    """Whether an attempt in this folder has begun and not come to its end, or still goes on."""
    return _notes_file(folder).exists()


@contextmanager
def exclusive(
    folder: Path, *, say: Callable[[str], None], stopping: Callable[[], bool], stop: type[Exception]
) -> Iterator[Attempt]:
    """Work on a stack as the only one on this machine. Waits for an earlier run, or a Terraform that outlived one.

    A provider whose Terraform is dead does nothing that anybody will hear of: it is ended.

    Parameters
    ----------
    folder
        The stack's folder for Terraform's data.
    say
        Told, once, whom it waits for, and what it ends.
    stopping, stop
        While the first is true, waiting ends with the second.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "attempt.lock").open("a") as lock:
        told = False
        while not _taken(lock.fileno()):
            notes = _read(folder)
            left = [] if notes is None or _works(notes) else _left_over(folder, notes)
            for pid in left:
                say(f"process {pid} is left of a Terraform that was killed, and is ended")
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if not left and not told:
                who = f"process {notes.pid}" if notes is not None and _works(notes) else "another engine"
                say(f"an earlier run on this machine still works on it ({who}); waiting for it to finish")
                told = True
            if stopping():
                raise stop
            time.sleep(_POLL_S)
        yield Attempt(folder, lock.fileno())


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _works(notes: Notes) -> bool:
    """Whether the noted process is still there, and not another one by the same number."""
    return bool(notes.pid) and processes.alive(notes.pid) and processes.birth(notes.pid) == notes.birth


def _left_over(folder: Path, notes: Notes) -> list[int]:
    """What Terraform has started and left: of its process group, and with its lock file open."""
    holders = processes.holders(folder / "attempt.lock")
    return [pid for pid in holders if notes.pid and processes.group(pid) == notes.pid]


def _notes_file(folder: Path) -> Path:
    return folder / "attempt.json"


def _read(folder: Path) -> Notes | None:
    try:
        return Notes(**json.loads(_notes_file(folder).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
