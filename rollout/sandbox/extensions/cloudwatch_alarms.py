"""Metric alarms are evaluated as CloudWatch does, on metrics and on metric math, and described in
full.

Upstream: an alarm pools the points of all dimensions and periods, knows no missing data and no
metric math, and is looked at only when PutMetricData is called; DescribeAlarms over the query
protocol (which Terraform speaks) leaves out most fields; GetMetricData answers expressions with an
error; every request rewrites the whole metric store.

AWS: "Using Amazon CloudWatch alarms", "Alarm evaluation", "Configuring how CloudWatch alarms treat
missing data" and "Using math expressions with CloudWatch metrics" (CloudWatch User Guide). Alarms
on AWS/DynamoDB metrics ignore missing data whatever they say (API reference, PutMetricAlarm,
TreatMissingData).

Patched: `_put_metric_alarm`, `_evaluate_alarm`, `_evaluate_all_alarms`, `_describe_alarms`,
`_get_metric_data`, `record_metric`, `_store_datum`, `_evict_old_metrics`. Alarms are looked at half a second after
a new data point, and every five seconds; on AWS it is every minute. The periods end at the moment
of evaluation.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from rollout.sandbox.alarm_rules import EXTRA_PERIODS, Rule, next_state
from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.metric_math import MetricMathError, Request, Series, Window

_SETTLE_S = 0.5
_SWEEP_S = 5.0
_EVICT_EVERY_S = 300.0

logger = logging.getLogger("tripoint.alarms")

# How much later than it says a data point may have been written.
_OUT_OF_ORDER_S = 3600.0


def apply() -> None:
    cloudwatch = module("services.cloudwatch")
    clock = AlarmClock(cloudwatch)
    _store_whole_alarms(cloudwatch)
    _describe_whole_alarms(cloudwatch)
    _answer_expressions(cloudwatch)
    _evict_seldom(cloudwatch)

    writing = threading.Lock()

    def record(original: Any, *point: Any, **options: Any) -> None:
        namespace, name = point[:2]
        dimensions = point[4] if len(point) > 4 else options.get("dimensions")
        with writing:
            original(*point, **options)
            _merge_last(cloudwatch._metrics.get((namespace, name, cloudwatch._dims_key(dimensions or {}))) or [])
        clock.ring()

    def store(original: Any, *arguments: Any) -> None:
        with writing:
            original(*arguments)

    wrap(cloudwatch, "record_metric", record)
    wrap(cloudwatch, "_store_datum", store)
    cloudwatch._evaluate_alarm = lambda _alarm: clock.ring()
    cloudwatch._evaluate_all_alarms = clock.ring
    clock.start()


class AlarmClock(threading.Thread):
    """Evaluates the alarms of a region soon after its metrics changed, and all of them now and then."""

    def __init__(self, cloudwatch: Any) -> None:
        super().__init__(name="tripoint-alarms", daemon=True)
        self._cloudwatch = cloudwatch
        self._bell = threading.Event()
        self._lock = threading.Lock()
        self._places: set[tuple[str, str]] = set()

    def ring(self) -> None:
        """Metrics or alarms of the current account and region have changed."""
        place = (self._cloudwatch.get_account_id(), self._cloudwatch.get_region())
        with self._lock:
            if place not in self._places:
                self._places.add(place)
                self._bell.set()

    def run(self) -> None:
        swept = time.monotonic()
        while True:
            self._bell.wait(_SWEEP_S)
            time.sleep(_SETTLE_S)
            with self._lock:
                self._bell.clear()
                places, self._places = self._places, set()
            if time.monotonic() - swept >= _SWEEP_S:
                swept = time.monotonic()
                places |= {key[:2] for key in list(self._cloudwatch._alarms._data)}
            for account, region in places:
                with module("core.responses").request_scope(account, region):
                    for alarm in self._cloudwatch._alarms.values():
                        self._evaluate(alarm)

    def _evaluate(self, alarm: dict[str, Any]) -> None:
        try:
            evaluate(self._cloudwatch, alarm, time.time())
        except MetricMathError as error:
            # AWS calls this EVALUATION_ERROR; the state stays.
            alarm["EvaluationState"] = "EVALUATION_ERROR"
            alarm["StateReason"] = str(error)
        except Exception:
            logger.exception("evaluation of alarm %s", alarm.get("AlarmName"))


def evaluate(cloudwatch: Any, alarm: dict[str, Any], now: float) -> None:
    """Bring one metric alarm of the current region up to date and run its actions if it changed."""
    if not alarm.get("Metrics") and not alarm.get("MetricName"):
        return
    queries = alarm_queries(alarm)
    period = float(alarm.get("Period") or _period(queries))
    periods = int(alarm.get("EvaluationPeriods") or 1)
    ends = [now - period * back for back in range(periods + EXTRA_PERIODS - 1, -1, -1)]
    window = Window([end - period for end in ends], period)
    request = read(cloudwatch, queries, window)
    shown = next((query["Id"] for query in queries if query.get("ReturnData", True)), queries[-1]["Id"])
    series = request.series(shown)
    if len(series) != 1:
        raise MetricMathError(f"{shown!r} gives {len(series)} series, an alarm needs one")
    values = [series[0].get(at) for at in window.timestamps]
    rule = Rule(
        comparison=alarm["ComparisonOperator"],
        threshold=float(alarm.get("Threshold") or 0.0),
        periods=periods,
        datapoints=int(alarm.get("DatapointsToAlarm") or periods),
        missing="ignore" if alarm.get("Namespace") == "AWS/DynamoDB" else alarm.get("TreatMissingData") or "missing",
    )
    before = alarm["StateValue"]
    after = next_state(rule, values, before)
    alarm.pop("EvaluationState", None)
    if after == before:
        return
    reason = describe_reason(rule, values)
    alarm.update(
        StateValue=after,
        StateReason=reason,
        StateUpdatedTimestamp=int(now),
        StateTransitionedTimestamp=int(now),
    )
    cloudwatch._record_history(alarm["AlarmName"], before, after, reason)
    cloudwatch._dispatch_alarm_actions(alarm, before, after, reason)
    cloudwatch._evaluate_parent_alarms(alarm)


def alarm_queries(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The alarm's metric queries; an alarm on a single metric is one query."""
    if alarm.get("Metrics"):
        return list(alarm["Metrics"])
    metric = {
        "Namespace": alarm["Namespace"],
        "MetricName": alarm["MetricName"],
        "Dimensions": alarm.get("Dimensions") or [],
    }
    statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
    return [
        {
            "Id": "m1",
            "MetricStat": {
                "Metric": metric,
                "Period": alarm.get("Period") or 60,
                "Stat": statistic,
                "Unit": alarm.get("Unit"),
            },
        }
    ]


