"""What people see of a run, and the report that it leaves."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from rollout.progress import Line, LiveProgress, PlainProgress, plain_line, progress_for
from rollout.report import RunReport, StackResult, failure_lines, summary_sentence, summary_table
from rollout.schedule import Status
from rollout.terraform import Changes
from shared.contracts import StackId

DATA, EDGE = StackId("data", "us-east-1"), StackId("edge", "us-east-1")


def report(*results: StackResult, **values: object) -> RunReport:
    found = RunReport(
        command="deploy", environment="test", suffix="t1", config="c.toml", target={"account_id": "0"}, parallel=2
    )
    found.stacks = list(results)
    found.seconds = 61.25
    for name, value in values.items():
        setattr(found, name, value)
    return found


def applied() -> StackResult:
    return StackResult(
        DATA, Path("data.log"), Status.APPLIED, 12.34, {"init": 1.0, "apply": 11.0}, Changes(add=3), resources=3
    )


def failed(*lines: str) -> StackResult:
    return StackResult(EDGE, Path("edge.log"), Status.FAILED, 2.0, {"init": 0.5}, error=list(lines))


def test_without_a_terminal_there_is_one_line_per_change_of_state() -> None:
    stream = io.StringIO()
    progress = progress_for(Console(file=stream))
    progress.begin([DATA])
    line = Line(DATA)
    for status, phase in (
        (Status.RUNNING, ""), (Status.RUNNING, "init"), (Status.RUNNING, "init"), (Status.RUNNING, "apply"),
    ):  # fmt: skip
        line.status, line.phase = status, phase
        line.done += 1
        progress.update(line)
    line.status, line.seconds, line.note = Status.APPLIED, 12.34, "3 added"
    progress.update(line)
    progress.end()
    assert stream.getvalue().splitlines() == [
        "data-us-east-1: init",
        "data-us-east-1: apply",
        "data-us-east-1: applied in 12.3 s (3 added)",
    ]
    assert stream.getvalue().replace("\n", "").isprintable()


def test_a_blocked_stack_has_no_seconds() -> None:
    assert plain_line(Line(EDGE, Status.BLOCKED)) == "edge-us-east-1: blocked"


def test_a_terminal_gets_a_table_with_state_seconds_and_resources() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100, _environ={"TERM": "xterm"})
    progress = progress_for(console)
    assert isinstance(progress, LiveProgress)
    progress.begin([DATA, EDGE])
    progress.update(Line(DATA, Status.RUNNING, "apply", done=3, planned=14, current="aws_kms_key.k"))
    progress.say("a line that stays [not markup]")
    progress.end()
    shown = stream.getvalue()
    for text in ("data-us-east-1", "apply", "3/14", "aws_kms_key.k", "edge-us-east-1", "pending", "[not markup]"):
        assert text in shown


def test_a_dumb_terminal_gets_plain_lines() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"})
    assert isinstance(progress_for(console), PlainProgress)


def test_the_sentence_says_how_it_ended() -> None:
    unchanged = StackResult(DATA, Path("x"), Status.UNCHANGED)
    assert summary_sentence(report(applied())) == "deploy done in 61.2 s: 1 applied"
    assert summary_sentence(report(unchanged)) == "deploy done in 61.2 s: 1 unchanged; nothing changed"
    assert summary_sentence(report(applied(), failed("x"))) == "deploy failed in 61.2 s: 1 applied, 1 failed"
    assert summary_sentence(report(applied(), interrupted=True)).startswith("deploy interrupted in ")


def test_only_good_ends_count_as_done() -> None:
    assert report(applied()).ok
    assert not report(applied(), failed("x")).ok
    assert not report(StackResult(EDGE, Path("x"), Status.BLOCKED)).ok
    assert not report(applied(), smoke_failed=True).ok
    assert not report(applied(), interrupted=True).ok


def test_a_failure_is_shown_with_its_stack_and_log_and_not_endlessly() -> None:
    lines = failure_lines(report(failed("error: no", "x" * 1000, *["more"] * 100)), str)
    assert lines[:2] == ["edge-us-east-1: failed", "  error: no"]
    assert lines[-1] == "  log: edge.log"
    assert len(lines) < 30
    assert max(map(len, lines)) < 500


def test_the_summary_has_a_row_per_stack_and_the_totals() -> None:
    stream = io.StringIO()
    Console(file=stream, width=120).print(summary_table(report(applied(), failed("x"))))
    rows = [line.split() for line in stream.getvalue().splitlines() if line.strip()]
    assert ["data-us-east-1", "applied", "12.3", "3", "0", "0", "3"] in rows
    assert ["2", "stacks", "61.2", "3", "0", "0", "3"] in rows


def test_the_report_file_says_everything(tmp_path: Path) -> None:
    found = report(applied(), failed("error: no"), phases={"synth": 4.0})
    path = found.write(tmp_path)
    data = json.loads(path.read_text())
    assert data["phases"] == {"synth": 4.0, "init": 1.5, "apply": 11.0}
    assert data["stacks"][0] == {
        "stack": "data-us-east-1",
        "name": "data",
        "region": "us-east-1",
        "status": "applied",
        "seconds": 12.34,
        "phases": {"init": 1.0, "apply": 11.0},
        "added": 3,
        "changed": 0,
        "destroyed": 0,
        "outputs_changed": 0,
        "replaced": [],
        "resources": 3,
        "reason": "",
        "retries": [],
        "note": "",
        "spans": [],
        "diff": None,
        "drift": None,
        "error": [],
        "log": "data.log",
        "log_tail": [],
    }
    assert data["stacks"][1]["error"] == ["error: no"]
    assert (data["ok"], data["resources"]) == (False, 3)
    assert data["peak_memory_mb"]["engine"] > 1
