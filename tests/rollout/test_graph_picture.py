"""The picture of the graph (LAY-04)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from rollout.graph_picture import as_svg
from shared.config import load
from shared.contracts import Graph, StackId
from stacks.catalogue import graph_of
from tests.rollout.support import GRAPH

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


def read(graph: Graph) -> ElementTree.Element:
    return ElementTree.fromstring(as_svg(graph))


def boxes(picture: ElementTree.Element) -> dict[str, tuple[float, float]]:
    found = {}
    for group in picture.iter(f"{SVG}g"):
        title, rect = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None
        assert rect is not None
        found[str(title.text)] = (float(rect.attrib["x"]), float(rect.attrib["y"]))
    return found


def test_every_stack_stands_in_the_column_of_its_wave_and_in_the_band_of_its_region() -> None:
    places = boxes(read(GRAPH))
    assert set(places) == set(map(str, GRAPH.order))
    columns = [{places[str(stack)][0] for stack in wave} for wave in GRAPH.waves()]
    assert all(len(column) == 1 for column in columns)
    assert sorted(columns, key=min) == columns
    lowest = max(y for name, (_, y) in places.items() if name.endswith("us-east-1"))
    assert lowest < min(y for name, (_, y) in places.items() if name.endswith("eu-west-1"))
    assert len(set(places.values())) == len(places), "no two boxes on one place"


def test_every_need_is_a_line_and_those_between_regions_are_dashed() -> None:
    lines = {}
    for path in read(GRAPH).iter(f"{SVG}path"):
        title = path.find(f"{SVG}title")
        assert title is not None
        lines[str(title.text)] = path.attrib["class"]
    wanted = {
        f"{stack} needs {need}": "need" if stack.region == need.region else "need across"
        for stack, needs in GRAPH.needs.items()
        for need in needs
    }
    assert lines == wanted
    assert set(lines.values()) == {"need", "need across"}


def test_the_picture_is_the_same_every_time_and_takes_names_as_text() -> None:
    hostile = StackId("<script>", "r&d-1")
    assert as_svg(Graph({hostile: ()})) == as_svg(Graph({hostile: ()}))
    assert str(hostile) in boxes(read(Graph({hostile: ()})))
    assert read(Graph({})).tag == f"{SVG}svg"


def test_the_committed_picture_is_that_of_the_sandbox() -> None:
    fresh = as_svg(graph_of(load(ROOT / "config/sandbox.toml")))
    committed = (ROOT / "docs/graph.svg").read_text(encoding="utf-8")
    assert committed == fresh, "write it anew: .venv/bin/tripoint graph --svg > docs/graph.svg"
