"""Where reports lie: ``<time>-<command>`` as .json, .html and .xml, and ``last`` for the latest of each kind.

The newest `RUNS_KEPT` runs stay, and of each command the newest one however old it is: a drift check every hour does
not push out what the last deployment did.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollout.reports.junit import junit
from rollout.reports.page import page
from shared.errors import UsageError

KINDS = (".json", ".html", ".xml")
LAST = "last"
RUNS_KEPT = 100  # at some 100 KB each
_RUN = re.compile(r"\d{8}T\d{12}Z-[a-z-]+")
# How much of the end of a log tells why a stack failed, and how wide a line may be.
_TAIL_LINES = 40
_TAIL_WIDTH = 500
_TAIL_BYTES = 64_000


def write_report(report: Mapping[str, Any], folder: Path, name: str) -> Path:
    """Write a report as JSON, HTML and JUnit XML into a folder and delete the oldest ones there; returns the JSON
    file."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {".json": json.dumps(report, indent=2) + "\n", ".html": page(report), ".xml": junit(report)}
    for kind, text in texts.items():
        (folder / f"{name}{kind}").write_text(text, encoding="utf-8")
        _point(folder / f"{LAST}{kind}", f"{name}{kind}")
    _delete_old(folder)
    return folder / f"{name}.json"


def find_report(folder: Path, run: str | None = None) -> Path:
    """The JSON file of a run: the last one, or the one whose name begins like this.

    Raises
    ------
    UsageError
        When there is none, or more than one.
    """
    names = sorted(path.stem for path in folder.glob("*.json") if path.stem != LAST) if folder.is_dir() else []
    if not names:
        raise UsageError(f"no run has left a report in {folder} yet")
    if run is None:
        return folder / f"{names[-1]}.json"
    found = [name for name in names if name.startswith(run)]
    if len(found) != 1:
        allowed = ", ".join((found or names)[-5:])
        raise UsageError(f"run {run!r} is {'no' if not found else 'more than one'} report; the latest: {allowed}")
    return folder / f"{found[0]}.json"


def _delete_old(folder: Path) -> None:
    # By any of its files, so that a run is deleted whole even when the one that did it before was stopped half way.
    runs = sorted({path.stem for path in folder.iterdir() if path.suffix in KINDS and _RUN.fullmatch(path.stem)})
    newest = {run.partition("-")[2]: run for run in runs}.values()
    for run in runs[:-RUNS_KEPT]:
        if run not in newest:
            for kind in KINDS:
                (folder / f"{run}{kind}").unlink(missing_ok=True)


def log_tail(log: Path) -> list[str]:
    """The end of a stack's log: of its last command, as far as it says why that failed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    starts = [number for number, line in enumerate(lines) if line.startswith("=== ") and " exit code " not in line]
    own = lines[starts[-1] :] if starts else lines
    return [line[:_TAIL_WIDTH] for line in own[-_TAIL_LINES:]]


def _point(link: Path, name: str) -> None:
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(name)
    draft.replace(link)
