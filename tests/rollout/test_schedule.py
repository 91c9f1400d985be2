"""The order of a run (LAY-04): properties over random graphs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollout.schedule import Schedule, Status, default_parallelism, run
from shared.config import load
from shared.contracts import Graph, StackId
from stacks.catalogue import graph_of
from tests.rollout.support import graph_from, stack


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Any acyclic graph of up to nine stacks: each needs some of those before it."""
    names = [f"s{number}" for number in range(draw(st.integers(1, 9)))]
    before = {name: names[:at] for at, name in enumerate(names)}
    return graph_from(
        {name: draw(st.lists(st.sampled_from(below), unique=True)) if below else [] for name, below in before.items()}
    )


@st.composite
def graphs_with_failures(draw: st.DrawFn) -> tuple[Graph, frozenset[StackId]]:
    graph = draw(graphs())
    return graph, frozenset(draw(st.lists(st.sampled_from(graph.order), max_size=3)))


class Log:
    """Work that notes when it begins and ends, and fails where told to."""

    def __init__(self, failing: frozenset[StackId] = frozenset()) -> None:
        self.events: list[tuple[str, StackId]] = []
        self.at_once = 0
        self.most_at_once = 0
        self._failing = failing
        self._lock = threading.Lock()

    def __call__(self, stack: StackId) -> Status:
        with self._lock:
            self.events.append(("begin", stack))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.0005)
        with self._lock:
            self.events.append(("end", stack))
            self.at_once -= 1
        return Status.FAILED if stack in self._failing else Status.APPLIED

    @property
    def begun(self) -> list[StackId]:
        return [stack for what, stack in self.events if what == "begin"]


@settings(max_examples=60, deadline=None)
@given(graphs(), st.integers(1, 4))
def test_producers_end_before_consumers_begin_and_nothing_runs_twice(graph: Graph, parallel: int) -> None:
    """LAY-04."""
    log = Log()
    statuses = run(graph, log, parallel=parallel)
    assert set(statuses.values()) == {Status.APPLIED}
    assert sorted(log.begun) == sorted(graph.order)
    assert log.most_at_once <= parallel
    for consumer, needs in graph.needs.items():
        for producer in needs:
            assert log.events.index(("end", producer)) < log.events.index(("begin", consumer))


@settings(max_examples=60, deadline=None)
@given(graphs_with_failures(), st.integers(1, 4))
def test_a_failure_blocks_exactly_what_depends_on_it(case: tuple[Graph, frozenset[StackId]], parallel: int) -> None:
    """LAY-04: independent stacks finish."""
    graph, failing = case
    log = Log(failing)
    statuses = run(graph, log, parallel=parallel)
    for one in graph.order:
        below = graph.all_needs([one])
        if below & failing:
            assert statuses[one] is Status.BLOCKED
            assert one not in log.begun
        else:
            assert statuses[one] is (Status.FAILED if one in failing else Status.APPLIED)


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_a_destroy_runs_consumers_before_producers(graph: Graph) -> None:
    """LAY-04, LAY-05."""
    log = Log()
    run(graph.reversed(), log, parallel=2)
    for consumer, needs in graph.needs.items():
        for producer in needs:
            assert log.events.index(("end", consumer)) < log.events.index(("begin", producer))


def test_independent_stacks_run_at_the_same_time() -> None:
    """LAY-04: two stacks that wait for each other to begin both get there."""
    together = threading.Barrier(2, timeout=60)

    def work(_: StackId) -> Status:
        together.wait()
        return Status.APPLIED

    assert set(run(graph_from({"a": [], "b": []}), work, parallel=2).values()) == {Status.APPLIED}


def test_the_longest_way_starts_first() -> None:
    schedule = Schedule(graph_from({"short": [], "long": [], "middle": ["long"], "end": ["middle"]}))
    assert schedule.ready() == [stack("long"), stack("short")]


def test_after_a_stop_what_runs_finishes_and_nothing_starts() -> None:
    stopped = threading.Event()
    log = Log()

    def work(one: StackId) -> Status:
        stopped.set()
        return log(one)

    statuses = run(graph_from({"a": [], "b": ["a"], "c": ["b"]}), work, parallel=1, stopping=stopped.is_set)
    assert [str(status) for status in statuses.values()] == ["applied", "skipped", "skipped"]
    assert log.begun == [stack("a")]


def test_an_unexpected_error_ends_the_run_after_what_runs() -> None:
    log = Log()

    def work(one: StackId) -> Status:
        if one == stack("bad"):
            raise ZeroDivisionError
        return log(one)

    with pytest.raises(ZeroDivisionError):
        run(graph_from({"bad": [], "good": [], "after": ["bad"]}), work, parallel=2)
    assert log.begun == [stack("good")]
    assert log.at_once == 0


def test_after_an_unexpected_error_nothing_new_starts() -> None:
    begun: list[StackId] = []

    def work(one: StackId) -> Status:
        begun.append(one)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(graph_from({"a": [], "b": [], "c": []}), work, parallel=1)
    assert begun == [stack("a")]


def test_every_change_of_status_is_told_in_order() -> None:
    told: list[tuple[StackId, Status]] = []
    changed: Callable[[StackId, Status], None] = lambda one, status: told.append((one, status))  # noqa: E731
    run(graph_from({"a": [], "b": ["a"]}), Log(frozenset({stack("a")})), parallel=1, changed=changed)
    assert told == [(stack("a"), Status.RUNNING), (stack("a"), Status.FAILED), (stack("b"), Status.BLOCKED)]


def test_a_stack_cannot_start_before_its_needs() -> None:
    schedule = Schedule(graph_from({"a": [], "b": ["a"]}))
    with pytest.raises(ValueError, match="may not start"):
        schedule.start(stack("b"))


@pytest.mark.parametrize(
    ("cores", "memory_gib", "stacks"),
    [(2, 24, 12), (2, 8, 4), (1, 1, 1), (1, 64, 6), (4, 16, 8), (8, 64, 16), (64, 256, 16)],
)
def test_as_many_stacks_at_once_as_cores_and_memory_allow(cores: int, memory_gib: float, stacks: int) -> None:
    assert default_parallelism(cores, memory_gib) == stacks
    assert default_parallelism() >= 1


@pytest.mark.parametrize("config", ["sandbox.toml", "example-aws.toml"])
def test_a_broken_edge_of_the_primary_blocks_its_own_dependents_alone(config: str) -> None:
    """LAY-04: other regions wait for its links at most, which link all regions."""
    environment = load(Path("config") / config)
    graph = graph_of(environment)
    schedule, broken = Schedule(graph), StackId("edge", environment.primary)
    while not schedule.done:
        stack = schedule.ready()[0]
        schedule.start(stack)
        schedule.finish(stack, Status.FAILED if stack == broken else Status.APPLIED)
    blocked = {stack for stack, status in schedule.statuses.items() if status is Status.BLOCKED}
    assert StackId("observability", environment.primary) in blocked
    assert {stack.region for stack in blocked if not stack.name.endswith("-links")} == {environment.primary}
    assert all(schedule.statuses[stack].good for stack in graph.order if stack not in {broken, *blocked})