def read(cloudwatch: Any, queries: Sequence[Mapping[str, Any]], window: Window) -> Request:
    """The metrics of the queries in the window, and their expressions."""
    metrics = {
        query["Id"]: _series(cloudwatch, query["MetricStat"], window) for query in queries if query.get("MetricStat")
    }
    expressions = {query["Id"]: query["Expression"] for query in queries if query.get("Expression")}
    return Request(window, metrics, expressions)


def describe_reason(rule: Rule, values: Iterable[float | None]) -> str:
    """The reason in CloudWatch's words, with the newest data points."""
    real = [value for value in values if value is not None][-rule.periods :]
    if not real:
        return f"Insufficient Data or missing data treated as {rule.missing}: no data points were received."
    shown = ", ".join(f"{value:g}" for value in real)
    breaching = sum(map(rule.breaches, real))
    return (
        f"Threshold Crossed: {breaching} out of the last {len(real)} datapoints [{shown}] "
        f"breached the threshold {rule.comparison} ({rule.threshold:g})."
    )


def _series(cloudwatch: Any, statistic: Mapping[str, Any], window: Window) -> Series:
    metric = statistic["Metric"]
    dimensions = {entry["Name"]: entry["Value"] for entry in metric.get("Dimensions") or []}
    key = (metric["Namespace"], metric["MetricName"], cloudwatch._dims_key(dimensions))
    unit, period = statistic.get("Unit"), window.period_s
    first, last = window.timestamps[0], window.timestamps[-1] + period
    buckets: dict[float, list[Any]] = {}
    for point in reversed(list(cloudwatch._metrics.get(key) or ())):
        at = point["Timestamp"]
        if at < first - _OUT_OF_ORDER_S:
            break  # everything before is older still: under load there are tens of thousands
        if first <= at < last and (not unit or point.get("Unit") == unit):
            buckets.setdefault(window.timestamps[int((at - first) // period)], []).append(point)
    series: Series = {}
    for at, points in buckets.items():
        value = cloudwatch._stat_value(cloudwatch._calc_stats(points), statistic["Stat"], points)
        if value is not None:
            series[at] = float(value)
    return series


def _period(queries: Iterable[Mapping[str, Any]]) -> float:
    stated = [
        query.get("Period") or query["MetricStat"].get("Period")
        for query in queries
        if query.get("Period") or query.get("MetricStat")
    ]
    return float(max(map(int, filter(None, stated)), default=60))


# -- requests and answers
# -----------------------------------------------------------------------------


def unflatten(params: Mapping[str, Any], prefix: str) -> Any:
    """The structure that `prefix` has in the parameters of a query request."""
    root: dict[str, Any] = {}
    for name, value in params.items():
        if name.startswith(f"{prefix}."):
            node = root
            *path, last = name.removeprefix(f"{prefix}.").split(".")
            for part in path:
                node = node.setdefault(part, {})
            node[last] = value[0] if isinstance(value, list) else value
    return _lists(root)


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    members = node.get("member")
    if isinstance(members, dict) and len(node) == 1:
        return [_lists(members[index]) for index in sorted(members, key=int)]
    return {name: _lists(value) for name, value in node.items()}


def _queries(raw: Any) -> list[dict[str, Any]]:
    """Metric queries with the types that the query protocol loses."""
    queries = [dict(query) for query in raw or []]
    for query in queries:
        if isinstance(query.get("ReturnData"), str):
            query["ReturnData"] = query["ReturnData"].lower() == "true"
        if query.get("Period"):
            query["Period"] = int(query["Period"])
        if query.get("MetricStat"):
            query["MetricStat"] = query["MetricStat"] | {"Period": int(query["MetricStat"].get("Period") or 60)}
    return queries


def _store_whole_alarms(cloudwatch: Any) -> None:
    put = cloudwatch._put_metric_alarm

    @functools.wraps(put)
    def put_whole(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        answer = put(params, data, is_cbor, is_json)
        if answer[0] != 200:
            return answer
        structured = is_cbor or is_json

        def given(name: str) -> Any:
            return data.get(name) if structured else cloudwatch._p(params, name) or None

        def listed(name: str) -> Any:
            return data.get(name) if structured else unflatten(params, name)

        alarm = cloudwatch._alarms[given("AlarmName")]
        alarm["InsufficientDataActions"] = listed("InsufficientDataActions") or []
        for name in ("ThresholdMetricId", "EvaluateLowSampleCountPercentile"):
            if given(name):
                alarm[name] = given(name)
        queries = _queries(listed("Metrics"))
        if queries:
            alarm["Metrics"] = queries
            for name in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Unit"):
                alarm.pop(name, None)
        elif alarm.get("ExtendedStatistic"):
            alarm.pop("Statistic", None)
        return answer

    cloudwatch._put_metric_alarm = put_whole


def _describe_whole_alarms(cloudwatch: Any) -> None:
    describe = cloudwatch._describe_alarms

    @functools.wraps(describe)
    def describe_whole(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        if is_cbor or is_json:
            return describe(params, data, is_cbor, is_json)
        request = {name: unflatten(params, name) or [] for name in ("AlarmNames", "AlarmTypes")}
        for name in ("AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken"):
            value = cloudwatch._p(params, name)
            if value:
                request[name] = value
        status, headers, body = describe({}, request, False, True)
        if status != 200:
            return status, headers, body
        inner = xml(cloudwatch, json.loads(body))
        return cloudwatch._xml(200, "DescribeAlarmsResponse", f"<DescribeAlarmsResult>{inner}</DescribeAlarmsResult>")

    cloudwatch._describe_alarms = describe_whole


def xml(cloudwatch: Any, value: Any) -> str:
    """A structure as the members of a query answer."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "".join(f"<member>{xml(cloudwatch, item)}</member>" for item in value)
    if isinstance(value, dict):
        return "".join(
            f"<{name}>{xml(cloudwatch, _dated(cloudwatch, name, item))}</{name}>"
            for name, item in value.items()
            if item is not None and item != ""
        )
    return escape(str(value))


def _dated(cloudwatch: Any, name: str, value: Any) -> Any:
    is_date = name.endswith("Timestamp") and isinstance(value, (int, float))
    return cloudwatch._ts_iso(value) if is_date else value


def _answer_expressions(cloudwatch: Any) -> None:
    def get_metric_data(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:
        structured = is_cbor or is_json

        def given(name: str) -> Any:
            return data.get(name) if structured else cloudwatch._p(params, name) or None

        queries = _queries(data.get("MetricDataQueries") if structured else unflatten(params, "MetricDataQueries"))
        start, end = (cloudwatch._parse_ts(given(name)) for name in ("StartTime", "EndTime"))
        newest_first = given("ScanBy") != "TimestampAscending"
        results = metric_data(cloudwatch, queries, start, end, newest_first=newest_first)
        if is_cbor:
            return cloudwatch._cbor_ok(
                {"MetricDataResults": [cloudwatch._cbor_metric_data_result(result) for result in results]}
            )
        if is_json:
            return cloudwatch._json_ok({"MetricDataResults": results})
        inner = xml(cloudwatch, {"MetricDataResults": results})
        return cloudwatch._xml(200, "GetMetricDataResponse", f"<GetMetricDataResult>{inner}</GetMetricDataResult>")

    cloudwatch._get_metric_data = get_metric_data


def metric_data(
    cloudwatch: Any, queries: list[dict[str, Any]], start: float, end: float, *, newest_first: bool
) -> list[dict[str, Any]]:
    """The results of GetMetricData; expressions use the longest period of the metrics they refer to."""
    results: list[dict[str, Any]] = []
    shared = _period(queries)
    for query in queries:
        if not query.get("ReturnData", True):
            continue
        period = float(query["MetricStat"]["Period"]) if query.get("MetricStat") else shared
        first = start - start % period
        window = Window([first + period * n for n in range(max(1, int(-(-(end - first) // period))))], period)
        result: dict[str, Any] = {"Id": query["Id"], "Label": query.get("Label") or _label(query)}
        try:
            many = read(cloudwatch, queries, window).series(query["Id"])
        except MetricMathError as error:
            message = {"Code": "ArgumentError", "Value": str(error)}
            failed = {"StatusCode": "InternalError", "Timestamps": [], "Values": [], "Messages": [message]}
            results.append(result | failed)
            continue
        for series in many:
            points = sorted(series.items(), reverse=newest_first)
            results.append(
                result
                | {
                    "Timestamps": [cloudwatch._ts_iso(at) for at, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": "Complete",
                }
            )
    return results


def _label(query: Mapping[str, Any]) -> str:
    statistic = query.get("MetricStat")
    return str(statistic["Metric"]["MetricName"] if statistic else query["Id"])


def _merge_last(points: list[dict[str, Any]]) -> None:
    """Count a value that comes again within a second instead of storing it again: it bounds the memory."""
    if len(points) < 2:
        return
    previous, last = points[-2:]
    same = all(last.get(name) == previous.get(name) for name in ("Value", "Unit"))
    plain = "_stat" not in last and "_stat" not in previous
    if same and plain and int(last["Timestamp"]) == int(previous["Timestamp"]):
        previous["Count"] = previous.get("Count", 1.0) + last.get("Count", 1.0)
        points.pop()


def _evict_seldom(cloudwatch: Any) -> None:
    evict, last = cloudwatch._evict_old_metrics, [time.monotonic()]

    def evict_now_and_then() -> None:
        if time.monotonic() - last[0] > _EVICT_EVERY_S:
            last[0] = time.monotonic()
            evict()

    cloudwatch._evict_old_metrics = evict_now_and_then
