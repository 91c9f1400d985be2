"""The set-up from nothing but Python: what stops it half-way does not stop the next one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rollout import bootstrap


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project where nothing is installed, and where what would be installed is only noted."""
    for name in ("pyproject.toml", "poetry.lock"):
        (tmp_path / name).touch()
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "TOOLS", tmp_path / ".tools")
    monkeypatch.setattr(bootstrap, "STAMP", tmp_path / ".venv" / ".bootstrapped")
    return tmp_path


def without_pip(environment: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)


def test_an_environment_that_was_left_without_pip_is_made_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set-up that is killed while Python makes the environment leaves an interpreter without pip."""
    made: list[str] = []
    without_pip(place / ".tools")
    without_pip(place / ".venv")
    monkeypatch.setattr(bootstrap, "_create", lambda environment: made.append(environment.name))
    monkeypatch.setattr(bootstrap, "_run", lambda command, environment=None: None)
    bootstrap.bootstrap()
    assert made == [".tools"]
    assert (place / ".venv" / ".bootstrapped").exists()


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (KeyboardInterrupt(), (130, "error: interrupted; the same command goes on\n")),
        (
            OSError(30, "Read-only file system", ".venv"),
            (1, "error: the set-up needs to write here: [Errno 30] Read-only file system: '.venv'\n"),
        ),
    ],
    ids=["Ctrl-C", "read-only"],
)
def test_what_stops_the_set_up_is_one_line(
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    end: tuple[int, str],
) -> None:
    def stop(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(bootstrap, "_run", stop)
    assert (bootstrap.main(), capsys.readouterr().err) == end
    assert not (place / ".venv" / ".bootstrapped").exists()
