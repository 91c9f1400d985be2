"""A run as a page and as JUnit XML: everything is there, nothing comes from outside, and text stays text."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from rollout.drift import Difference, Drifted, StackDrift
from rollout.plans.changes import Action, ResourceChange, StackDiff, StackPlan
from rollout.report import RunReport, StackResult
from rollout.reports import files
from rollout.reports.commands import report as report_command
from rollout.reports.files import find_report, log_tail
from rollout.reports.junit import junit
from rollout.reports.page import page
from rollout.reports.style import STYLE
from rollout.schedule import Status
from rollout.terraform import Changes
from shared.errors import UsageError
from tests.rollout.support import GRAPH

HOSTILE = "<script>alert('x')</script> & \"<img src=http://evil.test/a.png>\" \x00\x1b[31m"
LOST = ResourceChange("aws_kms_key.key", "aws_kms_key", Action.REPLACE, reason="cannot be changed in place")


def run(tmp_path: Path) -> dict[str, Any]:
    log = tmp_path / "stack.log"
    log.write_text(
        f"=== t apply\nan earlier command\n=== t exit code 0 after 1 s\n=== t apply\n{HOSTILE}\nError: last\n"
    )
    report = RunReport("deploy", HOSTILE, "t1", HOSTILE, {"account_id": "000000000000"}, 3, seconds=60.0)
    for number, stack in enumerate(GRAPH.order):
        result = StackResult(stack, log, Status.APPLIED, 10.0, {"apply": 9.0}, Changes(3, 2, 1))
        result.spans = [("init", number, number + 1.0), ("apply", number + 1.0, number + 10.0)]
        report.stacks.append(result)
    first, second, third = report.stacks[:3]
    first.status, first.error, first.note = Status.FAILED, [HOSTILE, "second line"], HOSTILE
    second.status, second.note = Status.BLOCKED, "by the first"
    third.diff = StackDiff(StackPlan((LOST,), (HOSTILE,)), {GRAPH.order[0]: ("vpc_id",)}, "planned with mock outputs")
    third.drift = StackDrift(
        (Drifted("aws_sqs_queue.q", "aws_sqs_queue", differences=(Difference("tags.a", HOSTILE, 1),)),)
    )
    report.smoke = [{"region": "us-east-1", "payment_id": HOSTILE, "status": "FAILED", "seconds": 1.5}]
    report.outputs = {"edge-us-east-1.api_url": HOSTILE}
    report.versions = {"terraform": HOSTILE}
    return report.as_dict()


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.texts)


def test_the_page_loads_and_runs_nothing_whatever_stands_in_the_report(tmp_path: Path) -> None:
    seen = Page(page(run(tmp_path)))
    allowed = {
        "html", "head", "meta", "title", "style", "body", "header", "main", "section", "h1", "h2", "h3", "b", "i", "p",
        "span", "div", "ul", "li", "table", "tr", "th", "td", "pre", "details", "summary",
    }  # fmt: skip
    assert {tag for tag, _ in seen.tags} <= allowed
    names = {name for _, attributes in seen.tags for name in attributes}
    assert not names & {"src", "href", "srcset", "onerror", "onload", "action"}
    assert not re.search(r"url\(|@import", seen.text)
    policies = [attributes["content"] for _, attributes in seen.tags if "http-equiv" in attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "<script>alert('x')</script>" in seen.text, "shown as the text that it is"


def test_the_page_has_every_stack_its_bar_its_failure_and_its_log(tmp_path: Path) -> None:
    seen = Page(page(run(tmp_path)))
    bars = [attributes for tag, attributes in seen.tags if tag == "i" and attributes.get("style")]
    assert len(bars) == 2 * len(GRAPH.order)
    assert all(seen.texts.count(str(stack)) >= 2 for stack in GRAPH.order)
    assert bars[2]["style"] == "left: 1.667%; width: 1.667%"
    for wanted in ("second line", "Error: last", "Blocked by this", "aws_kms_key.key", "tags.a", "pay", "api_url"):
        assert wanted in seen.text
    assert "an earlier command" not in seen.text, "only what the last command said"
    [danger] = [attributes for tag, attributes in seen.tags if tag == "li" and attributes.get("class") == "danger"]
    assert danger
    assert "planned with mock outputs of network-us-east-1" in seen.text
    assert ": 1 resource " in seen.text


def test_a_run_that_went_well_has_no_failures_on_its_page() -> None:
    report = RunReport("rollout", "test", "t1", "c", {"account_id": "0", "endpoint": "http://127.0.0.1:1"}, 1)
    report.stacks = [StackResult(GRAPH.order[0], Path("x"), Status.UP_TO_DATE, reason="nothing changed since")]
    seen = Page(page(report.as_dict()))
    ids = {attributes["id"] for _, attributes in seen.tags if "id" in attributes}
    assert ids == {"stacks", "run"}
    assert "nothing changed since" in seen.text


def test_junit_has_a_case_per_stack_and_per_payment(tmp_path: Path) -> None:
    root = ElementTree.fromstring(junit(run(tmp_path)))
    suite = root[0]
    cases = {case.attrib["name"]: case for case in suite}
    assert len(suite) == len(GRAPH.order) + 1
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["skipped"]) == (str(len(suite)), "2", "1")
    failure = cases["network-us-east-1"].find("failure")
    assert failure is not None
    assert failure.attrib["type"] == "failed"
    assert "<script>" in failure.attrib["message"]
    assert "second line" in str(failure.text)
    assert "\x1b" not in failure.attrib["message"]
    skipped = cases[str(GRAPH.order[1])].find("skipped")
    assert skipped is not None
    assert skipped.attrib["message"] == "blocked: by the first"
    assert cases[str(GRAPH.order[3])].attrib["time"] == "10.000"
    assert cases["payment in us-east-1"].find("failure") is not None


def empty_run(command: str, second: int) -> RunReport:
    """A run that began at this second: reports are named after that time."""
    began = datetime(2026, 1, 2, 3, 4, second, tzinfo=UTC)
    return RunReport(command, "test", "t1", "c", {"account_id": "0"}, 1, started_at=began)


def test_every_run_leaves_three_files_and_the_last_one_is_found_by_name(tmp_path: Path) -> None:
    made = [empty_run(command, second).write(tmp_path) for second, command in enumerate(("diff", "deploy"))]
    for path in made:
        assert {path.with_suffix(kind).is_file() for kind in (".json", ".html", ".xml")} == {True}
    assert (tmp_path / "last.html").resolve() == made[1].with_suffix(".html").resolve()
    assert find_report(tmp_path) == made[1]
    assert find_report(tmp_path, made[0].stem) == made[0]
    with pytest.raises(UsageError, match=r"'nope' is no report; the latest: .*-deploy"):
        find_report(tmp_path, "nope")
    with pytest.raises(UsageError, match="more than one"):
        find_report(tmp_path, "2")
    with pytest.raises(UsageError, match="no run has left a report in"):
        find_report(tmp_path / "empty")


def test_old_runs_go_whole_and_the_newest_of_each_command_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drift check every hour does not push out the last deployment; what is no run stays."""
    monkeypatch.setattr(files, "RUNS_KEPT", 3)
    (tmp_path / "20260101T000000-notes.json").write_text("{}")
    commands = ("deploy", "deploy", *["drift"] * 5)
    made = [empty_run(command, second).write(tmp_path) for second, command in enumerate(commands)]
    for kind in files.KINDS:
        left = {path.stem for path in tmp_path.glob(f"*{kind}")} - {files.LAST, "20260101T000000-notes"}
        assert left == {path.stem for path in (made[1], *made[-3:])}
        assert (tmp_path / f"last{kind}").resolve() == made[-1].with_suffix(kind)
    assert (tmp_path / "20260101T000000-notes.json").is_file()
    made[-3].unlink()
    made += [empty_run("drift", len(commands)).write(tmp_path)]
    assert not made[-4].with_suffix(".html").exists(), "what a deletion that was cut short has left"


