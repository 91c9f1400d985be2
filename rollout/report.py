"""What a run did: the JSON report, and the summary that is printed.

The report is one JSON object (``reports/<time>-<command>.json`` in the workspace, see `reports.files` for how long;
times in UTC, durations in seconds, memory in MB), as ``docs/report.schema.json`` allows::

    schema             1
    command            "rollout" | "deploy" | "destroy" | "diff" | "drift"
    started_at         ISO 8601
    environment        the environment's name
    suffix             its suffix
    config             the configuration file
    target             the account id, and the endpoint where it is a sandbox
    versions           tripoint, python, terraform (as printed), provider (version and source)
    parallel           how many stacks ran at once
    seconds            of the whole run
    phases             seconds by phase, in order: sandbox, functions, synth, provider, state, stacks, outputs, smoke.
                       "stacks" is wall time; "init" and "apply" (or "destroy", "plan") are sums over the stacks.
    stacks             one object each, in the order of the graph; none where the run ended before it came to them:
        stack, name, region
        status         applied | unchanged | up-to-date (not even planned) | destroyed | planned | drifted | failed |
                       blocked | interrupted | skipped | waiting (for upstream, in a diff)
        seconds        and phases (init, apply, ...)
        added, changed, destroyed, outputs_changed, replaced (addresses)
        resources      in the state afterwards
        reason         why it was applied, or not even planned
        retries        a line per retry: what passes by itself, and the wait
        note           what else is to be known, such as what it waits for
        spans          when each phase was: phase, begin and end in seconds since the run began
        diff           what was planned, see rollout/plans/document.py; null unless the command was diff
        drift          what somebody changed, see rollout/drift.py; null unless the command was drift
        error          lines; empty unless failed
        log            Terraform's output
        log_tail       the end of it, where the stack failed
    resources          in all states afterwards
    smoke              one object per payment: region, read_from, payment_id, status, seconds
    outputs            <stack>.<output> -> value, of all that is deployed; contracts hold no secrets
    peak_memory_mb     the largest process of the run (one Terraform or provider), and this process
    error              lines: why it ended before it came to the stacks, or what failed beside them; else empty
    interrupted        whether somebody stopped it
    ok                 whether everything that was asked for happened
"""

from __future__ import annotations

import platform
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from rollout.counted import counted
from rollout.drift import StackDrift
from rollout.drift import stack_document as drift_document
from rollout.plans.changes import StackDiff
from rollout.plans.document import stack_document
from rollout.progress import STYLES
from rollout.reports.files import log_tail, write_report
from rollout.schedule import Status
from rollout.terraform import Changes
from shared.contracts import StackId

# How much of a stack's error is printed; the log has all of it.
SHOWN_LINES = 20
SHOWN_WIDTH = 400


@dataclass
class StackResult:
    """What became of one stack."""

    stack: StackId
    log: Path
    status: Status = Status.PENDING
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    resources: int = 0
    error: list[str] = field(default_factory=list)
    note: str = ""
    reason: str = ""
    retries: list[str] = field(default_factory=list)
    diff: StackDiff | None = None
    drift: StackDrift | None = None
    spans: list[tuple[str, float, float]] = field(default_factory=list)


