"""The audit trail: who did what, and who read which object (OPT-04)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.section import Capability

Count = Annotated[int, Field(ge=0)]


class AuditSettings(Capability):
    """How long the trail's log files are kept, in days; in production nobody can delete them before.

    ``cloudwatch`` sends the trail to a log group as well, in which the alarms count; CloudWatch Logs bills that by the
    gigabyte, data events included (docs/decisions/audit-in-one-place.md). ``..._per_period`` are the thresholds of the
    alarms. One query reads ``query_limit_gb`` at most; its results are kept for ``results_days``.
    """

    retention_days: Annotated[int, Field(ge=1, le=3_650)] = 365
    cloudwatch: bool = True
    root_use_per_period: Count = 0
    trail_changes_per_period: Count = 0
    keys_at_risk_per_period: Count = 0
    denied_per_period: Count = 20
    query_limit_gb: Annotated[int, Field(ge=1, le=10_000)] = 100
    results_days: Annotated[int, Field(ge=1, le=365)] = 30
