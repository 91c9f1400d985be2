"""CloudWatch metric math over time series, without I/O.

Syntax and functions after "Using math expressions with CloudWatch metrics" (CloudWatch User
Guide). A time series is a dict of timestamp (epoch seconds) to value; a value is a number, a
series or a list of series. Two series combine at the timestamps they share; a division by zero
gives no data point.

Not supported: SEARCH, ANOMALY_DETECTION_BAND, SERVICE_QUOTA, INSIGHT_RULE_METRIC, DB_PERF_INSIGHTS.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import statistics
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache

Series = dict[float, float]
Value = float | Series | list[Series]


class MetricMathError(ValueError):
    """The expression is malformed, unsafe or uses something that isn't supported."""


_STRING = re.compile(r"""("[^"]*"|'[^']*')""")
_WORDS = (
    (re.compile(r"&&|\bAND\b"), " and "),
    (re.compile(r"\|\||\bOR\b"), " or "),
    (re.compile(r"\^"), "**"),
)
_KEYWORDS = ("REPEAT", "LINEAR")
_MAX_LENGTH = 2048
_BUILDING_A_TREE = threading.Lock()

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "SUM": math.fsum,
    "AVG": statistics.fmean,
    "MIN": min,
    "MAX": max,
    "STDDEV": statistics.pstdev,
}
_POINTWISE: dict[str, Callable[[float], float]] = {
    "ABS": abs,
    "CEIL": lambda value: float(math.ceil(value)),
    "FLOOR": lambda value: float(math.floor(value)),
    "LOG": math.log,
    "LOG10": math.log10,
}
_CALENDAR: dict[str, Callable[[datetime], float]] = {
    "MINUTE": lambda at: at.minute,
    "HOUR": lambda at: at.hour,
    "DAY": lambda at: at.isoweekday(),
    "DATE": lambda at: at.day,
    "MONTH": lambda at: at.month,
    "YEAR": lambda at: at.year,
    "EPOCH": lambda at: at.timestamp(),
}


@dataclass(frozen=True)
class Window:
    """The timestamps at which a series may have a data point, oldest first, and their distance."""

    timestamps: Sequence[float]
    period_s: float


@dataclass
class Request:
    """The metrics and expressions of one alarm or of one GetMetricData call.

    `metrics` are the series read from CloudWatch, `expressions` the text of the others, by id.
    """

    window: Window
    metrics: Mapping[str, Series]
    expressions: Mapping[str, str]
    _evaluating: set[str] = field(default_factory=set)

    def value(self, name: str) -> Value:
        """The series of a metric, or the result of an expression, by its id."""
        if name in self.metrics:
            return self.metrics[name]
        if name not in self.expressions:
            raise MetricMathError(f"unknown id {name!r}")
        if name in self._evaluating:
            raise MetricMathError(f"{name!r} depends on itself")
        self._evaluating.add(name)
        try:
            return self._node(parse(self.expressions[name]))
        finally:
            self._evaluating.discard(name)

    def series(self, name: str) -> list[Series]:
        """The result as series: a scalar becomes a constant one."""
        found = self.value(name)
        if isinstance(found, list):
            return found
        return [found if isinstance(found, dict) else self._constant(found)]

    # -- the expression tree ----------------------------------------------------------------------

    def _node(self, node: ast.expr) -> Value:  # noqa: PLR0911 - one return for each kind of node
        match node:
            case ast.Constant(value=bool()):
                raise MetricMathError("true and false are not numbers")
            case ast.Constant(value=int() | float() as number):
                return float(number)
            case ast.Name(id=name):
                return self.value(name)
            case ast.List(elts=elements):
                return [one for element in elements for one in _as_list(self._node(element))]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return _map(lambda value: -value, self._node(operand))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._node(operand)
            case ast.BinOp(op=kind) if type(kind) in _ARITHMETIC:
                return _combine(_ARITHMETIC[type(kind)], self._node(node.left), self._node(node.right))
            case ast.Compare(ops=[kind], comparators=[other]) if type(kind) in _COMPARISONS:
                compare = _COMPARISONS[type(kind)]
                return _combine(lambda a, b: float(compare(a, b)), self._node(node.left), self._node(other))
            case ast.BoolOp(op=kind, values=operands):
                both = isinstance(kind, ast.And)
                result = self._node(operands[0])
                for operand in operands[1:]:
                    result = _combine(
                        lambda a, b: float(bool(a and b) if both else bool(a or b)),
                        result,
                        self._node(operand),
                    )
                return result
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(name, arguments)
        raise MetricMathError(f"{ast.unparse(node)!r} is not metric math")

    def _call(  # noqa: PLR0911, PLR0912 - one case for each function
        self, name: str, arguments: list[ast.expr]
    ) -> Value:
        if name == "METRICS":
            return self._metrics(arguments)
        if name == "FILL":
            return self._fill(arguments)
        values = [self._node(argument) for argument in arguments]
        match name, values:
            case "IF", [condition, then]:
                return self._if(condition, then, {})
            case "IF", [condition, then, otherwise]:
                return self._if(condition, then, otherwise)
            case _, [value] if name in _AGGREGATES:
                return _aggregate(_AGGREGATES[name], value)
            case _, [value] if name in _POINTWISE:
                return _map(_POINTWISE[name], value)
            case _, [dict() as series] if name in _CALENDAR:
                read = _CALENDAR[name]
                return {at: read(datetime.fromtimestamp(at, UTC)) for at in series}
            case "METRIC_COUNT", [value]:
                return float(len(_as_list(value)))
            case "DATAPOINT_COUNT", [dict() as series]:
                return float(len(series))
            case "PERIOD", [_]:
                return float(self.window.period_s)
            case "TIME_SERIES", [float() as value]:
                return self._constant(value)
            case "FIRST" | "LAST", [value]:
                return _as_list(value)[0 if name == "FIRST" else -1]
            case "REMOVE_EMPTY", [value]:
                return [series for series in _as_list(value) if series]
            case "RUNNING_SUM" | "DIFF" | "DIFF_TIME" | "RATE", [value]:
                return _per_series(lambda series: _running(name, series), value)
        raise MetricMathError(f"{name} with {len(values)} arguments is not supported")

    def _metrics(self, arguments: list[ast.expr]) -> Value:
        match arguments:
            case []:
                return list(self.metrics.values())
            case [ast.Constant(value=str() as part)]:
                return [series for name, series in self.metrics.items() if part in name]
        raise MetricMathError("METRICS takes one text at most")

    def _fill(self, arguments: list[ast.expr]) -> Value:
        if len(arguments) != 2:
            raise MetricMathError("FILL takes a series and what to fill it with")
        sparse, filler = self._node(arguments[0]), arguments[1]
        if isinstance(filler, ast.Name) and filler.id in _KEYWORDS:
            method = filler.id
            return _per_series(lambda series: self._interpolate(method, series), sparse)
        value = self._node(filler)
        if isinstance(value, list):
            raise MetricMathError("FILL takes one series or number to fill with")
        rest = value if isinstance(value, dict) else self._constant(value)
        return _per_series(lambda series: dict(sorted((rest | series).items())), sparse)

    def _interpolate(self, method: str, series: Series) -> Series:
        filled: Series = {}
        for at in self.window.timestamps:
            before = max((t for t in series if t <= at), default=None)
            after = min((t for t in series if t >= at), default=None)
            if before is None:
                continue
            if method == "REPEAT":
                filled[at] = series[before]
            elif after is not None:
                share = (at - before) / (after - before) if after > before else 0.0
                filled[at] = series[before] + share * (series[after] - series[before])
        return filled

    def _if(self, condition: Value, then: Value, otherwise: Value) -> Value:
        if isinstance(condition, list) or isinstance(then, list) or isinstance(otherwise, list):
            raise MetricMathError("IF works on single series")
        if isinstance(condition, float):
            return then if condition else otherwise
        chosen: Series = {}
        for at, holds in condition.items():
            branch = then if holds else otherwise
            value = branch.get(at) if isinstance(branch, dict) else branch
            if value is not None:
                chosen[at] = value
        return chosen

    def _constant(self, value: float) -> Series:
        return dict.fromkeys(self.window.timestamps, value)


