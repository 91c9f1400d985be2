"""Metric math and alarm states by the rules of the CloudWatch User Guide, without an emulator."""

from __future__ import annotations

import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from rollout.sandbox.alarm_rules import ALARM, INSUFFICIENT, OK, Rule, next_state
from rollout.sandbox.metric_math import MetricMathError, Request, Series, Window, parse

WINDOW = Window([0.0, 60.0, 120.0], 60.0)
FAILED: Series = {60.0: 1.0}
TOTAL: Series = {0.0: 10.0, 60.0: 500.0, 120.0: 0.0}


def evaluated(expression: str, **metrics: Series) -> Series:
    request = Request(WINDOW, {"failed": FAILED, "total": TOTAL, **metrics}, {"e": expression})
    (series,) = request.series("e")
    return series


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("failed / total", {60.0: 0.002}),
        ("FILL(failed, 0) / total", {0.0: 0.0, 60.0: 0.002}),
        ("100 * FILL(failed, 0) / total", {0.0: 0.0, 60.0: 0.2}),
        ("IF(total > 0, FILL(failed, 0) / total, 0)", {0.0: 0.0, 60.0: 0.002, 120.0: 0.0}),
        ("IF(total >= 1, 100 * (FILL(failed, 0) / total))", {0.0: 0.0, 60.0: 0.2}),
        ("SUM([failed, total])", {0.0: 10.0, 60.0: 501.0, 120.0: 0.0}),
        ("SUM(METRICS())", {0.0: 10.0, 60.0: 501.0, 120.0: 0.0}),
        ('SUM(METRICS("fail"))', {60.0: 1.0}),
        ("MAX(METRICS())", {0.0: 10.0, 60.0: 500.0, 120.0: 0.0}),
        ("MIN(FILL(METRICS(), 0))", {0.0: 0.0, 60.0: 1.0, 120.0: 0.0}),
        ("AVG(FILL(METRICS(), 0))", {0.0: 5.0, 60.0: 250.5, 120.0: 0.0}),
        ("SUM(total)", {0.0: 510.0, 60.0: 510.0, 120.0: 510.0}),
        ("total > 5 && total < 100", {0.0: 1.0, 60.0: 0.0, 120.0: 0.0}),
        ("total > 100 OR total == 0", {0.0: 0.0, 60.0: 1.0, 120.0: 1.0}),
        ("-total + 2 ^ 3", {0.0: -2.0, 60.0: -492.0, 120.0: 8.0}),
        ("FILL(failed, REPEAT)", {60.0: 1.0, 120.0: 1.0}),
        ("FILL(failed, LINEAR)", {60.0: 1.0}),
        ("RATE(total)", {60.0: 490.0 / 60.0, 120.0: -500.0 / 60.0}),
        ("RUNNING_SUM(total)", {0.0: 10.0, 60.0: 510.0, 120.0: 510.0}),
        ("total / PERIOD(total)", {0.0: 10.0 / 60.0, 60.0: 500.0 / 60.0, 120.0: 0.0}),
    ],
)
def test_expression(expression: str, expected: Series) -> None:
    assert evaluated(expression) == pytest.approx(expected)


def test_a_metric_without_any_data_is_filled_over_the_whole_window() -> None:
    assert evaluated("FILL(nothing, 0)", nothing={}) == {0.0: 0.0, 60.0: 0.0, 120.0: 0.0}


def test_expressions_refer_to_each_other() -> None:
    request = Request(
        WINDOW,
        {"failed": FAILED, "total": TOTAL},
        {"rate": "errors / total", "errors": "FILL(failed, 0)"},
    )
    assert request.series("rate") == [pytest.approx({0.0: 0.0, 60.0: 0.002})]


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('os').system('true')",
        "().__class__",
        "failed.pop(60.0)",
        "[x for x in (1, 2)]",
        "lambda: 0",
        "unknown + 1",
        "e + 1",
        "failed +",
        "True + 1",
        "'text'",
        "METRICS() + METRICS()",
        "SEARCH('{AWS/Lambda}', 'Sum', 60)",
        "f'{failed}'",
    ],
)
def test_anything_but_metric_math_is_refused(expression: str) -> None:
    with pytest.raises(MetricMathError):
        evaluated(expression)


# The tables of "Configuring how CloudWatch alarms treat missing data": 0 is fine, X breaches, - is missing.
THREE_OF_THREE = [
    ("0 - X - X", OK, OK, OK, OK),
    ("- - - - 0", OK, OK, OK, OK),
    ("- - - - -", INSUFFICIENT, "kept", ALARM, OK),
    ("0 X X - X", ALARM, ALARM, ALARM, ALARM),
    ("- - X - -", ALARM, "kept", ALARM, OK),
]
TWO_OF_THREE = [
    ("0 - X - X", ALARM, ALARM, ALARM, ALARM),
    ("0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
    ("0 - X - -", OK, OK, ALARM, OK),
    ("- - - - 0", OK, OK, ALARM, OK),
    ("- - - - X", ALARM, "kept", ALARM, OK),
]


@pytest.mark.parametrize(
    ("datapoints", "row"),
    [(3, row) for row in THREE_OF_THREE] + [(2, row) for row in TWO_OF_THREE],
)
def test_missing_data_follows_the_published_tables(datapoints: int, row: tuple[str, ...]) -> None:
    values = [{"0": 0.0, "X": 9.0, "-": None}[mark] for mark in row[0].split()]
    for missing, expected in zip(("missing", "ignore", "breaching", "notBreaching"), row[1:], strict=True):
        rule = Rule("GreaterThanThreshold", 1.0, periods=3, datapoints=datapoints, missing=missing)
        assert next_state(rule, values, "kept") == expected, missing


def test_expressions_are_parsed_in_many_threads_at_once() -> None:
    """CPython 3.11 mixes up the depths of trees that threads build at once (gh-106905). Threads only change places in
    there when the garbage collector runs Python code, as some libraries have it do."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()

    def callback(phase: str, info: object) -> None:
        sum(range(50))

    gc.callbacks.append(callback)
    gc.set_threshold(5)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            trees = pool.map(
                lambda number: parse(f"IF(FILL(a, 0) > 0, 100 * (a + b) / (a + {number}), 0)"), range(3000)
            )
            assert len(list(trees)) == 3000
    finally:
        sys.setswitchinterval(interval)
        gc.set_threshold(*threshold)
        gc.callbacks.remove(callback)
