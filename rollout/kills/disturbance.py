"""Runs commands and kills somebody at chosen moments."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable

from rollout.kills.victims import Victim, kill

# In how many rounds the next command is disturbed too.
TWICE = 0.25
# How long to wait for a victim, in times of an undisturbed run.
_PATIENCE = 10


class Disturbance:
    """The kills of one round.

    Parameters
    ----------
    dice
        Of the round.
    takes_s
        How long the disturbed commands of the round take undisturbed, together.
    start
        Starts a command of the drill.

    Attributes
    ----------
    kills
        Who was killed so far, and when.
    """

    def __init__(
        self, dice: random.Random, takes_s: float, start: Callable[..., subprocess.Popen[bytes]], kills: list[str]
    ) -> None:
        self._dice = dice
        self._takes_s = takes_s
        self._start = start
        self._moments = [dice.uniform(0.0, 0.9 * takes_s)]
        if dice.random() < TWICE:
            self._moments.append(dice.uniform(0.0, takes_s / 2))
        self.kills = kills

    def run(self, *words: str) -> tuple[int, bool]:
        """Run a command, and kill somebody when the next moment has come; its exit code, and whether somebody was
        killed. A command that ends first leaves the rest of the time to the next one."""
        if not self._moments:
            return self._start(*words).wait(), False
        victim, begin = self._dice.choice(list(Victim)), time.monotonic()
        run = self._start(*words)
        while time.monotonic() < begin + self._moments[0] and run.poll() is None:
            time.sleep(0.02)
        killed = kill(run.pid, victim, self._dice, deadline=begin + _PATIENCE * self._takes_s)
        if killed:
            self.kills.append(f"{victim} at {time.monotonic() - begin:.1f} s of {words[0]}")
            self._moments.pop(0)
        code = run.wait()
        if not killed:
            self._moments[0] = max(0.0, self._moments[0] - (time.monotonic() - begin))
        return code, bool(killed)
