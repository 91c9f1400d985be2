"""Settings of what uses sessions."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.settings import RegionSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SessionSettings(RegionSettings):
    """Where this region's replica of the sessions table is."""

    sessions_table: str
