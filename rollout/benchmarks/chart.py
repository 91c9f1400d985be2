"""The measurements as an SVG picture: bars for the ways compared, lines for the growth with regions."""

from __future__ import annotations

import math
from html import escape

from rollout.benchmarks import growth, peers
from rollout.benchmarks.results import Results, Task, median

WIDTH, HEIGHT = 960, 420
_TOP, _BOTTOM, _LEFT = 80, 370, 60
_COLOURS = ("#1f6feb", "#8c959f", "#d4730b")
_LINES = ("#1f6feb", "#1a7f37", "#d4730b")


def render(results: Results) -> str:
    """The picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#24292f">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        *_bars(results, _LEFT, 400),
        *_lines(results, 560, 360),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _bars(results: Results, left: int, width: int) -> list[str]:
    tasks = (Task.ROLLOUT, Task.LAYER, Task.NOTHING)
    ways = list(dict.fromkeys(figure.way for figure in results.figures if figure.part == peers.PART))
    values = {
        (task, way): median(found) for task in tasks for way in ways if (found := results.of(peers.PART, way, task))
    }
    if not values:
        return []
    top = max(values.values())
    parts = [_text(left, 24, "Against peers: wall seconds", size=15), *_axis(left, width, top)]
    group = width / len(tasks)
    bar = group * 0.8 / len(ways)
    for index, task in enumerate(tasks):
        begin = left + index * group + group * 0.1
        parts.append(_text(begin + group * 0.4, _BOTTOM + 20, task, anchor="middle"))
        for number, way in enumerate(ways):
            value = values.get((task, way))
            if value is None:
                continue
            y = _y(value, top)
            x = begin + number * bar
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar * 0.9:.1f}" height="{_BOTTOM - y:.1f}" '
                f'fill="{_COLOURS[number % 3]}"/>'
            )
            parts.append(_text(x + bar * 0.45, y - 4, f"{value:.0f}", anchor="middle"))
    for number, way in enumerate(ways):
        parts += _key(left + number * 110, 44, _COLOURS[number % 3], way)
    return parts


def _lines(results: Results, left: int, width: int) -> list[str]:
    counts = sorted({figure.regions for figure in results.figures if figure.part == growth.PART})
    if len(counts) < 2:
        return []
    series = {
        task: [
            (count, median(found)) for count in counts if (found := results.of(growth.PART, "tripoint", task, count))
        ]
        for task in (Task.ROLLOUT, Task.NOTHING, Task.SYNTHESIS)
    }
    series = {task: points for task, points in series.items() if points}
    first = series.get(Task.ROLLOUT, [(counts[0], 1.0)])[0]
    linear = [(count, first[1] * count / first[0]) for count in counts]
    top = max(value for points in (*series.values(), linear) for _, value in points)
    parts = [_text(left, 24, "Growth with regions: wall seconds", size=15), *_axis(left, width, top)]

    def x(count: int) -> float:
        return left + width * count / max(counts)

    def path(points: list[tuple[int, float]], style: str) -> str:
        dots = " ".join(f"{x(count):.1f},{_y(value, top):.1f}" for count, value in points)
        return f'<polyline points="{dots}" fill="none" {style}/>'

    parts += [_text(x(count), _BOTTOM + 20, f"{count}", anchor="middle") for count in counts]
    parts.append(path(linear, 'stroke="#8c959f" stroke-dasharray="4 4"'))
    parts += _key(left, 44, "#8c959f", "linear from the first rollout")
    for number, (task, points) in enumerate(series.items()):
        colour = _LINES[number]
        parts.append(path(points, f'stroke="{colour}" stroke-width="2"'))
        parts += [f'<circle cx="{x(n):.1f}" cy="{_y(value, top):.1f}" r="3" fill="{colour}"/>' for n, value in points]
        if number == 0:
            parts += [_text(x(n), _y(value, top) - 7, f"{value:.0f}", anchor="middle") for n, value in points]
        values = f"{task}: {points[0][1]:.0f} to {points[-1][1]:.0f}"
        column, row = (number + 1) % 2, (number + 1) // 2
        parts += _key(left + column * 200, 44 + row * 18, colour, values)
    parts.append(_text(left + width / 2, _BOTTOM + 38, "regions", anchor="middle"))
    return parts


def _axis(left: int, width: int, top: float) -> list[str]:
    step = _step(top)
    parts = [f'<line x1="{left}" y1="{_BOTTOM}" x2="{left + width}" y2="{_BOTTOM}" stroke="#57606a"/>']
    for number in range(1, int(top / step) + 1):
        y = _y(number * step, top)
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}" stroke="#d0d7de"/>')
        parts.append(_text(left - 6, y + 4, f"{number * step:g}", anchor="end"))
    return parts


def _step(top: float) -> float:
    """A round distance of three to six lines up to the top."""
    size = 10.0 ** math.floor(math.log10(top))
    return next(size * part for part in (0.2, 0.25, 0.5, 1, 2) if top / (size * part) < 6)


def _y(value: float, top: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP - 20) * value / top


def _key(x: float, y: float, colour: str, text: str) -> list[str]:
    return [f'<rect x="{x}" y="{y - 9}" width="10" height="10" fill="{colour}"/>', _text(x + 14, y, text)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 12) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>'
