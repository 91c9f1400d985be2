"""The drills there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The sandbox's functions live as long as they are used; these are of one payment's way, from request to event.
_ON_THE_WAY = (
    "payments-api",
    "validate",
    "authorize",
    "capture",
    "issue-receipt",
    "complete",
    "compensate",
    "hand-over",
    "take-over",
    "sweep-payments",
    "record-failure",
    "publish-changes",
)
PAYMENTS_TABLE = "*-payments-*"


@dataclass(frozen=True)
class Scenario:
    """A drill.

    Attributes
    ----------
    payments
        How many, unless told otherwise.
    users
        Callers that send at the same time, each one payment after the other.
    mix
        What they send, see `rollout.load.plan.MIXES`.
    faults
        In force from the first payment until the last is accepted, as `rollout.sandbox.faults` reads them.
    outage
        Whether a region goes down in the middle and comes back.
    poison_every
        A record that cannot be published is written to a payments table after every so many payments; 0: never.
    must_push_back, must_race
        What has to come up, or the drill has shown nothing: answers 429 or 503; one key accepted by two regions before
        either could know of the other.
    """

    name: str
    summary: str
    payments: int
    users: int
    mix: str
    faults: Mapping[str, Any] = field(default_factory=dict)
    outage: bool = False
    poison_every: int = 0
    must_push_back: bool = False
    must_race: bool = False

    @property
    def lag_s(self) -> float:
        """How late the payments tables replicate while its faults are in force."""
        return max((float(rule["seconds"]) for rule in self.faults.get("lag", ())), default=0.0)


def _everywhere(kind: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"function": f"*-{name}-*", **kind} for name in _ON_THE_WAY]


SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="load",
        summary="Processor errors, declines, duplicates to one and to two regions, crashes, throttles, poison records",
        payments=10_000,
        users=12,
        mix="everything",
        faults={
            "crashes": [
                *_everywhere({"probability": 0.002, "when": "before"}),
                *_everywhere({"probability": 0.003, "when": "during"}),
                *_everywhere({"probability": 0.003, "when": "after"}),
            ],
            "throttles": _everywhere({"probability": 0.002}),
            "lag": [{"table": PAYMENTS_TABLE, "seconds": 0.8}],
        },
        poison_every=500,
    ),
    Scenario(
        name="region-down",
        summary="A region stops in mid-load with payments in flight, and comes back",
        payments=1_000,
        users=9,
        mix="everything",
        faults={"lag": [{"table": PAYMENTS_TABLE, "seconds": 0.8}]},
        outage=True,
    ),
    Scenario(
        name="same-key",
        summary="The same key to two regions at once, inside the replication lag",
        payments=200,
        users=6,
        mix="same-key",
        faults={"lag": [{"table": PAYMENTS_TABLE, "seconds": 2.0}]},
        must_race=True,
    ),
    Scenario(
        name="back-pressure",
        summary="More callers than the concurrency limits hold, and throttled functions",
        payments=400,
        users=40,
        mix="plain",
        faults={
            "throttles": [
                {"function": "*-payments-api-*", "probability": 0.15},
                *_everywhere({"probability": 0.03})[1:],
            ]
        },
        must_push_back=True,
    ),
)


def scenario(name: str) -> Scenario:
    """A drill by its name; KeyError when there is none."""
    return {one.name: one for one in SCENARIOS}[name]
