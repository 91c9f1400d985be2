"""Settings from environment variables (`payments/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.errors import SettingsError
from functions.payments.settings import FailoverSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SweepSettings(FailoverSettings):
    """After how many seconds without a write a payment is taken up again: here, or from a region that is down."""

    stale_after_s: int
    down_after_s: int

    def __post_init__(self) -> None:
        if self.stale_after_s < 1:
            raise SettingsError(f"STALE_AFTER_S: {self.stale_after_s} is not allowed; allowed: 1 or more")