@cache
def parse(expression: str) -> ast.expr:
    """The syntax tree of an expression; nothing of it is ever executed as Python."""
    if len(expression) > _MAX_LENGTH:
        raise MetricMathError(f"an expression has at most {_MAX_LENGTH} characters")
    parts = _STRING.split(expression)
    for index in range(0, len(parts), 2):
        for pattern, word in _WORDS:
            parts[index] = pattern.sub(word, parts[index])
    try:
        # CPython 3.11 counts the depth of trees under construction in one place for all threads (gh-106905).
        with _BUILDING_A_TREE:
            return ast.parse("".join(parts).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise MetricMathError(f"{expression!r} is malformed: {error}") from None


def _as_list(value: Value) -> list[Series]:
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    raise MetricMathError("a number stands where a time series is expected")


def _per_series(change: Callable[[Series], Series], value: Value) -> Value:
    if isinstance(value, list):
        return [change(series) for series in value]
    return change(_as_list(value)[0])


def _map(function: Callable[[float], float], value: Value) -> Value:
    if isinstance(value, list):
        return [_mapped(function, series) for series in value]
    return _mapped(function, value) if isinstance(value, dict) else function(value)


def _mapped(function: Callable[[float], float], series: Series) -> Series:
    results = ((at, _number(function, value)) for at, value in series.items())
    return {at: result for at, result in results if result is not None}


def _combine(function: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if isinstance(left, list) and isinstance(right, list):
        raise MetricMathError("two lists of series can't be combined")
    if isinstance(left, list):
        return [_combined(function, series, right) for series in left]
    if isinstance(right, list):
        return [_combined(function, left, series) for series in right]
    if isinstance(left, dict) or isinstance(right, dict):
        return _combined(function, left, right)
    result = _number(function, left, right)
    return {} if result is None else result


def _combined(function: Callable[[float, float], float], left: Value, right: Value) -> Series:
    times = [set(side) for side in (left, right) if isinstance(side, dict)]
    result: Series = {}
    for at in sorted(set.intersection(*times)):
        operands = [side[at] if isinstance(side, dict) else side for side in (left, right)]
        value = _number(function, *operands)
        if value is not None:
            result[at] = value
    return result


def _number(function: Callable[..., float], *operands: object) -> float | None:
    """None where there is no finite result: such a data point does not exist."""
    try:
        result = function(*operands)
    except (ArithmeticError, ValueError):
        return None
    return float(result) if math.isfinite(result) else None


def _aggregate(function: Callable[[Sequence[float]], float], value: Value) -> Value:
    """Over one series to a number, over several to one series."""
    if isinstance(value, float):
        return value
    if isinstance(value, dict):
        return function(list(value.values())) if value else {}
    times = sorted({at for series in value for at in series})
    return {at: function([series[at] for series in value if at in series]) for at in times}


def _running(name: str, series: Series) -> Series:
    result: Series = {}
    total, previous = 0.0, None
    for at, value in sorted(series.items()):
        total += value
        if name == "RUNNING_SUM":
            result[at] = total
        elif previous is not None:
            then, was = previous
            result[at] = {
                "DIFF": value - was,
                "DIFF_TIME": at - then,
                "RATE": (value - was) / (at - then),
            }[name]
        previous = (at, value)
    return result
