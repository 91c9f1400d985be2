"""Settings from environment variables (`payments/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.settings import RegionSettings, listed


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AggregateSettings(RegionSettings):
    """The regions whose payment metrics are summed up."""

    metrics_regions: str
    powertools_metrics_namespace: str

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions one by one."""
        return listed("METRICS_REGIONS", self.metrics_regions)
