"""Locust, started and followed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rollout import outputs as flat_outputs
from rollout.project import Project
from shared.errors import TripointError

LOCUSTFILE = Path(__file__).resolve().parents[1] / "load" / "locustfile.py"


class LoadError(TripointError):
    """The load cannot be started, or ended before its time."""


@dataclass(frozen=True)
class Answer:
    """One answer to one request. ``at`` is when the request was sent, ``status`` 0 when nothing answered."""

    number: int
    copy: int
    region: str
    caller: str
    token: str
    at: float
    took_ms: float
    status: int
    payment_id: str
    said: str
    retry_after: float | None

    @property
    def accepted(self) -> bool:
        return 200 <= self.status < 300

    @property
    def pushed_back(self) -> bool:
        return self.status in (429, 503)


class Load:
    """A run of the load."""

    def __init__(
        self,
        project: Project,
        outputs: Mapping[str, Any],
        folder: Path,
        *,
        payments: int,
        seed: int,
        mix: str,
        run: str,
    ) -> None:
        if find_spec("locust") is None:
            raise LoadError("Locust is not installed; run: make setup")
        folder.mkdir(parents=True, exist_ok=True)
        self._answers, self._log = folder / "answers.jsonl", folder / "locust.log"
        self._answers.unlink(missing_ok=True)
        flat_outputs.write(folder / "outputs.json", outputs)
        self._settings = {
            "--tripoint-config": project.config,
            "--tripoint-outputs": folder / "outputs.json",
            "--payments": payments,
            "--seed": seed,
            "--mix": mix,
            "--run-name": run,
            "--answers": self._answers,
        }
        self._read = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.answers: list[Answer] = []
        self.health: list[dict[str, Any]] = []
        self.gave_up = 0
        self.accepted: dict[int, float] = {}
        self.by_region: Counter[str] = Counter()

    def start(self, *, users: int, pace: float) -> None:
        """Begin to send."""
        command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--headless", "--only-summary"]
        command += ["-u", str(users), "-r", "1", "--loglevel", "WARNING", "--pace", str(pace)]
        command += [str(word) for pair in self._settings.items() for word in pair]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def follow(self) -> bool:
        """Take in what was answered since the last time; whether it still runs.

        Raises
        ------
        LoadError
            When it ended before a single request.
        """
        running = self._process is not None and self._process.poll() is None
        if self._answers.exists():
            with self._answers.open("rb") as file:
                file.seek(self._read)
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    self._read += len(line)
                    self._take(json.loads(line))
        if not running and not self.answers:
            raise LoadError(f"the load did not start; see {self._log}")
        return running

    def _take(self, told: dict[str, Any]) -> None:
        kind = told.pop("kind")
        if kind == "health":
            self.health.append(told)
        elif kind == "gave_up":
            self.gave_up += 1
        else:
            told.pop("attempt")
            answer = Answer(**told)
            self.answers.append(answer)
            if answer.accepted:
                if answer.number not in self.accepted:
                    self.by_region[answer.region] += 1
                self.accepted.setdefault(answer.number, answer.at + answer.took_ms / 1000)
