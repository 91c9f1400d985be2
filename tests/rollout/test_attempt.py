"""Work on a stack as the only one on this machine, and what is left of it when it's killed (LAY-06)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rollout.children import InterruptedRunError
from rollout.engine.attempt import Attempt, Notes, exclusive, was_cut_off
from rollout.sandbox import processes

# Holds the lock like an engine: begins, starts a child that inherits it, and waits to be killed.
ENGINE = """
import subprocess, sys, time
from pathlib import Path
from rollout.engine.attempt import exclusive
folder = Path(sys.argv[1])
with exclusive(folder, say=print, stopping=lambda: False, stop=Exception) as attempt:
    attempt.begin("id-1", "apply")
    command = [sys.executable, "-c", sys.argv[2], str(folder / "end")]
    child = subprocess.Popen(command, pass_fds=[attempt.descriptor], process_group=0)
    attempt.started(child.pid)
    (folder / "ready").write_text(str(child.pid))
    time.sleep(60)
"""
# A Terraform that works until it is told to end, and says when it has.
WORKS = """
import sys, time
from pathlib import Path
while not Path(sys.argv[1]).exists():
    time.sleep(0.02)
Path(sys.argv[1]).with_name("ended").touch()
"""
# A Terraform that starts a provider and is killed; the provider stays.
LEAVES = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
LEAVES += " close_fds=False); time.sleep(60)"


class Victim:
    """An engine in a process of its own, and the Terraform that it started."""

    def __init__(self, folder: Path, child: str) -> None:
        self.engine = subprocess.Popen([sys.executable, "-c", ENGINE, str(folder), child])
        self.terraform = int(soon(lambda: (folder / "ready").exists() and (folder / "ready").read_text()))

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        if pid == self.engine.pid:
            self.engine.wait()
        soon(lambda: not processes.alive(pid))


def soon(probe: Callable[[], object], seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return str(found)


@pytest.fixture
def victims(tmp_path: Path) -> Iterator[Callable[[str], Victim]]:
    made: list[Victim] = []

    def make(child: str) -> Victim:
        made.append(Victim(tmp_path, child))
        return made[-1]

    yield make
    for victim in made:
        for pid in (victim.engine.pid, victim.terraform):
            if processes.alive(pid):
                victim.kill(pid)
        victim.engine.wait()


def entered(folder: Path) -> tuple[Attempt, list[str]]:
    said: list[str] = []
    with exclusive(folder, say=said.append, stopping=lambda: False, stop=InterruptedRunError) as attempt:
        return attempt, said


def test_an_attempt_that_ends_leaves_nothing(tmp_path: Path) -> None:
    with exclusive(tmp_path, say=print, stopping=lambda: False, stop=InterruptedRunError) as attempt:
        attempt.begin("id-1", "apply")
        attempt.journal.write_text("said")
        assert was_cut_off(tmp_path)
        attempt.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["attempt.lock"]
    assert entered(tmp_path)[0].cut_off is None


def test_what_was_written_down_before_the_end_is_there_after_it(tmp_path: Path) -> None:
    with exclusive(tmp_path, say=print, stopping=lambda: False, stop=InterruptedRunError) as attempt:
        attempt.begin("id-1", "destroy")
    assert entered(tmp_path)[0].cut_off == Notes("id-1", "destroy")


def test_a_terraform_that_outlives_its_engine_is_waited_for(tmp_path: Path, victims: Callable[[str], Victim]) -> None:
    victim = victims(WORKS)
    victim.kill(victim.engine.pid)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        (tmp_path / "end").touch()

    with exclusive(tmp_path, say=say, stopping=lambda: False, stop=InterruptedRunError) as attempt:
        assert (tmp_path / "ended").exists()
    assert said == [
        f"an earlier run on this machine still works on it (process {victim.terraform}); waiting for it to finish"
    ]
    assert attempt.cut_off is not None
    assert attempt.cut_off.lock_id == "id-1"


def test_a_provider_whose_terraform_was_killed_is_ended(tmp_path: Path, victims: Callable[[str], Victim]) -> None:
    victim = victims(LEAVES)
    [provider] = json.loads(soon(lambda: processes.descendants(victim.terraform)))
    victim.kill(victim.engine.pid)
    victim.kill(victim.terraform)
    _, said = entered(tmp_path)
    soon(lambda: not processes.alive(provider))
    assert said[0] == f"process {provider} is left of a Terraform that was killed, and is ended"


def test_a_live_engine_is_never_ended_and_waiting_can_be_interrupted(
    tmp_path: Path, victims: Callable[[str], Victim]
) -> None:
    victim = victims(WORKS)
    victim.kill(victim.terraform)
    said: list[str] = []
    looks = iter([False, False, True])
    with (
        pytest.raises(InterruptedRunError),
        exclusive(tmp_path, say=said.append, stopping=lambda: next(looks), stop=InterruptedRunError),
    ):
        pytest.fail("entered while another engine works")
    assert processes.alive(victim.engine.pid)
    assert said == ["an earlier run on this machine still works on it (another engine); waiting for it to finish"]