@dataclass
class RunReport:
    """What a run did. Grows while it goes on."""

    command: str
    environment: str
    suffix: str
    config: str
    target: dict[str, str]
    parallel: int
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    versions: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    stacks: list[StackResult] = field(default_factory=list)
    smoke: list[dict[str, Any]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False
    smoke_failed: bool = False
    error: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything that was asked for happened."""
        fine = all(result.status.good or result.status is Status.WAITING for result in self.stacks)
        return fine and not self.interrupted and not self.smoke_failed and not self.error

    @property
    def resources(self) -> int:
        return sum(result.resources for result in self.stacks)

    @property
    def failed(self) -> list[StackResult]:
        return [result for result in self.stacks if result.error]

    def count(self, status: Status) -> int:
        return sum(result.status is status for result in self.stacks)

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "command": self.command,
            "started_at": self.started_at.isoformat(timespec="milliseconds"),
            "environment": self.environment,
            "suffix": self.suffix,
            "config": self.config,
            "target": self.target,
            "versions": self.versions,
            "parallel": self.parallel,
            "seconds": round(self.seconds, 2),
            "phases": {name: round(seconds, 2) for name, seconds in self.phases.items()} | self._sums(),
            "stacks": [_stack_dict(result) for result in self.stacks],
            "resources": self.resources,
            "smoke": self.smoke,
            "outputs": self.outputs,
            "peak_memory_mb": peak_memory_mb(),
            "error": self.error,
            "interrupted": self.interrupted,
            "ok": self.ok,
        }

    def write(self, folder: Path) -> Path:
        """Write the report into a folder of reports, with its HTML page and its JUnit XML beside it; returns the JSON
        file."""
        return write_report(self.as_dict(), folder, f"{self.started_at.strftime('%Y%m%dT%H%M%S%fZ')}-{self.command}")

    def _sums(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for result in self.stacks:
            for phase, seconds in result.phases.items():
                sums[phase] = round(sums.get(phase, 0.0) + seconds, 2)
        return sums


def _stack_dict(result: StackResult) -> dict[str, Any]:
    return {
        "stack": str(result.stack),
        "name": result.stack.name,
        "region": result.stack.region,
        "status": str(result.status),
        "seconds": round(result.seconds, 2),
        "phases": {name: round(seconds, 2) for name, seconds in result.phases.items()},
        "added": result.changes.add,
        "changed": result.changes.change,
        "destroyed": result.changes.remove,
        "outputs_changed": result.changes.outputs,
        "replaced": list(result.changes.replaced),
        "resources": result.resources,
        "reason": result.reason,
        "retries": result.retries,
        "note": result.note,
        "spans": [
            {"phase": phase, "begin": round(begin, 2), "end": round(end, 2)} for phase, begin, end in result.spans
        ],
        "diff": stack_document(result) if result.diff is not None else None,
        "drift": drift_document(result) if result.drift is not None else None,
        "error": result.error,
        "log": str(result.log),
        "log_tail": log_tail(result.log) if result.error else [],
    }


def python_version() -> str:
    return f"{platform.python_version()} ({sys.executable})"


def peak_memory_mb() -> dict[str, float]:
    """Largest resident set of any child process, and of this process. Linux counts in KB, macOS in bytes."""
    unit = 1_000_000 if sys.platform == "darwin" else 1_000
    return {
        "largest_child": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit, 1),
        "engine": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1),
    }


def summary_table(report: RunReport) -> Table:
    """A line per stack and the totals."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("stack", no_wrap=True)
    table.add_column("result", no_wrap=True)
    for name in ("seconds", "add", "change", "destroy", "resources"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in report.stacks:
        table.add_row(
            Text(str(result.stack)),
            Text(result.note or str(result.status), STYLES[result.status]),
            f"{result.seconds:.1f}" if result.seconds else "",
            *_counts(result.changes),
            str(result.resources) if result.resources else "",
        )
    total = Changes(
        sum(result.changes.add for result in report.stacks),
        sum(result.changes.change for result in report.stacks),
        sum(result.changes.remove for result in report.stacks),
    )
    table.add_section()
    table.add_row(
        counted(len(report.stacks), "stack"), "", f"{report.seconds:.1f}", *_counts(total), str(report.resources)
    )
    return table


def _counts(changes: Changes) -> tuple[str, str, str]:
    return str(changes.add), str(changes.change), str(changes.remove)


def summary_sentence(report: RunReport) -> str:
    """The whole run in one line."""
    counted = [f"{report.count(status)} {status}" for status in Status if status.final and report.count(status)] or [
        "no stacks"
    ]
    how = "interrupted" if report.interrupted else "done" if report.ok else "failed"
    nothing = (
        report.ok
        and report.stacks
        and all(result.status in (Status.UNCHANGED, Status.UP_TO_DATE) for result in report.stacks)
    )
    return f"{report.command} {how} in {report.seconds:.1f} s: {', '.join(counted)}" + (
        "; nothing changed" if nothing else ""
    )


def shorten(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 3]}..."


def failure_lines(report: RunReport, shown: Callable[[Path], str] = str) -> list[str]:
    """Why stacks failed, each with the log that says more."""
    lines = [shorten(line, SHOWN_WIDTH) for line in report.error]
    for result in report.failed:
        lines.append(f"{result.stack}: {result.status}")
        lines.extend(f"  {shorten(line, SHOWN_WIDTH)}" for line in result.error[:SHOWN_LINES])
        lines.append(f"  log: {shown(result.log)}")
    return lines
