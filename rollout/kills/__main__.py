"""`python -m rollout.kills [--rounds 30] [--seed 1]`: see the package."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

from rollout.kills.drill import Drill, Round, line
from shared.errors import TripointError


def main() -> int:
    """Run the drill; exit code 0 when every round ended as an undisturbed run does."""
    parser = argparse.ArgumentParser(prog="python -m rollout.kills", description=__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="how many runs are disturbed")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; each has the next one")
    parser.add_argument("--port", type=int, default=4577, help="of the drill's sandbox")
    parser.add_argument("--parallel", type=int, default=3, help="stacks at once")
    parser.add_argument("--folder", type=Path, default=Path(".tripoint/kill-drill"), help="for its files")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} is not allowed; allowed: 1 or more")
    drill = Drill(options.folder.resolve(), port=options.port, parallel=options.parallel, say=_say)
    results: list[Round] = []
    try:
        wanted, takes_s = drill.undisturbed()
        _say(f"undisturbed: {len(wanted)} things in {takes_s:.1f} s")
        with (options.folder / "rounds.jsonl").open("w", encoding="utf-8") as rounds:
            for number in range(options.rounds):
                result = drill.round(number + 1, options.seed + number, wanted, takes_s)
                results.append(result)
                print(line(result), file=rounds, flush=True)
                _say(_shown(result))
    except TripointError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    finally:
        drill.close()
    (options.folder / "summary.json").write_text(json.dumps(_summary(results, takes_s), indent=2), encoding="utf-8")
    _say(json.dumps(_summary(results, takes_s)))
    return 0 if all(result.passed for result in results) else 1


def _shown(result: Round) -> str:
    kills = ", ".join(result.kills) or "nobody was left to kill"
    verdict = "the same end" if result.passed else f"DIFFERENT: {'; '.join(result.differences[:4])}"
    return f"round {result.number}: killed {kills}; {result.again} x again, {result.seconds:.0f} s; {verdict}"


def _summary(results: list[Round], takes_s: float) -> dict[str, object]:
    kills = [kill.split()[0] for result in results for kill in result.kills]
    return {
        "rounds": len(results),
        "passed": sum(result.passed for result in results),
        "kills": {name: kills.count(name) for name in sorted(set(kills))},
        "once again was enough": sum(result.again == 1 for result in results),
        "adopted": sum("was not recorded" in text for result in results for text in result.recovered),
        "undisturbed_s": round(takes_s, 1),
        "median_s": statistics.median(result.seconds for result in results) if results else None,
    }


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
