"""One environment of its own that is rolled out again and again, and disturbed."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rollout.kills.inventory import inventory
from rollout.kills.victims import Victim, kill
from rollout.project import Project
from shared.contracts import StackId
from shared.errors import TripointError

# Small, but of everything: resources with names and without, of four services, in two regions that need each other.
LAYERS = ("network", "data")
# The same command again, so often at most, until it says that all is done.
REPEATS = 4
# In how many rounds the next run is disturbed too.
TWICE = 0.25


@dataclass
class Round:
    """What came of one round.

    Attributes
    ----------
    kills
        Who was killed, and when: seconds after the command began.
    again
        How often the same command was needed afterwards.
    seconds
        From the first command to the last.
    recovered
        Lines of the engine about what it found of the run that was cut off.
    differences
        What is not as after an undisturbed run; empty when it passed.
    """

    number: int
    seed: int
    kills: list[str] = field(default_factory=list)
    again: int = 0
    seconds: float = 0.0
    recovered: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.differences


class Drill:
    """The drilled environment.

    Parameters
    ----------
    folder
        Everything of the drill is written here.
    port
        Of its sandbox.
    parallel
        How many stacks a run works on at once.
    say
        Told of what happens.
    """

    def __init__(self, folder: Path, *, port: int, parallel: int, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._parallel = parallel
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "kill-drill.toml"
        config.write_text(drilled(Path("config/sandbox.toml").read_text(encoding="utf-8"), port), encoding="utf-8")
        os.environ |= {"TRIPOINT_HOME": str(folder / "home"), "TRIPOINT_OUTPUTS": str(folder / "outputs.json")}
        self.project = Project.open(config)
        self.stacks = chosen(self.project)
        self._config = config

    def undisturbed(self) -> tuple[Counter[str], float]:
        """What is there after a run that nobody disturbs, and how many seconds it takes."""
        self._fresh()
        begin = time.monotonic()
        run = self._start()
        if run.wait() != 0:
            said = self._log.read_text(encoding="utf-8").strip().splitlines() or ["it said nothing"]
            raise TripointError(f"the undisturbed run failed: {said[-1].removeprefix('error: ')} (log: {self._log})")
        return inventory(self.project, self.stacks), time.monotonic() - begin

    def round(self, number: int, seed: int, wanted: Counter[str], takes_s: float) -> Round:
        """Disturb one run at a moment, and perhaps the one after it; then let the same command finish."""
        dice = random.Random(seed)
        result = Round(number, seed)
        while not result.kills:
            # A run that was over before its moment came is not a disturbed one.
            self._fresh()
            begin = time.monotonic()
            code = self._disturbed(result, dice, takes_s)
        if dice.random() < TWICE:
            code = self._disturbed(result, dice, takes_s / 2)
        while (code != 0 or not result.again) and result.again < REPEATS:
            result.again += 1
            code = self._start().wait()
        result.seconds = round(time.monotonic() - begin, 1)
        said = self._log.read_text(encoding="utf-8").splitlines()
        result.recovered = [line for line in said if re.search(r"was not recorded|cut off|left of|saved now", line)]
        if code != 0:
            result.differences.append(f"exit code {code} after {result.again} times the same command")
        found = inventory(self.project, self.stacks)
        result.differences += [f"{count} x more: {name}" for name, count in sorted((found - wanted).items())]
        result.differences += [f"{count} x missing: {name}" for name, count in sorted((wanted - found).items())]
        result.differences += [f"still locked: {lock}" for lock in self.project.store.locks(self.stacks)]
        if self._start("diff").wait() != 0:
            result.differences.append("a plan is not empty")
        return result

    def close(self) -> None:
        """Stop the sandbox."""
        self.project.stop_sandbox()

    def _disturbed(self, result: Round, dice: random.Random, takes_s: float) -> int:
        victim = dice.choice(list(Victim))
        moment = dice.uniform(0.0, 0.9 * takes_s)
        begin = time.monotonic()
        run = self._start()
        while time.monotonic() < begin + moment and run.poll() is None:
            time.sleep(0.02)
        killed = kill(run.pid, victim, dice, deadline=begin + 10 * takes_s)
        if killed:
            result.kills.append(f"{victim} at {time.monotonic() - begin:.1f} s")
        return run.wait()

    @property
    def _log(self) -> Path:
        return self._folder / "round.log"

    def _fresh(self) -> None:
        """An empty sandbox; what an engine keeps on this machine stays, as it does in life."""
        self.project.stop_sandbox()
        self._log.unlink(missing_ok=True)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "rollout.kills.rollout", str(self._config), str(self._parallel), *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )


def drilled(sandbox: str, port: int) -> str:
    """The sandbox's configuration in two regions, under another name and port."""
    text = re.sub(r"^suffix = .*$", 'suffix = "killed"', sandbox, flags=re.MULTILINE)
    text = re.sub(r"http://127\.0\.0\.1:\d+", f"http://127.0.0.1:{port}", text)
    return re.sub(r"^\[regions\.ap-southeast-1\]\n(?:.+\n)*", "", text, flags=re.MULTILINE)


def line(result: Round) -> str:
    """A round as a line of JSON."""
    return json.dumps({**asdict(result), "passed": result.passed})


def chosen(project: Project) -> list[StackId]:
    """The drilled stacks, in the order of the graph."""
    return [stack for stack in project.graph.order if stack.name in LAYERS]