def test_what_the_help_says_of_old_runs_is_so() -> None:
    assert f"newest {files.RUNS_KEPT} runs" in str(report_command.__doc__)


def test_a_log_is_shown_from_its_last_command_on(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(
        "=== t init\nold\n=== t exit code 0 after 1 s\n=== t apply\n" + "line\n" * 100 + "=== t exit code 1 after 2 s\n"
    )
    tail = log_tail(log)
    assert len(tail) == 40
    assert tail[-1] == "=== t exit code 1 after 2 s"
    assert log_tail(tmp_path / "absent.log") == []


def luminance(colour: str) -> float:
    """WCAG 2.2, "relative luminance", of #rgb or #rrggbb."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_can_be_read_by_day_and_by_night(scheme: str) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1."""
    light, dark = (dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{(.*?)\}", STYLE, re.S))
    colours = light if scheme == "light" else light | dark
    written = [(text, ground) for text in ("text", "soft", "good", "bad", "warn") for ground in ("card",)]
    written += [("text", "ground"), ("soft", "ground"), ("badge", "good"), ("badge", "bad")]
    for text, ground in written:
        lighter, darker = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (text, ground)


def test_tables_and_bars_can_be_listened_to(tmp_path: Path) -> None:
    """Every heading of a table says what it heads; what a bar shows is also said in words."""
    tags = Page(page(run(tmp_path))).tags
    assert {attributes.get("scope") for tag, attributes in tags if tag == "th"} == {"col", "row"}
    bars = [attributes for tag, attributes in tags if "bar" in str(attributes.get("class")).split()]
    assert {bar.get("role") for bar in bars} == {"img"}
    assert bars[0].get("aria-label") == "init: 1.0 s, from 0.0 s; apply: 9.0 s, from 1.0 s"
