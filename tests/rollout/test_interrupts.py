"""Ctrl-C, termination and a closed terminal: what they end, and how."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rollout.interrupts import Interrupts, StoppedCommand, ending

ROOT = Path(__file__).parents[2]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_command_ends_at_the_first_signal_and_stacks_that_run_finish(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # the tests may run under nohup, or behind a shell's `&`
    interrupts = Interrupts()

    def command() -> None:
        with ending():
            with interrupts.caught():
                os.kill(os.getpid(), number)
                os.kill(os.getpid(), number)
            assert interrupts.count == 2
            os.kill(os.getpid(), number)
            time.sleep(10)

    try:
        with pytest.raises(StoppedCommand):
            command()
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_hang_up_that_is_ignored_stays_ignored() -> None:
    """`nohup tripoint rollout` outlives its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        interrupts = Interrupts()
        with ending(), interrupts.caught():
            os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.count == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("signals", "said"), [(1, ["ended"]), (2, [])])
def test_a_second_signal_ends_a_command_that_takes_long_to_end(signals: int, said: list[str]) -> None:
    code = f"""
import os, signal
from rollout.interrupts import StoppedCommand, ending
try:
    with ending():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            for _ in range({signals} - 1):
                os.kill(os.getpid(), signal.SIGTERM)
except StoppedCommand:
    print("ended")
    raise SystemExit(130)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (130, said, "")
