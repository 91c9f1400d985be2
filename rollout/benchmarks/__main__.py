"""`python -m rollout.benchmarks all`, or one part: `synthesis`, `peers`, `growth`, `page`.

A short form, in minutes: `python -m rollout.benchmarks peers --regions 2 --layers network data`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rollout.benchmarks import growth, page, peers, synthesis
from rollout.benchmarks.cdktf_cli import install
from rollout.benchmarks.results import Results
from rollout.benchmarks.ways import CdktfCli, Ours, ShellLoop, Way
from rollout.workspace import project_root
from shared.errors import TripointError

WAYS: dict[str, Callable[[argparse.Namespace], Way]] = {
    "tripoint": lambda options: Ours(options.parallel),
    "shell-loop": lambda options: ShellLoop(),
    "cdktf": lambda options: CdktfCli(install()),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    options = _parser().parse_args(arguments)
    root = project_root()
    folder = root / ".tripoint" / "benchmarks"
    results = Results.open(options.results or folder / "results.json")
    part = options.part
    try:
        if part in ("all", "peers"):
            ways = [WAYS[way](options) for way in options.ways]
            peers.measure(
                results, ways, folder, regions=options.regions, layers=options.layers, rounds=options.rounds,
                port=options.port,
            )  # fmt: skip
        if part in ("all", "growth"):
            growth.measure(results, folder, regions=options.counts, port=options.port)
        if part != "synthesis" and not options.no_page:
            for path in page.write(root, results):
                print(f"written: {path.relative_to(root)}")
    except TripointError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return synthesis.main(options.runs) if part in ("all", "synthesis") else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m rollout.benchmarks", description=__doc__)
    parser.add_argument("part", choices=("all", "synthesis", "peers", "growth", "page"))
    parser.add_argument("--runs", type=int, default=5, help="synthesis: counted rounds, after one that is not")
    parser.add_argument("--regions", type=int, default=3, help="peers: how many regions")
    parser.add_argument("--layers", nargs="*", default=[], help="peers: only these layers; all when left out")
    parser.add_argument("--rounds", type=int, default=1, help="peers: how often, in turn")
    parser.add_argument(
        "--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="peers: who; all when left out"
    )
    parser.add_argument("--parallel", type=int, help="peers: tripoint's stacks at once, other than its default")
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 3, 6, 9], help="growth: numbers of regions")
    parser.add_argument("--port", type=int, default=4599, help="of the sandbox that is started for each measurement")
    parser.add_argument(
        "--results", type=Path, help="the file with the measurements; .tripoint/benchmarks/results.json"
    )
    parser.add_argument("--no-page", action="store_true", help="leave docs/benchmarks.md alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
