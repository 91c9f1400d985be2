"""`docs/drills.md`: a block for each scenario, written by its last run with `--write`, and its charts as SVG files."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rollout.dashboards import charts
from rollout.dashboards.reading import Series, Span
from rollout.drills.drill import Result
from rollout.drills.figures import quantile
from rollout.drills.scenarios import scenario
from rollout.reconcile.evidence import Invariant
from shared.errors import TripointError

PAGE = Path("docs") / "drills.md"
CHARTS = Path("docs") / "drills"

# A picture that stands alone, on white or black ground; colours that are legible on both.
_STYLE = (
    "<style>text{font:11px sans-serif;fill:#777}.grid{stroke:#8884;stroke-width:1}.tickmark{stroke:#888}"
    ".line{fill:none;stroke-width:1.8}.hover{opacity:0}.down{fill:#e3494822}.title{font-size:12px}</style>"
)
_ROOM = 22  # for the title and the legend above the frame


class PageError(TripointError):
    """The page has no place for a scenario."""


def write(root: Path, result: Result) -> list[Path]:
    """Put a result into its block of the page, and draw its charts; the files that were written.

    Raises
    ------
    PageError
        When the page has no such block.
    """
    page, name = root / PAGE, result.scenario.name
    text = page.read_text(encoding="utf-8")
    block = re.compile(rf"(<!-- drill:{name} -->\n).*?(<!-- /drill:{name} -->)", re.DOTALL)
    if not block.search(text):
        raise PageError(f"{PAGE}: no block for {name!r}; it needs <!-- drill:{name} --> and <!-- /drill:{name} -->")
    (root / CHARTS).mkdir(parents=True, exist_ok=True)
    written = [page]
    for kind, svg in pictures(result).items():
        path = root / CHARTS / f"{name}-{kind}.svg"
        path.write_text(svg + "\n", encoding="utf-8")
        written.append(path)
    page.write_text(block.sub(lambda found: found[1] + markdown(result) + found[2], text), encoding="utf-8")
    return written


# -- text ------------------------------------------------------------------------------------------


def markdown(result: Result) -> str:
    """What a drill found, as the page shows it."""
    name, verdict = result.scenario.name, result.verdict
    more = f" --pace {result.pace:g}" if result.pace != 1 else ""
    if result.scenario.users != scenario(name).users:
        more += f" --users {result.scenario.users}"
    when = datetime.fromtimestamp(result.began, UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        f"{'Passed' if result.ok else '**Failed**'} on {when}, in {result.seconds / 60:.1f} minutes, with",
        f"`tripoint drill {name} --payments {result.payments} --seed {result.seed}{more}`.",
        "",
        *_table(result.figures),
    ]
    if result.outage:
        lines += ["", "The region that was down:", "", *_table(result.outage)]
    if result.struck:
        lines += ["", "Faults that struck: " + ", ".join(f"{kind} {count:,}" for kind, count in result.struck.items())]
    if verdict:
        lines += ["", "Reconciliation:", "", "| invariant | breaches |", "|---|---:|"]
        for one in Invariant:
            said = f"not checked: {verdict.unchecked[one]}" if one in verdict.unchecked else verdict.count(one)
            lines.append(f"| {one} | {said} |")
        lines += ["", "| minor units | captured | refunded | settled | difference |", "|---|---:|---:|---:|---:|"]
        lines += [
            f"| {currency} | {one.captured:,} | {one.refunded:,} | {one.settled:,} | {one.difference:,} |"
            for currency, one in verdict.sums.items()
        ]
    lines += ["", *(f"- **{complaint}**" for complaint in result.complaints)]
    titles = {"throughput": "Payments accepted per second", "latency": "Seconds to the final state"}
    lines += [f"![{title}](drills/{name}-{kind}.svg)" for kind, title in titles.items()]
    return "\n".join(lines) + "\n"


def _table(figures: Mapping[str, object]) -> list[str]:
    rows = [
        f"| {name} | {value:,} |" if isinstance(value, int | float) else f"| {name} | {value} |"
        for name, value in figures.items()
    ]
    return ["| | |", "|---|---:|", *rows]


# -- pictures --------------------------------------------------------------------------------------


def pictures(result: Result) -> dict[str, str]:
    """The charts of a drill, by their kind."""
    accepted = {one.payment_id: one for one in reversed(result.answers) if one.accepted}
    if not accepted:
        return {}
    begin = min(one.at for one in result.answers)
    end = max(one.at for one in result.answers) + 1
    span = Span(datetime.fromtimestamp(begin, UTC), datetime.fromtimestamp(max(end, begin + 60), UTC))
    period = max(5, round((end - begin) / 60))

    def line(label: str, values: Iterable[tuple[float, float]], of: Callable[[Sequence[float]], float]) -> Series:
        buckets: dict[int, list[float]] = defaultdict(list)
        for at, value in values:
            buckets[int((at - begin) // period)].append(value)
        points = ((begin + (number + 0.5) * period, of(sorted(found))) for number, found in sorted(buckets.items()))
        return Series(label, "", tuple(points))

    regions = sorted({one.region for one in accepted.values()})
    throughput = [
        line(
            region,
            ((one.at, 1.0) for one in accepted.values() if one.region == region),
            lambda many: len(many) / period,
        )
        for region in regions
    ]
    took = [
        (accepted[id].at, one.updated_at - accepted[id].at)
        for id, one in result.standings.items()
        if id in accepted and one.is_final
    ]
    latency = [
        line("median", took, lambda many: quantile(many, 0.5)),
        line("95 %", took, lambda many: quantile(many, 0.95)),
    ]
    return {
        "throughput": _picture("Payments accepted per second", throughput, span, period, result),
        "latency": _picture("Seconds from the request to the final state", latency, span, period, result),
    }


def _picture(title: str, series: Sequence[Series], span: Span, period: int, result: Result) -> str:
    svg = charts.chart(series, span, period)
    inner = svg[svg.index(">") + 1 : svg.rindex("</svg>")]
    legend = "".join(
        f'<circle cx="{charts.LEFT + 235 + number * 102}" cy="-8" r="4" fill="{charts.colour_of(one, number)}"/>'
        f'<text x="{charts.LEFT + 243 + number * 102}" y="-4">{one.label}</text>'
        for number, one in enumerate(series)
    )
    size = f'viewBox="0 {-_ROOM} {charts.WIDTH} {charts.HEIGHT + _ROOM}" width="{charts.WIDTH}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">{_STYLE}'
        f'<text class="title" x="{charts.LEFT}" y="-4">{title}</text>{legend}{_outage(span, result)}{inner}</svg>'
    )


def _outage(span: Span, result: Result) -> str:
    if not result.outage_span:
        return ""
    start, end = span.start.timestamp(), span.end.timestamp()
    width = charts.WIDTH - charts.LEFT - charts.RIGHT
    left, right = (
        charts.LEFT + (min(max(at, start), end) - start) / (end - start) * width for at in result.outage_span
    )
    height = charts.HEIGHT - charts.TOP - charts.BOTTOM
    said = f'<text x="{left + 4:.1f}" y="{charts.TOP + 12}">{result.outage["region"]} down</text>'
    return f'<rect class="down" x="{left:.1f}" y="{charts.TOP}" width="{right - left:.1f}" height="{height}"/>{said}'
