"""The platform's time format: UTC, ISO 8601, milliseconds, `Z`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], str]


def now() -> str:
    """The present, e.g. `2025-03-01T12:00:00.000Z`."""
    return _written(datetime.now(UTC))


def before(at: str, seconds: float) -> str:
    """The time some seconds before another."""
    return _written(datetime.fromisoformat(at) - timedelta(seconds=seconds))


def seconds_between(earlier: str, later: str) -> float:
    """How much later a time is than another, s; negative when it is earlier."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def _written(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
