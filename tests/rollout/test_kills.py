"""The drill that kills: whom it kills, and where it does so."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rollout.kills import disturbance
from rollout.kills.drill import chosen, drilled
from rollout.kills.rounds import Kind, Round, line, shown, summary
from rollout.kills.victims import Victim, kill
from rollout.project import Project
from rollout.sandbox import processes

ROOT = Path(__file__).parents[2]
# Starts a process that goes by the name of a provider.
ENGINE = """
import subprocess, sys, time
subprocess.Popen(["/somewhere/terraform-provider-aws_v5", "60"], executable="/bin/sleep")
time.sleep(60)
"""


@pytest.fixture
def engine() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", ENGINE], start_new_session=True) as process:
        while not processes.descendants(process.pid):
            time.sleep(0.02)
        below = processes.descendants(process.pid)
        yield process
        for pid in [process.pid, *below]:  # those below also when the engine is gone
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def deadline() -> float:
    return time.monotonic() + 60


def test_the_drilled_environment_is_one_of_its_own_in_two_regions(tmp_path: Path) -> None:
    config = tmp_path / "drill.toml"
    config.write_text(drilled((ROOT / "config/sandbox.toml").read_text(), 20_077))
    project = Project.open(config)
    assert project.environment.suffix == "killed"
    assert project.environment.target.endpoint == "http://127.0.0.1:20077"
    assert list(project.environment.regions) == ["us-east-1", "eu-west-1"]
    assert [str(stack) for stack in chosen(project)] == [
        "network-us-east-1", "network-eu-west-1", "data-us-east-1", "data-eu-west-1",
    ]  # fmt: skip


def test_the_engine_itself_is_killed(engine: subprocess.Popen[bytes]) -> None:
    assert kill(engine.pid, Victim.ENGINE, random.Random(1), deadline=deadline()) == f"engine {engine.pid}"
    assert engine.wait() == -9


def test_a_process_that_the_engine_started_is_killed_by_its_name(engine: subprocess.Popen[bytes]) -> None:
    [provider] = processes.descendants(engine.pid)
    assert kill(engine.pid, Victim.TERRAFORM, random.Random(1), deadline=time.monotonic() + 0.5) is None
    assert kill(engine.pid, Victim.PROVIDER, random.Random(1), deadline=deadline()) == f"provider {provider}"
    assert engine.poll() is None


def test_a_run_that_ends_first_has_nobody_to_kill() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
        assert kill(process.pid, Victim.TERRAFORM, random.Random(1), deadline=deadline()) is None


def test_a_round_passes_only_without_any_difference() -> None:
    assert '"passed": true' in line(Round(1, 2, Kind.DEPLOY))
    assert '"passed": false' in line(Round(1, 2, Kind.DEPLOY, differences=["1 x more: vpc"]))


def started(*seconds: float) -> Callable[..., subprocess.Popen[bytes]]:
    """Commands that take so long, one after the other."""
    left = iter(seconds)

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", f"import time; time.sleep({next(left)})"], start_new_session=True
        )

    return start


class Loaded(random.Random):
    """Dice that show what the test wants: the first moment, whether there is a second one, and always the engine."""

    def __init__(self, moment: float, *, twice: bool) -> None:
        super().__init__(1)
        self._moment = moment
        self._twice = twice

    def uniform(self, a: float, b: float) -> float:
        return self._moment

    def random(self) -> float:
        return 0.0 if self._twice else 1.0

    def choice(self, seq: Sequence[Any]) -> Any:
        return seq[0]


def test_a_command_is_killed_at_its_moment_and_the_next_one_is_left_alone() -> None:
    kills: list[str] = []
    disturbed = disturbance.Disturbance(Loaded(0.3, twice=False), 5, started(60, 0), kills)
    assert [disturbed.run("deploy"), disturbed.run("deploy")] == [(-9, True), (0, False)]
    assert len(kills) == 1
    assert re.fullmatch(r"engine at \d+\.\d s of deploy", kills[0])


def test_the_next_command_is_killed_too_where_the_dice_say_so() -> None:
    disturbed = disturbance.Disturbance(Loaded(0.1, twice=True), 5, started(60, 60, 0), [])
    assert [disturbed.run("plan")[1] for _ in range(3)] == [True, True, False]


class Clock:
    """Stands in for `time`: it goes on while somebody sleeps, and not otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Command:
    """A process that takes so long by that clock, or until it is killed."""

    pid = 7

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ends = clock.now + seconds
        self.killed = False

    def poll(self) -> int | None:
        if self.killed:
            return -9
        return 0 if self._clock.now >= self._ends else None

    def wait(self) -> int:
        if self.poll() is None:
            self._clock.now = self._ends
        code = self.poll()
        assert code is not None
        return code


def test_what_a_short_command_leaves_of_the_time_goes_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, commands = Clock(), list[Command]()

    def start(*words: str) -> Any:
        commands.append(Command(clock, (1, 30)[len(commands)]))
        return commands[-1]

    def kill_if_there(*_: object, deadline: float) -> str | None:
        if commands[-1].poll() is not None:
            return None
        commands[-1].killed = True
        return "engine 7"

    monkeypatch.setattr(disturbance, "time", clock)
    monkeypatch.setattr(disturbance, "kill", kill_if_there)
    kills: list[str] = []
    disturbed = disturbance.Disturbance(Loaded(3.0, twice=False), 5, start, kills)
    assert disturbed.run("plan") == (0, False)
    assert disturbed.run("plan") == (-9, True)
    assert kills == ["engine at 2.0 s of plan"]


def test_the_summary_counts_each_kind_of_round() -> None:
    results = [
        Round(1, 1, Kind.DEPLOY, kills=["engine 7 at 1.0 s of deploy"], again=1, seconds=10.0),
        Round(2, 2, Kind.PLAN, kills=["terraform 8 at 1.0 s of plan"], again=1, refused=["data-a"], seconds=20.0),
        Round(3, 3, Kind.PLAN, kills=["engine 9 at 2.0 s of plan"] * 2, again=2, differences=["1 x more: vpc"]),
    ]
    found = summary(results, {Kind.DEPLOY: 1.0, Kind.PLAN: 2.0})
    assert (found["rounds"], found["passed"], found["kills"]) == (3, 2, {"engine": 3, "terraform": 1})
    assert found["kinds"].keys() == {"deploy", "plan"}
    plans = found["kinds"]["plan"]
    assert (plans["rounds"], plans["passed"], plans["planned again"], plans["undisturbed_s"]) == (2, 1, 1, 2.0)
    assert "planned again: data-a" in shown(results[1])
    assert "DIFFERENT: 1 x more: vpc" in shown(results[2])
