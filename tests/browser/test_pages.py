"""The generated pages and pictures, as a browser lays them out (`make pages`).

Not part of `make test`: it needs a Chromium, which nothing here installs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from rollout.graph_picture import as_svg
from rollout.reports.page import page
from shared.config import load
from stacks.catalogue import graph_of
from tests.browser.chromium import browser, console, seen
from tests.rollout.reports.test_page_and_junit import run
from tests.rollout.test_dashboards import draw

pytestmark = pytest.mark.browser

WIDTHS = (500, 1280)
PICTURES = sorted([*Path("docs").glob("*.svg"), *Path("docs").glob("*/*.svg")])


@pytest.fixture(scope="module", autouse=True)
def _there_is_a_browser() -> None:
    browser()


def test_the_look_finds_what_is_wrong(tmp_path: Path) -> None:
    """What this test does not find, the others would not either."""
    wrong = (
        "<!doctype html><html><body><style>.bar{position:relative;height:16px;width:100px}"
        ".bar i{position:absolute;height:16px;width:9px;left:300px}</style>"
        "<div class=bar><i></i></div><h1 style='width:5px;overflow:hidden;white-space:nowrap'>too long</h1>"
        "<div style='width:3000px'>wide</div>"
        "<svg width=100 height=50><text x=90 y=20>far out</text><text x=5 y=40>one</text>"
        "<text x=6 y=41>two</text></svg>"
    )
    found = "\n".join(seen(wrong, tmp_path, 500))
    for what in (
        "px in a window of 500",
        "outside of its row",
        "cut off: too long",
        "picture: far out",
        "one / two",
    ):
        assert what in found


@pytest.mark.parametrize("width", WIDTHS)
def test_a_runs_report(tmp_path: Path, width: int) -> None:
    """Failures, changes, drift, hostile text and all: laid out, and nothing that the page's policy has to stop."""
    markup = page(run(tmp_path))
    assert seen(markup, tmp_path, width) == []
    shown = tmp_path / "report.html"
    shown.write_text(markup, encoding="utf-8")
    assert console(shown) == []


def test_a_script_in_a_report_would_be_heard_of(tmp_path: Path) -> None:
    """The page's policy stops it, and the console tells."""
    shown = tmp_path / "report.html"
    shown.write_text(page(run(tmp_path)).replace("</main>", "<script>1</script></main>"), encoding="utf-8")
    assert "Content Security Policy" in "\n".join(console(shown))


@pytest.mark.parametrize("width", WIDTHS)
def test_the_dashboards(tmp_path: Path, width: int) -> None:
    """PAY-09: the page of all regions and the one of a region."""
    numbers = {
        ("PaymentsReceived", "us-east-1"): {minute: float(minute % 7) for minute in range(1, 50)},
        ("PaymentsSettled", "us-east-1"): {minute: 1e6 + minute for minute in range(1, 50)},
    }
    drawn = draw(numbers, tmp_path, region="us-east-1")
    assert len(drawn) == 2
    for markup in drawn.values():
        assert seen(markup, tmp_path, width) == []


@pytest.mark.parametrize("config", sorted(Path("config").glob("*.toml")), ids=lambda path: path.stem)
def test_the_graph_of_every_configuration(tmp_path: Path, config: Path) -> None:
    assert seen(as_svg(graph_of(load(config))), tmp_path, 2000) == []


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.stem)
def test_the_pictures_of_the_documentation(tmp_path: Path, picture: Path) -> None:
    assert seen(picture.read_text(encoding="utf-8"), tmp_path, 1400) == []
    assert console(picture.resolve()) == []
