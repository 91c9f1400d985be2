"""The commands around plans and reports: what they refuse in one line, what they print where, and their exit codes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rollout.plans import commands
from rollout.plans.changes import StackDiff, StackPlan
from rollout.report import RunReport, StackResult
from rollout.schedule import Status
from shared.contracts import StackId
from stacks import catalogue
from tests.rollout.plans.test_changes_and_verdicts import CHANGES
from tests.rollout.support import SPECS, files_below, ids
from tests.rollout.test_cli import Shell

DATA = ids("data-us-east-1")[0]


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("TRIPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIPOINT_OUTPUTS", str(tmp_path / "flat.json"))
    monkeypatch.setattr(catalogue, "STACKS", SPECS)
    return Shell(tmp_path, monkeypatch, capsys)


REFUSALS = [
    (["diff", "--json", "--details"], "--details: not together with --json"),
    (["diff", "--json-file", "/nowhere/x.json"], "--json-file /nowhere/x.json: there is no such folder"),
    (["drift", "--json-file", "/nowhere/x.json"], "--json-file /nowhere/x.json: there is no such folder"),
    (["drift", "nope"], "layer 'nope' does not exist"),
    (["drift", "--region", "mars-1"], "region 'mars-1' is not in this environment"),
    (["deploy"], "Missing argument 'LAYER', or --plan with a folder"),
    (["deploy", "data", "--plan", "/nowhere"], "not both"),
    (["deploy", "--region", "eu-west-1", "--plan", "/nowhere"], "--region eu-west-1: not together with --plan"),
    (["deploy", "--plan", "/nowhere"], "--plan /nowhere: no saved plans there"),
    (["report"], "no run has left a report in"),
    (["graph", "--svg", "--dot"], "--dot and --svg: one of them"),
]


@pytest.mark.parametrize(("words", "said"), REFUSALS, ids=[" ".join(words) for words, _ in REFUSALS])
def test_a_refusal_is_one_line_with_exit_code_2_and_touches_nothing(
    shell: Shell,
    words: Sequence[str],
    said: str,
) -> None:
    answer = shell(*words, "--config", shell.config())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: ")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert files_below(shell.folder) == ["test.toml"]


class FakeEngine:
    """Says that it has planned one stack."""

    plan = CHANGES

    def __init__(self, project: object, progress: Any, *, parallel: int) -> None:
        self._progress = progress

    def diff(self, stacks: Sequence[StackId], **_: Any) -> RunReport:
        self._progress.say("planning")
        report = RunReport("diff", "test", "t1", "c", {"account_id": "0"}, 1)
        status = Status.UNCHANGED if self.plan.none else Status.PLANNED
        report.stacks = [StackResult(DATA, Path("x"), status, diff=StackDiff(self.plan))]
        return report


def test_json_is_all_that_stands_on_standard_output(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "Engine", FakeEngine)
    answer = shell("diff", "--json", "--config", shell.config())
    assert answer.code == 3
    found = json.loads(answer.out)
    assert found["stacks"][0]["changes"][0]["address"] == "aws_vpc.a"
    assert "planning" in answer.err
    assert "data-us-east-1" in answer.err
    copy = shell.folder / "copy.json"
    assert shell("diff", "--json-file", str(copy), "--config", shell.config()).code == 3
    assert json.loads(copy.read_text())["totals"] == found["totals"]


def test_nothing_to_change_is_exit_code_0(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "Engine", type("Idle", (FakeEngine,), {"plan": StackPlan()}))
    answer = shell("diff", "--config", shell.config())
    assert answer.code == 0
    assert "nothing changed" in answer.out


def test_the_last_report_is_found_and_copied(
    shell: Shell,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "Engine", FakeEngine)
    config = shell.config()
    shell("diff", "--config", config)
    junit = shell.folder / "junit.xml"
    answer = shell("report", "--junit", str(junit), "--config", config)
    assert answer.code == 0
    paths = [Path(line) for line in answer.out.split()]
    assert [path.suffix for path in paths] == [".json", ".html", ".xml"]
    assert all(path.is_file() for path in paths)
    assert junit.read_bytes() == paths[2].read_bytes()
    answer = shell("report", "--html", "/nowhere/x.html", "--config", config)
    assert (answer.code, answer.err) == (2, "error: --html /nowhere/x.html: there is no such folder\n")
