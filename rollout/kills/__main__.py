"""`python -m rollout.kills [--rounds 30] [--kind plan] [--seed 1]`: see the package."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from rollout.kills.drill import Drill
from rollout.kills.rounds import Kind, Round, line, shown, summary
from shared.errors import TripointError


def main() -> int:
    """Run the drill; exit code 0 when every round ended as an undisturbed run does."""
    parser = argparse.ArgumentParser(prog="python -m rollout.kills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="how many runs are disturbed")
    parser.add_argument("--kind", choices=[str(kind) for kind in Kind], help="of all rounds; in turn when left out")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each has the next one")
    parser.add_argument("--port", type=int, default=4577, help="of the drill's sandbox")
    parser.add_argument("--parallel", type=int, default=3, help="stacks at once")
    parser.add_argument("--folder", type=Path, default=Path(".tripoint/kill-drill"), help="for its files")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} is not allowed; allowed: 1 or more")
    kinds = [Kind(options.kind)] if options.kind else list(Kind)
    drill = Drill(options.folder.resolve(), port=options.port, parallel=options.parallel, say=_say)
    results: list[Round] = []
    takes_s: dict[Kind, float] = {}
    try:
        takes_s = drill.undisturbed(kinds)
        times = ", ".join(f"{kind} in {seconds:.1f} s" for kind, seconds in takes_s.items())
        _say(f"undisturbed: {drill.wanted.total()} things; {times}")
        with (options.folder / "rounds.jsonl").open("w", encoding="utf-8") as rounds:
            for number in range(options.rounds):
                result = drill.round(number + 1, options.seed + number, kinds[number % len(kinds)])
                results.append(result)
                print(line(result), file=rounds, flush=True)
                _say(shown(result))
    except TripointError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        drill.close()
    found = summary(results, takes_s)
    (options.folder / "summary.json").write_text(json.dumps(found, indent=2), encoding="utf-8")
    _say(json.dumps(found))
    return 0 if all(result.passed for result in results) else 1


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
