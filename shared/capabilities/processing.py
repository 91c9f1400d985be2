"""Object processing: what merchants upload is worked on as it comes (OPT-06)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.section import Capability


class ProcessingSettings(Capability):
    """Uploads: how long they and their old versions are kept, in days (OPT-09), and how large one may be; how often
    Lambda tries one again, and until what age of its event.

    ``alert_quiet_s``: for so long after an alert on a replication rule that rule raises no other.
    """

    expire_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    noncurrent_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    max_object_mb: Annotated[int, Field(ge=1, le=256)] = 16
    retries: Annotated[int, Field(ge=0, le=2)] = 2
    maximum_age_s: Annotated[int, Field(ge=300, le=21_600)] = 3_600
    alert_quiet_s: Annotated[int, Field(ge=1, le=86_400)] = 300
