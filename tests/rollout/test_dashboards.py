"""Dashboards drawn from their deployed definition: against a CloudWatch that answers known numbers."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollout.dashboards import DashboardMissingError, render
from rollout.dashboards.charts import Limit, chart, number_text
from rollout.dashboards.page import page
from rollout.dashboards.reading import AlarmState, Series, Span, Widget
from rollout.sandbox.metric_math import Request, Window
from shared.config import load
from shared.site import Site
from stacks.observability.dashboards.all_regions import all_regions
from stacks.observability.dashboards.one_region import one_region

ENVIRONMENT = load(Path("config/sandbox.toml"))
NOW = datetime(2030, 1, 2, 12, 0, 30, tzinfo=UTC)
SPAN = Span(datetime(2030, 1, 2, 11, 0, tzinfo=UTC), datetime(2030, 1, 2, 12, 0, tzinfo=UTC))
START = SPAN.start.timestamp()
# Minutes before NOW's minute -> value, by metric name and region.
Numbers = dict[tuple[str, str], dict[int, float]]


class CloudWatch:
    """One region's CloudWatch: stored dashboards, alarm states, and metrics that it computes expressions of."""

    def __init__(self, region: str, dashboards: dict[str, Any], numbers: Numbers, states: dict[str, str]) -> None:
        self._region = region
        self._dashboards = dashboards
        self._numbers = numbers
        self._states = states
        self.requests: list[dict[str, Any]] = []

    def get_dashboard(self, *, DashboardName: str) -> dict[str, Any]:  # noqa: N803
        return {"DashboardBody": json.dumps(self._dashboards[DashboardName])}

    def describe_alarms(self, *, AlarmNames: list[str], **_: Any) -> dict[str, Any]:  # noqa: N803
        known = [{"AlarmName": name, "StateValue": self._states[name]} for name in AlarmNames if name in self._states]
        return {"MetricAlarms": known, "CompositeAlarms": []}

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        start = request["StartTime"].timestamp()
        minutes = int((request["EndTime"].timestamp() - start) // 60)
        window = Window([start + 60 * number for number in range(minutes)], 60)
        metrics, expressions = {}, {}
        for query in request["MetricDataQueries"]:
            if "Expression" in query:
                expressions[query["Id"]] = query["Expression"]
            else:
                metrics[query["Id"]] = self._series(query["MetricStat"]["Metric"])
        computed = Request(window, metrics, expressions)
        results = []
        for query in request["MetricDataQueries"]:
            if query["ReturnData"]:
                points = sorted(computed.series(query["Id"])[0].items())
                results.append(
                    {
                        "Id": query["Id"],
                        "Timestamps": [datetime.fromtimestamp(at, UTC) for at, _ in points],
                        "Values": [value for _, value in points],
                    }
                )
        # In two pages, as CloudWatch may.
        half = len(results) // 2
        if "NextToken" in request:
            return {"MetricDataResults": results[half:]}
        return {"MetricDataResults": results[:half], "NextToken": "more"}

    def _series(self, metric: dict[str, Any]) -> dict[float, float]:
        if {"Name": "service", "Value": "payments-all-regions"} in metric["Dimensions"]:
            return {}
        numbers = self._numbers.get((metric["MetricName"], self._region), {})
        minute = NOW.replace(second=0)
        return {(minute - timedelta(minutes=back)).timestamp(): value for back, value in numbers.items()}


def deployed(numbers: Numbers, states: dict[str, str] | None = None) -> tuple[dict[str, CloudWatch], dict[str, str]]:
    """(region -> its CloudWatch, flat outputs) of a whole deployment."""
    clients, outputs = {}, {}
    for region in ENVIRONMENT.regions:
        site = Site(ENVIRONMENT, region)
        arns = [site.arn("cloudwatch", f"alarm:{name}") for name in ("one", "two", "gone")]
        dashboards = {f"all-{region}": all_regions(site), f"own-{region}": one_region(site, arns, "check")}
        outputs[f"observability-{region}.dashboard_name"] = f"all-{region}"
        outputs[f"observability-{region}.region_dashboard_name"] = f"own-{region}"
        clients[region] = CloudWatch(region, dashboards, numbers, states or {})
    return clients, outputs


def draw(numbers: Numbers, tmp_path: Path, states: dict[str, str] | None = None, **options: Any) -> dict[str, str]:
    """Page name -> HTML."""
    clients, outputs = deployed(numbers, states)
    paths = render(ENVIRONMENT, outputs, tmp_path, clients=lambda region: clients[region], now=NOW, **options)
    return {path.stem: path.read_text() for path in paths}


def section(html: str, title: str) -> str:
    """One graph of a page."""
    (found,) = (part for part in html.split("<section") if f"<h3>{title}<" in part)
    return found


def latest(graph: str) -> dict[str, str]:
    """Label -> the newest number, as a graph's legend says."""
    return dict(re.findall(r"</svg>([^<]+) (?:<b>([^<]*)</b>|no data)</li>", graph))


def svg(*series: Series, **options: Any) -> str:
    return chart(series, SPAN, 60, **options)


def series(*values: float | None) -> Series:
    """A line with a value each minute, None where there is none."""
    points = tuple((START + 60 * number, value) for number, value in enumerate(values) if value is not None)
    return Series("it", "#123456", points)


# -- whole pages ----------------------------------------------------------------------------------


def test_every_deployed_dashboard_becomes_a_page(tmp_path: Path) -> None:
    """PAY-09: one over all regions and one per region, in every region."""
    assert set(draw({}, tmp_path)) == {f"{kind}-{region}" for kind in ("all", "own") for region in ENVIRONMENT.regions}


def test_one_region_alone(tmp_path: Path) -> None:
    """PAY-09: the dashboards of a region, which may be the only one that is up."""
    assert set(draw({}, tmp_path, region="eu-west-1")) == {"all-eu-west-1", "own-eu-west-1"}


def test_numbers_are_those_of_each_region(tmp_path: Path) -> None:
    """PAY-09: the metrics of all regions, each read in its own."""
    numbers: Numbers = {
        ("PaymentsReceived", "us-east-1"): {3: 10.0, 2: 11.0, 1: 12.0},
        ("PaymentsReceived", "eu-west-1"): {2: 7.0},
    }
    graph = section(draw(numbers, tmp_path)["all-us-east-1"], "Payments received")
    assert latest(graph) == {"us-east-1": "12", "eu-west-1": "7", "ap-southeast-1": ""}
    assert "us-east-1 11:58 UTC: 11" in graph
    assert "eu-west-1 11:58 UTC: 7" in graph


def test_expressions_are_computed_by_the_service(tmp_path: Path) -> None:
    """PAY-09, PAY-12: the failure rate that the alarm sees."""
    numbers: Numbers = {
        ("PaymentsSettled", "eu-west-1"): {1: 997.0},
        ("PaymentsFailed", "eu-west-1"): {1: 2.0},
        ("PaymentsRefunded", "eu-west-1"): {1: 1.0},
    }
    html = draw(numbers, tmp_path, region="eu-west-1")
    assert "eu-west-1 11:59 UTC: 0.3" in section(html["all-eu-west-1"], "Failed payments")
    assert "failed 11:59 UTC: 0.3" in section(html["own-eu-west-1"], "Failed payments")


def test_a_region_is_asked_for_its_own_metrics_only(tmp_path: Path) -> None:
    """PAY-09: expressions and their inputs go to one region together; hidden inputs don't come back."""
    clients, outputs = deployed({})
    render(ENVIRONMENT, outputs, tmp_path, "us-east-1", 60, clients=lambda region: clients[region], now=NOW)
    for client in clients.values():
        for request in client.requests:
            assert request["EndTime"] - request["StartTime"] == timedelta(minutes=60)
            for query in request["MetricDataQueries"]:
                assert "Expression" in query or query["MetricStat"]["Period"] == 60


def test_alarm_states_are_shown_worst_first(tmp_path: Path) -> None:
    """PAY-12: the alarms widget, with those that don't exist."""
    html = draw({}, tmp_path, {"one": "OK", "two": "ALARM"}, region="us-east-1")["own-us-east-1"]
    assert re.findall(r'<li class="(\w+)"[^>]*><i></i>(\w+) ', html) == [
        ("ALARM", "two"),
        ("MISSING", "gone"),
        ("OK", "one"),
    ]


def test_pages_need_nothing_from_outside(tmp_path: Path) -> None:
    """PAY-09: self-contained, no script, readable on light and dark ground."""
    for html in draw({}, tmp_path).values():
        assert "<script" not in html
        assert not re.search(r"(src|href)=|url\(|@import|https?://", html)
        assert "prefers-color-scheme: dark" in html


def test_what_is_not_deployed_is_said(tmp_path: Path) -> None:
    """PAY-09: no dashboard, a clear message."""
    with pytest.raises(DashboardMissingError, match="observability-eu-west-1 is not deployed"):
        render(ENVIRONMENT, {}, tmp_path, "eu-west-1", clients=lambda region: None)


def test_text_is_escaped() -> None:
    """Labels and titles come from AWS."""
    widget = Widget("metric", 0, 0, 8, 6, {"title": "<b>"}, (Series("<i>", "", ((START, 1.0),)),))
    alarms = Widget("alarm", 0, 6, 8, 6, {"title": "A"}, (), (AlarmState("<u>", "OK", '"><u>'),))
    html = page("<name>", "here", SPAN, [widget, alarms])
    assert not re.search(r"<(name|i>[^<]|u>)", html.replace("<i></i>", ""))
    assert "&lt;i&gt;" in html


# -- graphs ---------------------------------------------------------------------------------------


def places(drawing: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'<circle class="\w+" cx="([\d.]+)" cy="([\d.]+)"', drawing)]


