"""Runs work over a graph, as much at once as allowed.

The rule: a stack runs when everything it needs has succeeded. When one fails, exactly those that need it, directly or
not, are blocked; all others still run. When the run is stopped, what runs finishes and nothing new starts: what was
still pending is skipped. :class:`Schedule` decides, without threads or clocks; :func:`run` carries out.
"""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import StrEnum

from shared.contracts import Graph, StackId


class Status(StrEnum):
    """What became of a stack in a run.

    UNCHANGED: Terraform had nothing to do. UP_TO_DATE: it was not even asked, since nothing has changed since the last
    apply. DRIFTED: somebody else has changed it. SKIPPED: the run was stopped. WAITING: it can't be planned before what
    it needs is deployed.
    """

    PENDING = "pending"
    RUNNING = "running"
    APPLIED = "applied"
    UNCHANGED = "unchanged"
    UP_TO_DATE = "up-to-date"
    DESTROYED = "destroyed"
    PLANNED = "planned"
    DRIFTED = "drifted"
    FAILED = "failed"
    BLOCKED = "blocked"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    WAITING = "waiting"

    @property
    def good(self) -> bool:
        """Whether a stack that needs this one may run."""
        return self in (
            Status.APPLIED,
            Status.UNCHANGED,
            Status.UP_TO_DATE,
            Status.DESTROYED,
            Status.PLANNED,
            Status.DRIFTED,
        )

    @property
    def final(self) -> bool:
        return self not in (Status.PENDING, Status.RUNNING)


_PER_CORE = 6
# Terraform and the provider at their largest, together.
_STACK_GIB = 1.0
_MOST = 16


class Schedule:
    """Which stacks may run now. The graph given is the one to run: for a destroy, the reversed one."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._height = _heights(graph)
        self.statuses: dict[StackId, Status] = dict.fromkeys(graph.order, Status.PENDING)

    @property
    def done(self) -> bool:
        return all(status.final for status in self.statuses.values())

    def ready(self) -> list[StackId]:
        """The stacks that may start, those with the longest way above them first, so that it starts early."""
        ready = [
            stack
            for stack, status in self.statuses.items()
            if status is Status.PENDING and all(self.statuses[need].good for need in self._graph.needs[stack])
        ]
        return sorted(ready, key=lambda stack: -self._height[stack])

    def start(self, stack: StackId) -> None:
        if stack not in self.ready():
            raise ValueError(f"{stack} may not start: it is {self.statuses[stack]}")
        self.statuses[stack] = Status.RUNNING

    def finish(self, stack: StackId, status: Status) -> list[StackId]:
        """Record how a running stack ended; returns the stacks that this blocks."""
        if self.statuses[stack] is not Status.RUNNING or not status.final:
            raise ValueError(f"{stack} is {self.statuses[stack]} and cannot become {status}")
        self.statuses[stack] = status
        if status.good:
            return []
        above = self._graph.all_dependents([stack])
        blocked = [other for other in self._graph.order if other in above and self.statuses[other] is Status.PENDING]
        self.statuses.update(dict.fromkeys(blocked, Status.BLOCKED))
        return blocked

    def stop(self) -> list[StackId]:
        """Start nothing more; returns the stacks that this skips."""
        skipped = [stack for stack, status in self.statuses.items() if status is Status.PENDING]
        self.statuses.update(dict.fromkeys(skipped, Status.SKIPPED))
        return skipped


def _heights(graph: Graph) -> dict[StackId, int]:
    """How many stacks, one after the other, wait for each."""
    height: dict[StackId, int] = {}
    for stack in reversed(graph.order):
        height[stack] = 1 + max((height[other] for other in graph.dependents(stack)), default=-1)
    return height


def default_parallelism(cores: int | None = None, memory_gib: float | None = None) -> int:
    """How many stacks run at once on a machine; this one when not given.

    Terraform waits for AWS far more than it computes, so six per core, as many as half of the memory holds, 16 at the
    most: docs/decisions/provider-start-up.md.
    """
    cores = cores or os.cpu_count() or 1
    if memory_gib is None:
        memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return max(1, min(_PER_CORE * cores, int(memory_gib / 2 / _STACK_GIB), _MOST))


def run(
    graph: Graph,
    work: Callable[[StackId], Status],
    *,
    parallel: int,
    changed: Callable[[StackId, Status], None] = lambda stack, status: None,
    stopping: Callable[[], bool] = lambda: False,
) -> Mapping[StackId, Status]:
    """Do the work of every stack of the graph.

    Parameters
    ----------
    graph
        The stacks and what must succeed before each.
    work
        Does one stack and says how it ended; called in worker threads. An exception counts as a failure, and is raised
        once everything that still runs has ended.
    parallel
        How many stacks run at once.
    changed
        Told of every new status, in this thread.
    stopping
        Asked several times a second, in this thread; after the first True nothing new starts.

    Returns
    -------
    mapping
        The final status of every stack.
    """
    schedule = Schedule(graph)
    ended: queue.SimpleQueue[tuple[StackId, Future[Status]]] = queue.SimpleQueue()
    running = 0
    errors: list[BaseException] = []

    def tell(stacks: Sequence[StackId], status: Status) -> None:
        for stack in stacks:
            changed(stack, status)

    with ThreadPoolExecutor(max_workers=max(1, parallel), thread_name_prefix="stack") as pool:
        while True:
            if stopping() or errors:
                tell(schedule.stop(), Status.SKIPPED)
            for stack in schedule.ready()[: max(0, parallel - running)]:
                schedule.start(stack)
                changed(stack, Status.RUNNING)
                running += 1
                future = pool.submit(work, stack)
                future.add_done_callback(lambda done, stack=stack: ended.put((stack, done)))  # type: ignore[misc]
            if running == 0:
                break
            try:
                stack, future = ended.get(timeout=0.2)
            except queue.Empty:
                continue
            running -= 1
            error = future.exception()
            if error is not None:
                errors.append(error)
            status = Status.FAILED if error is not None else future.result()
            blocked = schedule.finish(stack, status)
            changed(stack, status)
            tell(blocked, Status.BLOCKED)
    if errors:
        raise errors[0]
    return schedule.statuses
