"""Settings of what works with uploads."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.settings import RegionSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SummarySettings(RegionSettings):
    """Where uploads and their summaries are."""

    uploads_bucket: str


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class UploadSettings(SummarySettings):
    """The key of this region that encrypts summaries, and how large an upload may be."""

    uploads_key_arn: str
    uploads_max_mb: int

    @property
    def max_bytes(self) -> int:
        """The largest upload that is read."""
        return self.uploads_max_mb * 1024 * 1024
