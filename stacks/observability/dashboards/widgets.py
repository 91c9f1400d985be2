"""Parts of a dashboard's body, from metrics and formulas to CloudWatch's JSON. No I/O, no Terraform."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stacks.observability.metrics import Formula, Metric

COLUMNS = 24
HEIGHT = 6
TITLE_HEIGHT = 1
PERIOD_S = 60

# One colour per line, told apart by eyes with any colour vision, on light and dark ground.
COLOURS = ("#2a78d6", "#1baf7a", "#eda100", "#8b5cf6", "#e34948", "#e87ba4", "#eb6834", "#6b7280")


@dataclass(frozen=True)
class Line:
    """One line of a graph: what of which region."""

    label: str
    what: Metric | Formula
    region: str
    colour: str = ""


def colours(regions: Iterable[str]) -> dict[str, str]:
    """Every region's colour, the same in every graph."""
    return {region: COLOURS[number % len(COLOURS)] for number, region in enumerate(regions)}


def graph(
    title: str, unit: str, lines: Sequence[Line], *, limit: float | None = None, stacked: bool = False
) -> dict[str, Any]:
    """A graph over time.

    Parameters
    ----------
    title, unit
        Above it and beside its axis.
    lines
        What it shows.
    limit
        Where an alarm is raised; drawn as a line.
    stacked
        Areas on top of each other, for parts of a whole.
    """
    properties: dict[str, Any] = {
        "title": title,
        "view": "timeSeries",
        "stacked": stacked,
        "period": PERIOD_S,
        "yAxis": {"left": {"label": unit, "showUnits": False, "min": 0}},
        "metrics": [entry for number, line in enumerate(lines) for entry in _entries(line, f"l{number}")],
    }
    if limit is not None:
        properties["annotations"] = {"horizontal": [{"label": "alarm above", "value": limit}]}
    return {"type": "metric", "width": COLUMNS // 3, "height": HEIGHT, "properties": properties}


def alarm_states(title: str, arns: Sequence[str]) -> dict[str, Any]:
    """The states of alarms; CloudWatch shows a hundred at most."""
    height = 2 + (len(arns) + 3) // 4
    properties = {"title": title, "alarms": list(arns)[:100]}
    return {"type": "alarm", "width": COLUMNS, "height": height, "properties": properties}


def heading(text: str) -> dict[str, Any]:
    """A line of Markdown over the full width."""
    properties = {"markdown": text}
    return {"type": "text", "width": COLUMNS, "height": TITLE_HEIGHT, "properties": properties}


def body(widgets: Sequence[Mapping[str, Any]], home: str, *, shows: str = "-PT3H") -> dict[str, Any]:
    """A dashboard's body: the widgets laid out left to right, row by row. A graph that shows nothing is left out, as
    those of what goes between regions are where there is only one: CloudWatch takes no graph without metrics.

    Parameters
    ----------
    home
        The region in which what names no region is looked for.
    shows
        The time that is shown at first, as ISO 8601 duration.
    """
    placed: list[dict[str, Any]] = []
    x = y = row = 0
    for widget in widgets:
        if not widget["properties"].get("metrics", True):
            continue
        if x + widget["width"] > COLUMNS:
            x, y, row = 0, y + row, 0
        properties = dict(widget["properties"])
        if widget["type"] == "metric":
            properties["region"] = home
        placed.append({**widget, "x": x, "y": y, "properties": properties})
        x, row = x + widget["width"], max(row, widget["height"])
    return {"start": shows, "periodOverride": "inherit", "widgets": placed}


def _entries(line: Line, id: str) -> list[list[Any]]:
    shown = {"label": line.label, "region": line.region, **({"color": line.colour} if line.colour else {})}
    if isinstance(line.what, Metric):
        return [_metric(line.what, {**shown, "id": id})]
    # Ids of a graph are shared by all its lines.
    formula = line.what.prefixed(f"{id}{re.sub('[^a-z0-9]', '', line.region)}_")
    return [
        [{"expression": formula.expression, "id": id, **shown}],
        *(
            _metric(metric, {"id": input, "region": line.region, "visible": False})
            for input, metric in formula.inputs.items()
        ),
    ]


def _metric(metric: Metric, options: Mapping[str, Any]) -> list[Any]:
    dimensions = [part for dimension in metric.dimensions.items() for part in dimension]
    return [metric.namespace, metric.name, *dimensions, {"stat": metric.stat, **options}]
