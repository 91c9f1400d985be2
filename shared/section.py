"""The base of every section of a configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A section: unknown keys are refused, nothing is converted, nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Capability(Section):
    """A section that switches something optional on. It is on in every region of an environment or in none."""

    enabled: bool = False
