"""Faults that a drill asks the sandbox for: which, where, and the dice that say when. Off until somebody asks.

The document that `PUT /_ministack/faults` takes (every part may be left out):

    {"seed": 7,
     "down": ["eu-west-1"],
     "crashes": [{"function": "*-authorize-*", "probability": 0.01, "when": "during"}],
     "throttles": [{"function": "*", "probability": 0.05}],
     "lag": [{"table": "tripoint-payments-*", "seconds": 1.5}]}

`function` and `table` are patterns as the shell's. A crash comes `before` the handler runs, `after` it has run, or
`during` it. Dice are per rule and function: the n-th invocation of a function fares the same in every run with the same
seed, whichever payment it is for.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from typing import Any

BEFORE, DURING, AFTER = "before", "during", "after"
CRASH_TIMES = (BEFORE, DURING, AFTER)


class FaultsRefusedError(Exception):
    """The document asks for something that there is not."""


@dataclass(frozen=True)
class Crash:
    """Invocations of the functions that end their environment."""

    function: str
    probability: float
    when: str


@dataclass(frozen=True)
class Throttle:
    """Invocations of the functions that are refused for want of concurrency."""

    function: str
    probability: float


@dataclass(frozen=True)
class Lag:
    """Global tables whose writes reach the other regions that much later."""

    table: str
    seconds: float


@dataclass(frozen=True)
class Faults:
    """What is asked for."""

    seed: int = 0
    down: tuple[str, ...] = ()
    crashes: tuple[Crash, ...] = ()
    throttles: tuple[Throttle, ...] = ()
    lag: tuple[Lag, ...] = ()

    @classmethod
    def from_document(cls, document: object) -> Faults:
        """Read a document.

        Raises
        ------
        FaultsRefusedError
            Naming the field, its value and what is allowed.
        """
        if not isinstance(document, Mapping):
            raise FaultsRefusedError(f"faults: {document!r} is not allowed; allowed: an object")
        unknown = sorted(set(document) - set(cls.__dataclass_fields__))
        if unknown:
            raise FaultsRefusedError(f"{unknown[0]}: no such fault; allowed: {', '.join(cls.__dataclass_fields__)}")
        return cls(
            seed=int(document.get("seed", 0)),
            down=tuple(str(region) for region in document.get("down", ())),
            crashes=tuple(
                Crash(_pattern(one, "function"), _share(one), _when(one)) for one in document.get("crashes", ())
            ),
            throttles=tuple(Throttle(_pattern(one, "function"), _share(one)) for one in document.get("throttles", ())),
            lag=tuple(Lag(_pattern(one, "table"), _seconds(one)) for one in document.get("lag", ())),
        )

    def as_document(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Control:
    """The faults in force, how often each has struck, and the regions that are down."""

    faults: Faults = field(default_factory=Faults)
    struck: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._rolls: Counter[tuple[str, str]] = Counter()
        self._outages: Counter[str] = Counter()

    def set(self, faults: Faults) -> tuple[set[str], set[str]]:
        """Put faults into force; the regions that go down by it, and those that come back."""
        with self._changed:
            before, after = set(self.faults.down), set(faults.down)
            if faults.seed != self.faults.seed:
                self._rolls.clear()
            self.faults = faults
            self._outages.update(after - before)
            self._changed.notify_all()
        return after - before, before - after

    def is_down(self, region: str) -> bool:
        return region in self.faults.down

    def outages(self, region: str) -> int:
        """How often a region has gone down: whoever sees it change has lived through one."""
        return self._outages[region]

    def wait_until_up(self, region: str) -> None:
        """Return at once, or when the region is back."""
        with self._changed:
            self._changed.wait_for(lambda: region not in self.faults.down)

    def crash(self, function: str) -> Crash | None:
        """How this invocation of a function crashes; None when it doesn't."""
        return next((rule for rule in self._matching(self.faults.crashes, function)), None)

    def throttled(self, function: str) -> bool:
        """Whether this invocation of a function is refused."""
        return any(True for _ in self._matching(self.faults.throttles, function))

    def lag_of(self, table: str) -> float | None:
        """How late a table's writes reach the other regions, in seconds; None when its copies are written at once."""
        return next((rule.seconds for rule in self.faults.lag if fnmatchcase(table, rule.table)), None)

    def count(self, what: str) -> None:
        with self._changed:
            self.struck[what] += 1

    def roll(self, what: str, name: str) -> float:
        """The next throw of a die with a name, from 0 to 1."""
        with self._changed:
            self._rolls[what, name] += 1
            number = self._rolls[what, name]
        return random.Random(f"{self.faults.seed}/{what}/{name}/{number}").random()

    def _matching(self, rules: tuple[Any, ...], function: str) -> Iterator[Any]:
        for rule in rules:
            if fnmatchcase(function, rule.function):
                kind = f"{type(rule).__name__.lower()} {getattr(rule, 'when', '')}".strip()
                if self.roll(f"{kind} {rule.function}", function) < rule.probability:
                    self.count(kind)
                    yield rule


CONTROL = Control()


def _pattern(rule: Any, name: str) -> str:
    found = rule.get(name) if isinstance(rule, Mapping) else None
    if not isinstance(found, str) or not found:
        raise FaultsRefusedError(f"{name}: {found!r} is not allowed; allowed: a pattern of names")
    return found


def _share(rule: Mapping[str, Any]) -> float:
    share = rule.get("probability")
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise FaultsRefusedError(f"probability: {share!r} is not allowed; allowed: from 0 to 1")
    return float(share)


def _when(rule: Mapping[str, Any]) -> str:
    when = rule.get("when", BEFORE)
    if when not in CRASH_TIMES:
        raise FaultsRefusedError(f"when: {when!r} is not allowed; allowed: {', '.join(CRASH_TIMES)}")
    return str(when)


def _seconds(rule: Mapping[str, Any]) -> float:
    seconds = rule.get("seconds")
    if not isinstance(seconds, int | float) or not 0 <= seconds <= 3600:
        raise FaultsRefusedError(f"seconds: {seconds!r} is not allowed; allowed: from 0 to 3600")
    return float(seconds)
