"""Settings of the replication monitor."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.settings import RegionSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AlertSettings(RegionSettings):
    """The region's alert topic, and for how many seconds one alert speaks for those that follow."""

    alert_topic_arn: str
    alert_quiet_s: int
