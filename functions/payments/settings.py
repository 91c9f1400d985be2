"""Settings from environment variables, as frozen dataclasses: the field `payments_table` is read
from `PAYMENTS_TABLE`. Each function declares the dataclass it needs (see `catalogue`): here what several share, in
its own folder's `settings.py` what one alone has. What nobody uses of a dataclass (`repr`, `eq`) is not made. Both
because making a dataclass takes 0.3 ms of every start."""

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
        return listed("FAILOVER_ORDER", self.failover_order)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class HeartbeatSettings(LedgerSettings):
    """How old a region's heartbeat may be, s."""

    down_after_s: int

    def __post_init__(self) -> None:
        if self.down_after_s < 1:
            raise SettingsError(f"DOWN_AFTER_S: {self.down_after_s} is not allowed; allowed: 1 or more")


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


def listed(name: str, text: str) -> tuple[str, ...]:
    """The regions that a variable lists, or SettingsError naming it."""
    regions = tuple(part.strip() for part in text.split(","))
    if not all(regions) or len(set(regions)) < len(regions):
        raise SettingsError(f"{name}: {text!r} is not allowed; allowed: regions with commas between, each once")
    return regions


def _integer(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise SettingsError(f"{name}: {text!r} is not allowed; allowed: an integer") from None
