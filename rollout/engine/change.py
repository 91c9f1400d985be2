"""Changes one stack: alone, with its state's lock, after what an earlier run left, and again when an error passes."""

from __future__ import annotations

import getpass
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from rollout.children import InterruptedRunError
from rollout.engine import transient
from rollout.engine.attempt import Attempt, exclusive, was_cut_off
from rollout.engine.run import Run
from rollout.engine.uptodate import RECORD, UpToDate, Verdict
from rollout.recovery.adoption import Adoption
from rollout.recovery.journal import Creation, creations
from rollout.schedule import Status
from rollout.state import StateError, StateLock
from rollout.terraform import LOCK_TIMEOUT_S, Changes, Holding, StackTerraform, TerraformError
from shared.contracts import StackId
from shared.errors import TripointError

T = TypeVar("T")

_POLL_S = 1.0
# What Terraform writes where it stands when it can't save the state.
_UNSAVED = "errored.tfstate"


class StackLockedError(TripointError):
    """Somebody else holds the lock on a stack's state."""

    def __init__(self, held: StateLock) -> None:
        super().__init__(f"{held}; {held.remedy}")
        self.lines = [str(held), held.remedy]


class PlanAgainError(TripointError):
    """A saved plan of a stack is of no use any more."""

    def __init__(self, stack: StackId, why: str) -> None:
        super().__init__(f"{why}; plan it again: tripoint diff {stack} --out FOLDER")


def unfinished(run: Run, stack: StackId) -> bool:
    """Whether an earlier run on this machine did not come to the end of its work on a stack."""
    data = run.project.workspace.data(stack)
    return was_cut_off(data) or (data / _UNSAVED).exists()


def apply(run: Run, stack: StackId, uptodate: UpToDate, verdict: Verdict) -> Status:
    """Bring a stack to what is synthesized."""
    result = run.result(stack)
    with held(run, stack, "apply") as attempt:
        # Until an apply has succeeded, nobody may take the stack for one that is as it should be.
        run.project.store.delete_document(stack, RECORD)
        terraform = ready(run, stack, attempt)
        taken_in: dict[str, str] = {}

        def once() -> Changes:
            # A try whose answer was lost may have made more than the state knows, as a run that was cut off.
            made = _made(attempt, again=bool(result.retries))
            with _adoption(run, stack).prepared(terraform, made) as imports:
                taken_in.update(imports)
                return terraform.apply(run.listener(stack))

        with run.timed(stack, "apply"):
            changes = _persistently(run, stack, once)
        # Of a try that failed nobody knows what it did.
        known = not (taken_in or result.retries)
        uptodate.write(stack, verdict, changes if known else None)
    # A stack that others let go of first is applied twice.
    result.changes += changes
    return Status.UNCHANGED if result.changes.none else Status.APPLIED


def destroy(run: Run, stack: StackId, emptied: Path | None = None) -> Status:
    """Destroy everything of a stack; with the folder of its emptied configuration, by its state alone."""
    with held(run, stack, "destroy") as attempt:
        run.project.store.delete_document(stack, RECORD)
        made = _made(attempt)
        terraform = ready(run, stack, attempt, None if made else emptied)
        if stack in run.project.graph.needs:
            with _adoption(run, stack).prepared(terraform, made) as imports:
                if imports:
                    terraform.apply_only(list(imports))
        if made and emptied is not None:
            terraform = ready(run, stack, attempt, emptied)
        with run.timed(stack, "destroy"):
            changes = _persistently(run, stack, lambda: terraform.destroy(run.listener(stack)))
    run.result(stack).changes = changes
    return Status.DESTROYED


def await_others(run: Run, stacks: Iterable[StackId]) -> None:
    """Wait until nothing of earlier runs on this machine works on these stacks any more."""
    for stack in stacks:
        if unfinished(run, stack):
            with _alone(run, stack):
                pass


@contextmanager
def looked_for(run: Run, stack: StackId, terraform: StackTerraform) -> Iterator[str]:
    """Have what an earlier run made and did not record taken in by the plans that are made meanwhile. Changes nothing.

    Gives the mark of what was left (see :attr:`Attempt.mark`).
    """
    if (run.project.workspace.data(stack) / _UNSAVED).exists():
        raise TripointError(f"an earlier run could not save its state; have that done first: tripoint deploy {stack}")
    with _alone(run, stack) as attempt:
        _tell_cut_off(run, stack, attempt)
        with _adoption(run, stack).prepared(_Onlooker(stack, terraform), _made(attempt)):
            yield attempt.mark


class _Onlooker:
    """Terraform that plans and does nothing else."""

    def __init__(self, stack: StackId, terraform: StackTerraform) -> None:
        self._stack = stack
        self._terraform = terraform

    def plan_document(self) -> dict[str, Any]:
        return self._terraform.plan_document()

    def refresh(self) -> None:
        raise TripointError(
            f"an earlier run was cut off while it made something anew; take it up first: tripoint deploy {self._stack}"
        )


def _tell_cut_off(run: Run, stack: StackId, attempt: Attempt) -> None:
    if attempt.cut_off is not None:
        run.say(f"{stack}: an earlier {attempt.cut_off.operation} was cut off; what it made is looked for")


