"""Settings from environment variables (`payments/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.settings import RegionSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class TargetsSettings(RegionSettings):
    """The web tier's Auto Scaling group, and the target group that has its instances' addresses."""

    auto_scaling_group: str
    target_group_arn: str
