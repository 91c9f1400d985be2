"""One environment of its own that is rolled out and destroyed again and again, and disturbed."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from rollout.engine.attempt import was_cut_off
from rollout.kills.disturbance import Disturbance
from rollout.kills.inventory import inventory
from rollout.kills.rounds import Kind, Round
from rollout.project import Project
from shared.contracts import StackId
from shared.errors import TripointError

# Small, but of everything: resources with names and without, of four services, in two regions that need each other.
LAYERS = ("network", "data")
# The same command again, so often at most, until it says that all is done.
REPEATS = 4
# New plans, so often at most, until there is nothing left to do; the stacks take two rounds of plans undisturbed.
PLANS = 8
# In how many rounds what is destroyed is what a deployment left that was killed.
UNFINISHED = 0.3
CHANGES = 3

_TOLD = re.compile(r"was not recorded|cut off|left of|saved now|without its engine|already applied")
_AGAIN = re.compile(r"plan it again: tripoint diff (\S+) --out")


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
        self._wanted: Counter[str] = Counter()
        self._takes_s: dict[Kind, float] = {}
        # Whether the environment is there as a whole (True), or nothing of it is (False); None: anything may be.
        self._there: bool | None = None
        # Where in the log the last command began.
        self._before = 0

    @property
    def wanted(self) -> Counter[str]:
        """What is there after a deployment that nobody disturbs."""
        return self._wanted

    def undisturbed(self, kinds: Sequence[Kind]) -> dict[Kind, float]:
        """See what is there after runs that nobody disturbs, and how many seconds each kind takes."""
        self._fresh()
        self._takes_s[Kind.DEPLOY] = self._timed("deploy")
        self._wanted = inventory(self.project, self.stacks)
        if {Kind.DESTROY, Kind.PLAN} & set(kinds):
            self._takes_s[Kind.DESTROY] = self._timed("destroy")
        if Kind.PLAN in kinds:
            self._takes_s[Kind.PLAN] = self._planned(self._timed)
        self._there = None
        return self._takes_s

    def round(self, number: int, seed: int, kind: Kind) -> Round:
        """Disturb a command at a moment, and perhaps the next one; then let the same command finish."""
        dice = random.Random(seed)
        result = Round(number, seed, kind)
        while not result.kills:
            # A run that was over before its moment came is not a disturbed one.
            code = self._begun(result, dice)
        said = self._said().splitlines()
        result.recovered = [text for text in said if _TOLD.search(text)]
        if code != 0:
            result.differences.append(f"exit code {code} after {result.again} times the same command")
        result.differences += self._differences(kind)
        self._there = kind is not Kind.DESTROY if result.passed else None
        return result

    def close(self) -> None:
        """Stop the sandbox."""
        self.project.stop_sandbox()

    # -- the kinds --------------------------------------------------------------------------------

    def _begun(self, result: Round, dice: random.Random) -> int:
        """One round from its beginning; gives the last exit code."""
        unfinished = result.kind is Kind.DESTROY and dice.random() < UNFINISHED
        if result.kind is Kind.DESTROY and not unfinished:
            if self._there is not True:
                self._fresh()
                self._timed("deploy")
        elif self._there is not False:
            self._fresh()
        self._log.unlink(missing_ok=True)
        self._there = None
        begin = time.monotonic()
        disturbance = Disturbance(dice, self._takes_s[result.kind], self._start, result.kills)
        if unfinished:
            Disturbance(dice, self._takes_s[Kind.DEPLOY], self._start, result.kills).run("deploy")
        if result.kind is Kind.PLAN:
            code = self._plan(result, disturbance)
        else:
            code = self._until_done(result, disturbance, str(result.kind))
        result.seconds = round(time.monotonic() - begin, 1)
        return code

    def _until_done(self, result: Round, disturbance: Disturbance, *words: str, done: Sequence[int] = (0,)) -> int:
        """A command, and the same again after a kill until it says that it is done, or that plans are of no use."""
        code, killed = disturbance.run(*words)
        while killed or (code not in done and result.kills):
            if result.again == REPEATS or (not killed and self._refused()):
                break
            result.again += 1
            code, killed = disturbance.run(*words)
        return code

    def _plan(self, result: Round, disturbance: Disturbance) -> int:
        """Plans, saved and applied, until there is nothing left to do; plans that are refused are made again."""

        def apply(word: str, folder: str) -> int:
            code = self._until_done(result, disturbance, word, folder, done=(0, CHANGES))
            refused = self._refused()
            if code == 1 and refused:
                result.refused += refused
                return 0
            return code

        return self._plans(apply)

    def _planned(self, run: Callable[..., float]) -> float:
        """The seconds that applying saved plans takes until there is nothing left to do."""
        taken: list[float] = []

        def apply(word: str, folder: str) -> int:
            taken.append(run(word, folder))
            return 0

        code = self._plans(apply)
        if code != 0:
            raise TripointError(f"undisturbed plans ended with exit code {code} (log: {self._log})")
        return sum(taken)

    def _plans(self, apply: Callable[[str, str], int]) -> int:
        for number in range(PLANS):
            folder = self._folder / "plans" / str(number)
            shutil.rmtree(folder, ignore_errors=True)
            code = self._start("save", str(folder)).wait()
            if code != CHANGES:
                return code
            code = apply("plan", str(folder))
            if code not in (0, CHANGES):
                return code
        return CHANGES

    # -- what came of it --------------------------------------------------------------------------

    def _differences(self, kind: Kind) -> list[str]:
        wanted = Counter[str]() if kind is Kind.DESTROY else self._wanted
        found = inventory(self.project, self.stacks)
        differences = [f"{count} x more: {name}" for name, count in sorted((found - wanted).items())]
        differences += [f"{count} x missing: {name}" for name, count in sorted((wanted - found).items())]
        differences += [f"still locked: {lock}" for lock in self.project.store.locks(self.stacks)]
        left = [stack for stack in self.stacks if was_cut_off(self.project.workspace.data(stack))]
        differences += [f"still noted as cut off: {stack}" for stack in left]
        if kind is Kind.DESTROY:
            buckets = [region for region in self.project.environment.regions if self.project.store.has_bucket(region)]
            differences += [f"the state bucket of {region} is still there" for region in buckets]
        # Saved plans have ended with one that is empty.
        if kind is Kind.DEPLOY and self._start("diff").wait() != 0:
            differences.append("a plan is not empty")
        return differences

    def _refused(self) -> list[str]:
        """The stacks that the last command wants to have planned again; nothing when anything else went wrong."""
        said = self._said()[self._before :]
        failed = re.findall(r"^(\S+): failed$", said, flags=re.MULTILINE)
        again = _AGAIN.findall(said)
        return sorted(set(again)) if failed and set(failed) <= set(again) else []

    # -- commands ---------------------------------------------------------------------------------

    @property
    def _log(self) -> Path:
        return self._folder / "round.log"

    def _said(self) -> str:
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def _fresh(self) -> None:
        """An empty sandbox; what an engine keeps on this machine stays, as it does in life."""
        self.project.stop_sandbox()
        self._log.unlink(missing_ok=True)

    def _timed(self, *words: str) -> float:
        begin = time.monotonic()
        if self._start(*words).wait() not in (0, CHANGES):
            said = self._said().strip().splitlines() or ["it said nothing"]
            raise TripointError(
                f"the undisturbed {words[0]} failed: {said[-1].removeprefix('error: ')} (log: {self._log})"
            )
        return time.monotonic() - begin

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        self._before = len(self._said())
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


def chosen(project: Project) -> list[StackId]:
    """The drilled stacks, in the order of the graph."""
    return [stack for stack in project.graph.order if stack.name in LAYERS]
