"""What a dashboard shows, asked of CloudWatch: the numbers of its graphs and the states of its alarms.

CloudWatch evaluates the expressions itself (GetMetricData), one region at a time, as it does for its own console.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

DEFAULT_PERIOD_S = 60
READERS = 6


@dataclass(frozen=True)
class Span:
    """The time that is shown."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Series:
    """One line of a graph: (epoch seconds, value) of the periods that have one, oldest first."""

    label: str
    colour: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class AlarmState:
    name: str
    state: str
    reason: str


@dataclass(frozen=True)
class Widget:
    """A widget of a dashboard with what it shows now. `properties` are those of its definition."""

    kind: str
    x: int
    y: int
    width: int
    height: int
    properties: Mapping[str, Any]
    series: tuple[Series, ...] = ()
    alarms: tuple[AlarmState, ...] = ()

    @property
    def period_s(self) -> int:
        return int(self.properties.get("period", DEFAULT_PERIOD_S))


@dataclass(frozen=True)
class _Entry:
    """A metric or expression of a graph, as a query and how it is shown."""

    query: dict[str, Any]
    region: str
    colour: str
    visible: bool


def dashboard_body(client: Any, name: str) -> dict[str, Any]:
    """The definition of a dashboard, as deployed."""
    found: dict[str, Any] = json.loads(client.get_dashboard(DashboardName=name)["DashboardBody"])
    return found


def read_widgets(clients: Callable[[str], Any], body: Mapping[str, Any], home: str, span: Span) -> list[Widget]:
    """The widgets of a dashboard with their numbers. ``home`` is the region of what names none."""
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        return list(pool.map(lambda widget: _read(clients, widget, home, span), body["widgets"]))


def _read(clients: Callable[[str], Any], widget: Mapping[str, Any], home: str, span: Span) -> Widget:
    properties = widget["properties"]
    series: tuple[Series, ...] = ()
    alarms: tuple[AlarmState, ...] = ()
    if widget["type"] == "metric":
        series = tuple(_series(clients, properties, home, span))
    if widget["type"] == "alarm":
        alarms = tuple(_alarm_states(clients, properties["alarms"]))
    return Widget(
        widget["type"], widget["x"], widget["y"], widget["width"], widget["height"], properties, series, alarms
    )


def _series(clients: Callable[[str], Any], properties: Mapping[str, Any], home: str, span: Span) -> list[Series]:
    entries = [_entry(raw, f"q{number}", properties, home) for number, raw in enumerate(properties.get("metrics", ()))]
    found: dict[str, list[tuple[float, float]]] = {}
    for region in dict.fromkeys(entry.region for entry in entries):
        found |= _data(clients(region), [entry.query for entry in entries if entry.region == region], span)
    return [
        Series(entry.query["Label"], entry.colour, tuple(sorted(found.get(entry.query["Id"], ()))))
        for entry in entries
        if entry.visible
    ]


def _entry(raw: Sequence[Any], default_id: str, properties: Mapping[str, Any], home: str) -> _Entry:
    """A graph's entry: ``[{"expression": …}]`` or ``[namespace, name, dimension, value, …, {options}]``."""
    options: Mapping[str, Any] = raw[-1] if isinstance(raw[-1], dict) else {}
    visible = bool(options.get("visible", True))
    query: dict[str, Any] = {"Id": options.get("id", default_id), "ReturnData": visible}
    period = int(options.get("period", properties.get("period", DEFAULT_PERIOD_S)))
    if "expression" in options:
        query |= {"Expression": options["expression"], "Label": options.get("label", query["Id"]), "Period": period}
    else:
        namespace, name, *dimensions = [part for part in raw if isinstance(part, str)]
        query |= {
            "Label": options.get("label", name),
            "MetricStat": {
                "Metric": {
                    "Namespace": namespace,
                    "MetricName": name,
                    "Dimensions": [
                        {"Name": dimension, "Value": value}
                        for dimension, value in zip(dimensions[::2], dimensions[1::2], strict=True)
                    ],
                },
                "Period": period,
                "Stat": options.get("stat", properties.get("stat", "Average")),
            },
        }
    region = options.get("region", properties.get("region", home))
    return _Entry(query, region, options.get("color", ""), visible)


def _data(client: Any, queries: Sequence[Mapping[str, Any]], span: Span) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {}
    request = {"MetricDataQueries": list(queries), "StartTime": span.start, "EndTime": span.end}
    while True:
        answer = client.get_metric_data(**request)
        for result in answer["MetricDataResults"]:
            points = zip(result["Timestamps"], result["Values"], strict=True)
            found.setdefault(result["Id"], []).extend((at.timestamp(), float(value)) for at, value in points)
        if not answer.get("NextToken"):
            return found
        request["NextToken"] = answer["NextToken"]


def _alarm_states(clients: Callable[[str], Any], arns: Sequence[str]) -> list[AlarmState]:
    by_region: dict[str, list[str]] = {}
    for arn in arns:
        # arn:aws:cloudwatch:<region>:<account>:alarm:<name>
        parts = arn.split(":", 6)
        by_region.setdefault(parts[3], []).append(parts[6])
    states = []
    for region, names in by_region.items():
        answer = clients(region).describe_alarms(
            AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"], MaxRecords=100
        )
        found = {
            alarm["AlarmName"]: (alarm["StateValue"], alarm.get("StateReason", ""))
            for alarm in [*answer.get("CompositeAlarms", ()), *answer.get("MetricAlarms", ())]
        }
        states += [AlarmState(name, *found.get(name, ("MISSING", "There is no such alarm."))) for name in names]
    return states
