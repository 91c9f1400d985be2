"""Graphs as SVG, without I/O. Colours are CSS variables of the page, so that they follow its light or dark ground."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from rollout.dashboards.reading import Series, Span

WIDTH, HEIGHT = 600, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 16, 26
PALETTE = ("#2a78d6", "#1baf7a", "#eda100", "#8b5cf6", "#e34948", "#e87ba4", "#eb6834", "#6b7280")
DASHES = ("", "6 3", "2 3")
Y_TICKS = 4
X_TICKS = 6
# Below this share of an alarm's limit, drawing the limit to scale would flatten the lines.
WORTH_SCALING = 0.2


@dataclass(frozen=True)
class Limit:
    """A horizontal line: where an alarm is raised."""

    label: str
    value: float


@dataclass(frozen=True)
class _Frame:
    """From time and value to the picture's coordinates."""

    start: float
    end: float
    top: float

    def x(self, at: float) -> float:
        return LEFT + (at - self.start) / (self.end - self.start) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - value / self.top * (HEIGHT - TOP - BOTTOM)


def chart(
    series: Sequence[Series], span: Span, period_s: int, *, limits: Sequence[Limit] = (), stacked: bool = False
) -> str:
    """One graph as an ``<svg>`` element. Says "no data" where there is none at all."""
    if stacked:
        series = _on_top_of_each_other(series)
    highest = max((value for one in series for _, value in one.points), default=0.0)
    drawn = [limit for limit in limits if highest >= limit.value * WORTH_SCALING]
    wanted = max([highest, *(limit.value * 1.1 for limit in drawn)])
    frame = _Frame(span.start.timestamp(), span.end.timestamp(), _round_up(wanted))
    parts = [*_grid(frame), *(_limit(frame, limit) for limit in drawn)]
    ground: dict[float, float] = {}
    for number, one in enumerate(series):
        parts += _line(frame, one, number, period_s, ground=ground if stacked else None)
        ground |= dict(one.points)
    if not any(one.points for one in series):
        parts.append(_text(WIDTH / 2 + LEFT / 2, HEIGHT / 2, "no data", "middle", "empty"))
    beyond = [limit for limit in limits if limit not in drawn]
    for number, limit in enumerate(beyond):
        note = f"{limit.label} {number_text(limit.value)} (off the scale)"
        parts.append(_text(WIDTH - RIGHT, TOP - 4 + 12 * number, note, "end", "note"))
    label = ", ".join(one.label for one in series)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )


def colour_of(series: Series, number: int) -> str:
    """The colour of the n-th line of a graph."""
    return series.colour or PALETTE[number % len(PALETTE)]


def dash_of(number: int) -> str:
    """The dash pattern of the n-th line: lines that share a colour differ in it."""
    return DASHES[number // len(PALETTE) % len(DASHES)]


def number_text(value: float) -> str:
    """A number in few characters: 0.25, 12, 1.5k, 3.2M."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"


def _on_top_of_each_other(series: Sequence[Series]) -> list[Series]:
    times = sorted({at for one in series for at, _ in one.points})
    below = dict.fromkeys(times, 0.0)
    stacked = []
    for one in series:
        own = dict(one.points)
        below = {at: below[at] + own.get(at, 0.0) for at in times}
        # A part that has no data at all stays "no data" and is not drawn as a line of zeros.
        stacked.append(Series(one.label, one.colour, tuple(below.items()) if own else ()))
    return stacked


def _round_up(value: float) -> float:
    """The next round number, so that a quarter of it is one too."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def _grid(frame: _Frame) -> Iterator[str]:
    for step in range(Y_TICKS + 1):
        value = frame.top * step / Y_TICKS
        y = frame.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield _text(LEFT - 6, y + 3.5, number_text(value), "end", "tick")
    step_s = _time_step((frame.end - frame.start) / X_TICKS)
    at = math.ceil(frame.start / step_s) * step_s
    while at <= frame.end:
        x = frame.x(at)
        shown = datetime.fromtimestamp(at, UTC).strftime("%H:%M")
        yield f'<line class="tickmark" x1="{x:.1f}" x2="{x:.1f}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - BOTTOM + 4}"/>'
        yield _text(min(x, WIDTH - RIGHT - 12), HEIGHT - 8, shown, "middle", "tick")
        at += step_s


def _time_step(seconds: float) -> int:
    steps = [minutes * 60 for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440)]
    return next((step for step in steps if step >= seconds), steps[-1])


def _limit(frame: _Frame, limit: Limit) -> str:
    y = frame.y(limit.value)
    line = f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
    return line + _text(LEFT + 4, y - 4, f"{limit.label} {number_text(limit.value)}", "start", "limit-label")


def _line(
    frame: _Frame, series: Series, number: int, period_s: int, *, ground: Mapping[float, float] | None
) -> Iterator[str]:
    """A line; with the space down to the ``ground``, the line below it, in a stack."""
    colour, dash = colour_of(series, number), dash_of(number)
    style = f'stroke="{escape(colour, quote=True)}"' + (f' stroke-dasharray="{dash}"' if dash else "")
    for run in _runs(series.points, period_s):
        places = [(frame.x(at), frame.y(value)) for at, value in run]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        if ground is not None and len(run) > 1:
            below = " ".join(f"{frame.x(at):.1f},{frame.y(ground.get(at, 0.0)):.1f}" for at, _ in reversed(run))
            yield f'<polygon class="area" fill="{escape(colour, quote=True)}" points="{path} {below}"/>'
        if len(run) > 1:
            yield f'<polyline class="line" {style} points="{path}"/>'
        for (x, y), (at, value) in zip(places, run, strict=True):
            when = datetime.fromtimestamp(at, UTC).strftime("%H:%M")
            kind = "point" if len(run) == 1 else "hover"
            yield (
                f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{2.5 if kind == "point" else 5}" '
                f'fill="{escape(colour, quote=True)}"><title>{escape(series.label)} {when} UTC: '
                f"{number_text(value)}</title></circle>"
            )


def _runs(points: Sequence[tuple[float, float]], period_s: int) -> Iterator[list[tuple[float, float]]]:
    """Data points that follow each other without a gap; a missing period breaks the line."""
    run: list[tuple[float, float]] = []
    for point in points:
        if run and point[0] - run[-1][0] > period_s * 1.5:
            yield run
            run = []
        run.append(point)
    if run:
        yield run


def _text(x: float, y: float, text: str, anchor: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
