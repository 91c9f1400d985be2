"""Times as the platform writes them (`functions.payments.clock`), so that they compare as texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def written(time: datetime) -> str:
    """A time with a zone: `2025-03-01T12:00:00.000Z`."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def before(at: str, seconds: float) -> str:
    """The time some seconds before another."""
    return written(datetime.fromisoformat(at) - timedelta(seconds=seconds))
