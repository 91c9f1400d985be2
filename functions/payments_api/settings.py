"""Settings from environment variables (`payments/settings.py`)."""

from __future__ import annotations

from dataclasses import dataclass

from functions.payments.errors import SettingsError
from functions.payments.settings import RegionSettings


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CallerSettings(RegionSettings):
    """How merchants' roles are named: with one `{}` where the merchant's id stands."""

    merchant_roles: str

    def __post_init__(self) -> None:
        if self.merchant_roles.count("{}") != 1:
            raise SettingsError(f"MERCHANT_ROLES: {self.merchant_roles!r} is not allowed; allowed: a name with a {{}}")
