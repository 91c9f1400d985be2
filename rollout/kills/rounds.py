"""What a round is, and what came of it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """Which command is disturbed: `deploy`, `deploy --plan` of saved plans, or `destroy`."""

    DEPLOY = "deploy"
    PLAN = "plan"
    DESTROY = "destroy"


@dataclass
class Round:
    """What came of one round.

    Attributes
    ----------
    kills
        Who was killed, and when: seconds after the command began.
    again
        How often the same command was needed after the first kill.
    refused
        Stacks whose saved plan was of no use any more after a kill, and which were planned again.
    seconds
        From the first command to the last.
    recovered
        Lines of the engine about what it found of the run that was cut off.
    differences
        What is not as after an undisturbed run; empty when it passed.
    """

    number: int
    seed: int
    kind: Kind
    kills: list[str] = field(default_factory=list)
    again: int = 0
    refused: list[str] = field(default_factory=list)
    seconds: float = 0.0
    recovered: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.differences


def line(result: Round) -> str:
    """A round as a line of JSON."""
    return json.dumps({**asdict(result), "passed": result.passed})


def shown(result: Round) -> str:
    """A round as a line for people."""
    refused = f", planned again: {', '.join(result.refused)}" if result.refused else ""
    verdict = "the same end" if result.passed else f"DIFFERENT: {'; '.join(result.differences[:4])}"
    return (
        f"round {result.number} ({result.kind}): killed {', '.join(result.kills)}; {result.again} x again{refused}, "
        f"{result.seconds:.0f} s; {verdict}"
    )


def summary(results: Sequence[Round], takes_s: dict[Kind, float]) -> dict[str, Any]:
    """All rounds together, and by kind; with the seconds that an undisturbed one takes."""
    kinds = [kind for kind in Kind if any(result.kind is kind for result in results)]
    return {
        **_figures(results),
        "kinds": {
            str(kind): {
                **_figures([result for result in results if result.kind is kind]),
                "undisturbed_s": round(takes_s[kind], 1),
            }
            for kind in kinds
        },
    }


def _figures(results: Sequence[Round]) -> dict[str, Any]:
    kills = [kill.split()[0] for result in results for kill in result.kills]
    told = [text for result in results for text in result.recovered]
    return {
        "rounds": len(results),
        "passed": sum(result.passed for result in results),
        "kills": {name: kills.count(name) for name in sorted(set(kills))},
        "once again was enough": sum(result.again == 1 for result in results),
        "adopted": sum("was not recorded" in text for text in told),
        "finished without its engine": sum("without its engine" in text for text in told),
        "planned again": sum(bool(result.refused) for result in results),
        "median_s": statistics.median(result.seconds for result in results) if results else None,
    }