def _alone(run: Run, stack: StackId) -> AbstractContextManager[Attempt]:
    return exclusive(
        run.project.workspace.data(stack),
        say=lambda text: run.say(f"{stack}: {text}"),
        stopping=run.interrupted,
        stop=InterruptedRunError,
    )


@contextmanager
def held(
    run: Run,
    stack: StackId,
    operation: str,
    *,
    plan: str = "",
    accept: Callable[[Attempt], None] = lambda attempt: None,
) -> Iterator[Attempt]:
    """Work on a stack as the only one: here, by a file lock; elsewhere, by the lock on its state.

    Parameters
    ----------
    plan
        Names the saved plan that is to be applied.
    accept
        Told of what an earlier attempt left before anything is written; raises to refuse.
    """
    with _alone(run, stack) as attempt:
        accept(attempt)
        lock = StateLock(
            stack=stack,
            # The lock of an attempt that was cut off has no owner any more but the one that takes over.
            id=attempt.cut_off.lock_id if attempt.cut_off else str(uuid.uuid4()),
            who=f"{_user()}@{socket.gethostname()}",
            operation=f"OperationType{operation.capitalize()}",
            created=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        )
        attempt.begin(lock.id, operation, plan)
        orderly = False
        try:
            _acquire(run, lock)
            failed = True
            try:
                yield attempt
                failed, orderly = False, True
            except TerraformError as error:
                # What an earlier attempt left is looked for until an attempt has succeeded.
                orderly = not error.cut_off and attempt.cut_off is None
                raise
            finally:
                _keep_unsaved(run, stack)
                _give_back(run, lock, attempt, failed=failed)
        except (InterruptedRunError, StackLockedError, PlanAgainError):
            # Nothing was started, or Terraform was asked to end and did.
            orderly = attempt.cut_off is None
            raise
        finally:
            # The lock goes first: notes without a lock do no harm.
            if orderly:
                attempt.finish()


def _give_back(run: Run, lock: StateLock, attempt: Attempt, *, failed: bool) -> None:
    """Give a lock back. Where that doesn't work after a failure, the failure is what has to be told."""
    try:
        run.project.store.release(lock)
    except StateError as error:
        # Of a lock with notes of it, the next run here knows that it may take it over.
        attempt.keep()
        if not failed:
            raise
        run.say(f"{lock.stack}: its lock could not be given back: {error}")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container may run as a user that nobody has named.
        return str(os.getuid())


def _acquire(run: Run, lock: StateLock) -> None:
    deadline, told = time.monotonic() + LOCK_TIMEOUT_S, False
    while (held := run.project.store.acquire(lock)) is not None:
        if not told:
            run.say(f"{held}; waiting for it; {held.remedy}")
            told = True
        if run.interrupted():
            raise InterruptedRunError
        if time.monotonic() > deadline:
            raise StackLockedError(held)
        time.sleep(_POLL_S)


def ready(run: Run, stack: StackId, attempt: Attempt, folder: Path | None = None) -> StackTerraform:
    """Terraform on the stack, initialized, and with a state that lacks nothing that could be saved; in the stack's
    folder, or in another one."""
    _tell_cut_off(run, stack, attempt)
    terraform = run.terraform(
        stack, folder=folder, holding=Holding(attempt.journal, attempt.descriptor, attempt.started)
    )
    with run.timed(stack, "init"):
        _persistently(run, stack, terraform.init)
    unsaved = run.project.workspace.data(stack) / _UNSAVED
    if unsaved.exists():
        run.say(f"{stack}: a state that could not be saved is saved now")
        terraform.push_state(unsaved)
        unsaved.unlink()
    return terraform


def _persistently(run: Run, stack: StackId, work: Callable[[], T]) -> T:
    """Do it again, a few times, after errors that are known to pass."""
    retry = 0
    while True:
        try:
            return work()
        except TerraformError as error:
            what = transient.passing(error)
            if what is None or retry == transient.RETRIES or run.interrupted():
                raise
            wait = transient.wait_s(retry)
            retry += 1
            text = f"{what}: {transient.shown(error.lines)}; retry {retry} of {transient.RETRIES} in {wait:.0f} s"
            run.say(f"{stack}: {text}")
            run.result(stack).retries.append(text)
            deadline = time.monotonic() + wait
            while time.monotonic() < deadline:
                if run.interrupted():
                    raise
                time.sleep(0.2)


def _made(attempt: Attempt, *, again: bool = False) -> dict[str, Creation]:
    """What an attempt that was cut off made or was making; ``again``: also what this one did before."""
    if (attempt.cut_off is None and not again) or not attempt.journal.exists():
        return {}
    return creations(attempt.journal.read_text(encoding="utf-8", errors="replace").splitlines())


def _adoption(run: Run, stack: StackId) -> Adoption:
    project = run.project
    return Adoption(stack, project.workspace.stack(stack), project.target, lambda text: run.say(f"{stack}: {text}"))


def _keep_unsaved(run: Run, stack: StackId) -> None:
    """The folder belongs to the synthesis; what could not be saved must outlive that."""
    workspace = run.project.workspace
    for folder in (workspace.stack(stack), workspace.emptied(stack)):
        if (folder / _UNSAVED).exists():
            (folder / _UNSAVED).replace(workspace.data(stack) / _UNSAVED)
