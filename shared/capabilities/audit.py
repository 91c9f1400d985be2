"""The audit trail: who did what, and who read which object (OPT-04)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.section import Capability


class AuditSettings(Capability):
    """How long the trail's log files are kept, in days; in production nobody can delete them before."""

    retention_days: Annotated[int, Field(ge=1, le=3_650)] = 365
