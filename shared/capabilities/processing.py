"""Object processing: what merchants upload is worked on as it comes (OPT-06)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from shared.section import Capability


class ProcessingSettings(Capability):
    """How long uploads and their old versions are kept, in days (OPT-09), and how large one may be."""

    expire_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    noncurrent_days: Annotated[int, Field(ge=1, le=3_650)] = 90
    max_object_mb: Annotated[int, Field(ge=1, le=256)] = 16
