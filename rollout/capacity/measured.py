"""What one payment asks of AWS, as `rollout.capacity.measure` found it: read from `measured.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("measured.json")

READ = "read"
"""The scenario of one `GET /payments/{payment_id}`; all others are of one payment."""
SETTLED = "settled"


@dataclass(frozen=True, kw_only=True)
class FunctionUse:
    """A function within a scenario.

    Attributes
    ----------
    invocations
        Per payment; a fraction where one invocation serves a batch.
    own_ms
        Mean CPU time of an invocation in this code, ms; without what the emulated AWS or the card processor took to
        answer. Of the machine that measured: its CPU is not Lambda's.
    own_ms_p95
        The same, 95th percentile.
    calls
        Calls per invocation: `dynamodb.PutItem`, `processor.request`, ...
    """

    invocations: float
    own_ms: float
    own_ms_p95: float
    calls: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What one payment (or one read) does.

    Attributes
    ----------
    functions
        By the function's name.
    per_payment
        Quantities of one payment: `transitions`, `history_events`, `events`, `event_bytes`, `objects`,
        `object_bytes`, `stream_records`, `write_units.<table>`, `read_units.<table>`, `written_bytes.<table>`,
        `log_bytes`, `processor_requests`, `processor_bytes`, `payload_bytes` (the largest of the execution).
    """

    functions: Mapping[str, FunctionUse]
    per_payment: Mapping[str, float]

    def quantity(self, name: str) -> float:
        """A quantity per payment; 0 when the scenario has none of it."""
        return self.per_payment.get(name, 0.0)

    def invocations(self, function: str) -> float:
        """How often a payment invokes a function."""
        use = self.functions.get(function)
        return use.invocations if use else 0.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Measurements, by the kind of card processor and the scenario.

    Attributes
    ----------
    measured_on
        Where and with what: durations hold for that machine only.
    payments
        How many payments of each scenario were run.
    batch_size
        Records of the stream in one invocation of `publish_changes`.
    """

    measured_on: Mapping[str, str]
    payments: int
    batch_size: int
    scenarios: Mapping[str, Mapping[str, Scenario]]

    def of(self, processor: str) -> Mapping[str, Scenario]:
        """The scenarios with a kind of card processor."""
        return self.scenarios[processor]

    def to_json(self) -> str:
        """The file's text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


def load(path: Path = FILE) -> Measured:
    """Read measurements from a file."""
    return parse(json.loads(path.read_text(encoding="utf-8")))


def parse(document: Mapping[str, Any]) -> Measured:
    """Measurements from the document that `Measured.to_json` writes."""
    return Measured(
        measured_on=document["measured_on"],
        payments=document["payments"],
        batch_size=document["batch_size"],
        scenarios={
            processor: {name: _scenario(scenario) for name, scenario in scenarios.items()}
            for processor, scenarios in document["scenarios"].items()
        },
    )


def _scenario(document: Mapping[str, Any]) -> Scenario:
    return Scenario(
        functions={name: FunctionUse(**use) for name, use in document["functions"].items()},
        per_payment=document["per_payment"],
    )
