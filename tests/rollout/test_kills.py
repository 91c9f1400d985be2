"""The drill that kills: whom it kills, and where it does so."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollout.kills.drill import Round, chosen, drilled, line
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
        yield process
        for pid in [process.pid, *processes.descendants(process.pid)]:
            if processes.alive(pid):
                subprocess.run(["kill", "-9", str(pid)], check=True)


def deadline() -> float:
    return time.monotonic() + 5


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
    assert '"passed": true' in line(Round(1, 2))
    assert '"passed": false' in line(Round(1, 2, differences=["1 x more: vpc"]))