def test_height_follows_the_value() -> None:
    """PAY-09: the numbers drawn are the numbers read."""
    (_, ground), (_, half), (_, top) = places(svg(series(0.0, 50.0, 100.0)))
    assert half == pytest.approx((ground + top) / 2, abs=0.1)
    assert ground > top


def test_place_follows_the_time() -> None:
    """PAY-09: an hour from the left edge to the right one."""
    drawing = chart([Series("it", "", ((START, 1.0), (START + 1800, 1.0), (START + 3600, 1.0)))], SPAN, 60)
    (left, _), (middle, _), (right, _) = places(drawing)
    assert middle == pytest.approx((left + right) / 2, abs=0.1)


def test_a_missing_period_breaks_the_line() -> None:
    """PAY-09: nothing is drawn where there is no data; a single point is a dot."""
    drawing = svg(series(1.0, 2.0, None, 3.0, None, 4.0, 5.0))
    assert drawing.count("<polyline") == 2
    assert drawing.count('class="point"') == 1


def test_no_data_is_said() -> None:
    """PAY-09: "no data" shown as such, and nothing else."""
    assert ">no data<" in svg(series())
    assert ">no data<" not in svg(series(0.0))
    assert ">no data<" not in svg(series(), series(1.0))


def test_parts_are_stacked() -> None:
    """PAY-09: areas on top of each other; a part without any data is left out."""
    drawing = svg(series(10.0, 10.0), series(None, None), series(30.0, 30.0), stacked=True)
    values = {float(value) for value in re.findall(r"UTC: ([\d.]+)", drawing)}
    assert values == {10.0, 40.0}
    assert drawing.count("<polygon") == 2


def test_limit_is_drawn_where_it_is_and_named_where_it_is_far() -> None:
    """PAY-12: the alarm's threshold as annotation."""
    limit = Limit("alarm above", 100.0)
    near = svg(series(90.0), limits=[limit])
    assert 'class="limit"' in near
    far = svg(series(1.0), limits=[limit])
    assert 'class="limit"' not in far
    assert "alarm above 100 (off the scale)" in far


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.25, "0.25"), (12.0, "12"), (1500.0, "1.5k"), (3.2e6, "3.2M"), (-2e9, "-2G")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number_text(value) == text
