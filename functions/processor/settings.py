"""Settings from environment variables (`payments/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.errors import SettingsError
from functions.payments.settings import RegionSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ProcessorSettings(RegionSettings):
    """Which card processor to talk to, and what that one needs.

    `processor_table` may be a table's name (in this region) or its ARN (in the ARN's region):
    the simulator is one processor for all regions, like the real one, and so has one record.
    `processor_timeout_ms` bounds one request; it must stay well below the task's timeout.
    """

    processor_kind: str
    processor_table: str = ""
    processor_url: str = ""
    processor_secret_id: str = ""
    processor_timeout_ms: int = 3000

    def __post_init__(self) -> None:
        needed = {
            "simulator": ("processor_table",),
            "http": ("processor_url", "processor_secret_id"),
        }
        if self.processor_kind not in needed:
            raise SettingsError(f"PROCESSOR_KIND: {self.processor_kind!r} is not allowed; allowed: simulator, http")
        for name in needed[self.processor_kind]:
            if not getattr(self, name):
                raise SettingsError(f"{name.upper()}: missing; PROCESSOR_KIND {self.processor_kind} needs it")
        if not 100 <= self.processor_timeout_ms <= 5000:
            raise SettingsError(
                f"PROCESSOR_TIMEOUT_MS: {self.processor_timeout_ms} is not allowed; allowed: 100 to 5000"
            )
