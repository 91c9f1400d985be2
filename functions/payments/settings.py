"""Settings from environment variables, as frozen dataclasses: the field `payments_table` is read
from `PAYMENTS_TABLE`. Each function declares the dataclass it needs (see `catalogue`). What nobody uses of a
dataclass (`repr`, `eq`) is not made: a function starts 2 ms sooner."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Any, TypeVar

from functions.payments.errors import SettingsError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class RegionSettings:
    """The region this function runs in; Lambda sets it."""

    aws_region: str


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class LedgerSettings(RegionSettings):
    """Where this region's replica of the payments table is."""

    payments_table: str


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class WorkflowSettings(RegionSettings):
    """The state machine of this region."""

    state_machine_arn: str


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class CallerSettings(RegionSettings):
    """How merchants' roles are named: with one `{}` where the merchant's id stands."""

    merchant_roles: str

    def __post_init__(self) -> None:
        if self.merchant_roles.count("{}") != 1:
            raise SettingsError(f"MERCHANT_ROLES: {self.merchant_roles!r} is not allowed; allowed: a name with a {{}}")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class VaultSettings(RegionSettings):
    """Where this region keeps the personal data of payers, and for how many days."""

    vault_table: str
    vault_retention_days: int

    def __post_init__(self) -> None:
        if self.vault_retention_days < 1:
            raise SettingsError(f"VAULT_RETENTION_DAYS: {self.vault_retention_days} is not allowed; allowed: 1 or more")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class FailoverSettings(RegionSettings):
    """The regions in the order in which they take each other's payments over."""

    failover_order: str

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions one by one."""
        return _listed("FAILOVER_ORDER", self.failover_order)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class HeartbeatSettings(LedgerSettings):
    """How old a region's heartbeat may be, s."""

    down_after_s: int

    def __post_init__(self) -> None:
        if self.down_after_s < 1:
            raise SettingsError(f"DOWN_AFTER_S: {self.down_after_s} is not allowed; allowed: 1 or more")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class SweepSettings(FailoverSettings):
    """After how many seconds without a write a payment is taken up again: here, or from a region that is down."""

    stale_after_s: int
    down_after_s: int

    def __post_init__(self) -> None:
        if self.stale_after_s < 1:
            raise SettingsError(f"STALE_AFTER_S: {self.stale_after_s} is not allowed; allowed: 1 or more")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AggregateSettings(RegionSettings):
    """The regions whose payment metrics are summed up."""

    metrics_regions: str
    powertools_metrics_namespace: str

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions one by one."""
        return _listed("METRICS_REGIONS", self.metrics_regions)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ReceiptSettings(RegionSettings):
    """The bucket of receipts and the key of this region that encrypts them."""

    receipts_bucket: str
    receipts_key_arn: str


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class EventSettings(RegionSettings):
    """The event bus of this region."""

    event_bus_name: str


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ProcessorSettings(RegionSettings):
    """Which card processor to talk to, and what that one needs.

    `processor_table` may be a table's name (in this region) or its ARN (in the ARN's region):
    the simulator is one processor for all regions, like the real one, and so has one record.
    `processor_timeout_ms` bounds one request; it must stay well below the task's timeout.
    """

    processor_kind: str
    processor_table: str = ""
    processor_url: str = ""
    processor_secret_id: str = ""
    processor_timeout_ms: int = 3000

    def __post_init__(self) -> None:
        needed = {
            "simulator": ("processor_table",),
            "http": ("processor_url", "processor_secret_id"),
        }
        if self.processor_kind not in needed:
            raise SettingsError(f"PROCESSOR_KIND: {self.processor_kind!r} is not allowed; allowed: simulator, http")
        for name in needed[self.processor_kind]:
            if not getattr(self, name):
                raise SettingsError(f"{name.upper()}: missing; PROCESSOR_KIND {self.processor_kind} needs it")
        if not 100 <= self.processor_timeout_ms <= 5000:
            raise SettingsError(
                f"PROCESSOR_TIMEOUT_MS: {self.processor_timeout_ms} is not allowed; allowed: 100 to 5000"
            )


def read(kind: type[T], environment: Mapping[str, str]) -> T:
    """Read the settings of a dataclass from an environment.

    Raises
    ------
    SettingsError
        Naming the variable, its value and what is allowed.
    """
    values: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        name = field.name.upper()
        text = environment.get(name, "")
        if not text:
            if field.default is MISSING:
                raise SettingsError(f"{name}: missing; a value is required")
            continue
        values[field.name] = _integer(name, text) if field.type == "int" else text
    return kind(**values)


@cache
def load(kind: type[T]) -> T:
    """The settings of this container, read once."""
    return read(kind, os.environ)


def _listed(name: str, text: str) -> tuple[str, ...]:
    regions = tuple(part.strip() for part in text.split(","))
    if not all(regions) or len(set(regions)) < len(regions):
        raise SettingsError(f"{name}: {text!r} is not allowed; allowed: regions with commas between, each once")
    return regions


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{name}: {text!r} is not allowed; allowed: an integer") from None
