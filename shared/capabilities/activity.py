"""Alarms on unusual activity of the stores (OPT-08)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.section import Capability


class ActivitySettings(Capability):
    """How much of a region's store is unusual, per period of the alarms: units of each table, requests of the receipts
    bucket."""

    table_reads_per_period: Annotated[int, Field(ge=1)] = 600_000
    table_writes_per_period: Annotated[int, Field(ge=1)] = 300_000
    bucket_requests_per_period: Annotated[int, Field(ge=1)] = 300_000
