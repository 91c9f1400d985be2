"""How CloudWatch decides the state of a metric alarm, without I/O.

After "Alarm evaluation" and "Configuring how CloudWatch alarms treat missing data" (CloudWatch
User Guide).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

OK, ALARM, INSUFFICIENT = "OK", "ALARM", "INSUFFICIENT_DATA"

# CloudWatch reads more periods than it evaluates, so that late or missing points can be made up
# for. How many more isn't published; the guide's examples show two.
EXTRA_PERIODS = 2

_BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass(frozen=True)
class Rule:
    """The part of an alarm that decides its state: `datapoints` out of `periods`."""

    comparison: str
    threshold: float
    periods: int
    datapoints: int
    missing: str = "missing"

    def breaches(self, value: float) -> bool:
        return _BREACHES[self.comparison](value, self.threshold)


def next_state(rule: Rule, values: Sequence[float | None], state: str) -> str:
    """The state that follows from the values of the evaluation range, oldest first, None if
    missing.

    `values` covers `rule.periods` and the extra periods before them.
    """
    real = [value for value in values if value is not None]
    if len(real) >= rule.periods:
        # Enough real points in the range: gaps don't count, the newest points decide.
        recent = real[-rule.periods :]
        return ALARM if sum(map(rule.breaches, recent)) >= rule.datapoints else OK
    if not real:
        return {"breaching": ALARM, "notBreaching": OK, "ignore": state}.get(rule.missing, INSUFFICIENT)
    breaching = sum(map(rule.breaches, real))
    filled = rule.periods - len(real) if rule.missing == "breaching" else 0
    if rule.missing in ("breaching", "notBreaching"):
        return ALARM if breaching + filled >= rule.datapoints else OK
    if breaching < min(rule.datapoints, len(real)):
        return OK
    # All that is known breaches, but less is known than the rule asks for.
    return ALARM if breaching >= rule.datapoints or rule.missing == "missing" else state
