"""Settings from environment variables (`payments/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.settings import RegionSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ReceiptSettings(RegionSettings):
    """The bucket of receipts and the key of this region that encrypts them."""

    receipts_bucket: str
    receipts_key_arn: str
