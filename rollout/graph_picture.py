"""The graph of stacks as an SVG picture. No I/O; the same graph always gives the same bytes.

A column is a wave, a band is a region. A line that stays in its band is a need within the region; a dashed one crosses
over, so what the regions have to do with each other, and that is little, can be seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from rollout.counted import counted
from rollout.dashboards.charts import PALETTE
from shared.contracts import Graph, StackId

NODE_HEIGHT, ROW, COLUMN_GAP = 26, 36, 58
MARGIN, HEAD, BAND_HEAD, BAND_GAP, BAND_FOOT = 16, 30, 24, 12, 8
# Width of a character at 12 px, on the generous side.
_CHARACTER = 7.2

_STYLE = (
    "text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #1c2430; } "
    ".soft { fill: #5c6775; } .region { font-weight: 600; } .need { fill: none; stroke-width: 1.4; opacity: .65; } "
    ".across { stroke-dasharray: 4 4; } .node { fill: #fff; stroke-width: 1.5; } .band { opacity: .09; }"
)


@dataclass(frozen=True)
class _Place:
    x: float
    y: float


@dataclass(frozen=True)
class _Layout:
    places: dict[StackId, _Place]
    bands: dict[str, tuple[float, float]]
    columns: list[float]
    node_width: float
    width: float
    height: float


def as_svg(graph: Graph) -> str:
    """The picture as an SVG document."""
    layout = _layout(graph)
    regions = list(layout.bands)
    colours = {region: PALETTE[number % len(PALETTE)] for number, region in enumerate(regions)}
    parts = [
        *_bands(layout, colours),
        *_heads(layout),
        *(_need(layout, stack, need, colours[need.region]) for stack, needs in graph.needs.items() for need in needs),
        *(_node(layout, stack, colours[stack.region]) for stack in graph.order),
    ]
    title = (
        f"{counted(len(graph.order), 'stack')} in {counted(len(layout.columns), 'wave')} "
        f"and {counted(len(regions), 'region')}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" '
        f'width="{layout.width:.0f}" height="{layout.height:.0f}" role="img" '
        f'aria-label="{escape(title, quote=True)}">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _layout(graph: Graph) -> _Layout:
    waves = graph.waves()
    regions = list(dict.fromkeys(stack.region for stack in graph.order))
    node_width = max((len(stack.name) for stack in graph.order), default=0) * _CHARACTER + 20
    columns = [MARGIN + 10 + number * (node_width + COLUMN_GAP) for number in range(len(waves))]
    places: dict[StackId, _Place] = {}
    bands: dict[str, tuple[float, float]] = {}
    top = float(MARGIN + HEAD)
    for region in regions:
        cells = [[stack for stack in wave if stack.region == region] for wave in waves]
        rows = max(map(len, cells), default=0)
        height = BAND_HEAD + rows * ROW + BAND_FOOT
        bands[region] = (top, height)
        for x, cell in zip(columns, cells, strict=True):
            # In the middle of the band, so that a lone stack has its lines run straight.
            first = top + BAND_HEAD + (rows - len(cell)) * ROW / 2
            places |= {stack: _Place(x, first + number * ROW) for number, stack in enumerate(cell)}
        top += height + BAND_GAP
    right = (columns[-1] if columns else MARGIN) + node_width + 10
    return _Layout(places, bands, columns, node_width, right + MARGIN, top - BAND_GAP + MARGIN)


def _bands(layout: _Layout, colours: dict[str, str]) -> Iterator[str]:
    for region, (top, height) in layout.bands.items():
        colour = colours[region]
        yield (
            f'<rect class="band" x="{MARGIN}" y="{top:.1f}" width="{layout.width - 2 * MARGIN:.1f}" '
            f'height="{height:.1f}" rx="8" fill="{colour}"/>'
        )
        yield (
            f'<text class="region" x="{MARGIN + 10}" y="{top + 16:.1f}" style="fill: {colour}">{escape(region)}</text>'
        )


def _heads(layout: _Layout) -> Iterator[str]:
    for number, x in enumerate(layout.columns, start=1):
        middle = x + layout.node_width / 2
        yield f'<text class="soft" x="{middle:.1f}" y="{MARGIN + 14}" text-anchor="middle">wave {number}</text>'


def _need(layout: _Layout, stack: StackId, need: StackId, colour: str) -> str:
    """A line from what is needed to what needs it, in the colour of where it comes from."""
    start, end = layout.places[need], layout.places[stack]
    x1, y1 = start.x + layout.node_width, start.y + NODE_HEIGHT / 2
    x2, y2 = end.x, end.y + NODE_HEIGHT / 2
    bend = COLUMN_GAP * 0.8
    across = "" if stack.region == need.region else " across"
    return (
        f'<path class="need{across}" stroke="{colour}" d="M{x1:.1f} {y1:.1f} C{x1 + bend:.1f} {y1:.1f} '
        f'{x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"><title>{escape(f"{stack} needs {need}")}</title></path>'
    )


def _node(layout: _Layout, stack: StackId, colour: str) -> str:
    place, middle = layout.places[stack], layout.node_width / 2
    return (
        f'<g><title>{escape(str(stack))}</title><rect class="node" x="{place.x:.1f}" y="{place.y:.1f}" '
        f'width="{layout.node_width:.1f}" height="{NODE_HEIGHT}" rx="5" stroke="{colour}"/>'
        f'<text x="{place.x + middle:.1f}" y="{place.y + 17:.1f}" text-anchor="middle">{escape(stack.name)}</text></g>'
    )
