"""The part of docs/benchmarks.md that is written from the measurements, and the charts beside it."""

from __future__ import annotations

from pathlib import Path

from rollout.benchmarks import chart, growth, peers
from rollout.benchmarks.measure import BenchmarkError
from rollout.benchmarks.results import Figure, Results, Task, median
from rollout.benchmarks.ways import CdktfCli, Ours, ShellLoop

PAGE = Path("docs/benchmarks.md")
CHART = Path("docs/benchmarks.svg")
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
WAYS = (Ours, ShellLoop, CdktfCli)


def write(root: Path, results: Results) -> list[Path]:
    """Replace the measured block of the page and the chart; returns what was written.

    Raises
    ------
    BenchmarkError
        When the page has no such block.
    """
    page = root / PAGE
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise BenchmarkError(f"{page} must hold one block between {BEGIN} and {END}")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n{render(results)}\n{END}{after}", encoding="utf-8")
    (root / CHART).write_text(chart.render(results), encoding="utf-8")
    return [page, root / CHART]


def render(results: Results) -> str:
    """The block as Markdown."""
    machine = results.machine
    parts = [
        "```console\n$ make bench\n```",
        f"{machine['cores']} cores, {machine['memory']} of memory, Python {machine['python']}, Terraform "
        f"{machine['terraform']}, {machine['date']}. Load: the one-minute load average before each measurement / its "
        "mean meanwhile, which counts the measured commands and their sandbox. CPU seconds are those of the commands "
        "alone.",
        *_peers(results),
        *_growth(results),
        f"![Rollouts compared, and growth with regions]({CHART.name})",
    ]
    return "\n\n".join(parts)


def _peers(results: Results) -> list[str]:
    ways = [way for way in WAYS if any(figure.way == way.name for figure in results.figures)]
    tasks = (Task.ROLLOUT, Task.LAYER, Task.NOTHING)
    measured = [figure for figure in results.figures if figure.part == peers.PART]
    if not measured:
        return []
    rollouts = [figure for figure in measured if figure.task is Task.ROLLOUT]
    stacks, regions = rollouts[0].stacks, rollouts[0].regions
    head = f"| | {' | '.join(way.name for way in ways)} | " + " | ".join(
        f"{way.name} / {Ours.name}" for way in ways if way is not Ours
    )
    lines = [f"{head} |", "|---|" + "---:|" * (2 * len(ways) - 1)]
    for task in tasks:
        found = {way.name: results.of(peers.PART, way.name, task) for way in ways}
        ours = found[Ours.name]
        for what, unit in (("wall_s", "wall s"), ("cpu_s", "CPU s")):
            cells = [f"{median(figures, what):.1f}" if figures else "-" for figures in found.values()]
            cells += [
                f"{median(figures, what) / median(ours, what):.1f}" if figures and ours else "-"
                for name, figures in found.items()
                if name != Ours.name
            ]
            lines.append(f"| {task}, {unit} | {' | '.join(cells)} |")
        loads = [_loads(figures) for figures in found.values()] + [""] * (len(ways) - 1)
        lines.append(f"| {task}, load | {' | '.join(loads)} |")
    return [
        f"### Against peers\n\n{stacks} stacks in {regions} regions, every way in a new sandbox, one after the other. "
        f"The single layer is `{peers.CHANGED_LAYER}` after a change of its log retention.",
        "\n".join(lines),
        "\n".join(f"- {way.name}: {way.described}." for way in ways),
    ]


def _growth(results: Results) -> list[str]:
    tasks = (Task.SYNTHESIS, Task.ROLLOUT, Task.NOTHING)
    counts = sorted({figure.regions for figure in results.figures if figure.part == growth.PART})
    if not counts:
        return []
    lines = ["| regions | stacks | " + " | ".join(f"{task}, wall s | CPU s | load" for task in tasks) + " |"]
    lines.append("|---:|---:|" + "---:|---:|---:|" * len(tasks))
    for count in counts:
        found = [results.of(growth.PART, Ours.name, task, count) for task in tasks]
        stacks = next(figures[0].stacks for figures in found if figures)
        cells = [
            f"{median(figures):.1f} | {median(figures, 'cpu_s'):.1f} | {_loads(figures)}" if figures else "- | - | -"
            for figures in found
        ]
        lines.append(f"| {count} | {stacks} | {' | '.join(cells)} |")
    text = "Each number of regions in a new sandbox."
    first, last = counts[0], counts[-1]
    if first != last:
        ratios = []
        for task in tasks:
            small, large = (results.of(growth.PART, Ours.name, task, count) for count in (first, last))
            if small and large:
                ratios.append(f"{task} {median(large) / median(small):.1f} (CPU {_ratio(large, small):.1f})")
        grown = f"From {first} to {last} regions, {last / first:.2g} times as many"
        text += f" {grown}, the cost grows by: {', '.join(ratios)}."
    return [f"### Growth with regions\n\n{text}", "\n".join(lines)]


def _ratio(large: list[Figure], small: list[Figure]) -> float:
    return median(large, "cpu_s") / median(small, "cpu_s")


def _loads(figures: list[Figure]) -> str:
    return ", ".join(f"{figure.cost.load_before} / {figure.cost.load_mean}" for figure in figures) or "-"
