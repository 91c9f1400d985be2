"""What the capacity model says: plain data, for reports and for configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

CORE = "core"
"""The part of the platform that every environment has; the others are named after their capabilities."""


class Verdict(StrEnum):
    """Whether the default quota is enough."""

    HOLDS = "holds"  # with headroom
    TIGHT = "tight"  # for the expected peak, without headroom
    RAISE = "raise"  # not even for the expected peak


@dataclass(frozen=True, kw_only=True)
class Need:
    """One quota of one region, against what is needed of it with another region down.

    Attributes
    ----------
    needed
        At the expected peak, without headroom; in `unit`.
    raise_to
        What to have: needed with headroom, rounded up; 0 where the default holds.
    adjustable
        Whether AWS raises it on request; else only the remedy helps.
    assumed
        Whether the default is assumed, or the need rests on an assumption.
    """

    region: str
    service: str
    quota: str
    title: str
    unit: str
    needed: float
    default: float
    verdict: Verdict
    raise_to: int
    adjustable: bool
    remedy: str
    assumed: bool

    @property
    def ratio(self) -> float:
        """Needed of the default; above 1 it does not hold."""
        return self.needed / self.default


@dataclass(frozen=True, kw_only=True)
class FunctionNeed:
    """What one function of one region must reserve.

    Attributes
    ----------
    rate_per_s
        Invocations per second with another region down.
    duration_ms
        Mean, of all its invocations.
    by_duration
        Concurrency by Little's law: rate x duration.
    by_requests
        Concurrency because an execution environment serves ten requests per second at most.
    reserved
        The larger of both with headroom, rounded up to tens.
    seconds_to_take_over
        How long Lambda takes to add what another region's failure asks for.
    measured
        Whether any measured scenario invokes it; else rate and duration are assumed.
    """

    region: str
    function: str
    rate_per_s: float
    duration_ms: float
    by_duration: float
    by_requests: float
    reserved: int
    seconds_to_take_over: float
    measured: bool


@dataclass(frozen=True, kw_only=True)
class WorkflowNeed:
    """Whether a type of state machine can start the payments of a region by default."""

    type: str
    region: str
    starts_per_s: float
    starts_quota_per_s: float
    transitions_per_s: float
    transitions_quota_per_s: float | None  # None: unlimited

    @property
    def max_tps(self) -> float:
        """Payments per second that the default quotas of the region let through."""
        by_starts = self.starts_quota_per_s
        if self.transitions_quota_per_s is None or not self.transitions_per_s:
            return by_starts
        return min(by_starts, self.transitions_quota_per_s * self.starts_per_s / self.transitions_per_s)

    @property
    def holds(self) -> bool:
        """Whether the default quotas are enough for the expected peak."""
        return self.starts_per_s <= self.max_tps


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a million payments of the environment cost in one region for one thing, USD at list price."""

    service: str
    item: str
    region: str
    usd_per_million: float
    assumed: bool


@dataclass(frozen=True, kw_only=True)
class StandingCost:
    """What one thing costs in one region per month without any traffic, USD at list price.

    Attributes
    ----------
    price
        Its id in `facts.toml`.
    count, unit
        How many per month: hours, GB, requests, or things when the unit is empty.
    """

    region: str
    price: str
    service: str
    item: str
    count: float
    unit: str
    usd_per_month: float
    assumed: bool


@dataclass(frozen=True, kw_only=True)
class StandingPart:
    """What the core or a capability costs per month without any traffic; what it would cost while it is off.

    Attributes
    ----------
    by_use
        What it costs besides, with traffic.
    """

    name: str
    on: bool
    costs: tuple[StandingCost, ...]
    by_use: str

    @property
    def usd_per_month(self) -> float:
        """In all regions."""
        return sum(cost.usd_per_month for cost in self.costs)

    def usd_in(self, region: str) -> float:
        """Per month in one region."""
        return sum(cost.usd_per_month for cost in self.costs if cost.region == region)

    def assumed_in(self, region: str) -> bool:
        """Whether any of its costs in a region rests on an assumption."""
        return any(cost.assumed for cost in self.costs if cost.region == region)


@dataclass(frozen=True, kw_only=True)
class CapacityPlan:
    """What an environment needs for a number of payments per second, and what they cost.

    Attributes
    ----------
    tps
        Payments per second over all regions.
    shares, peak_shares
        Of each region: normally, and with the worst other region down.
    needs, functions, workflows, costs
        By region, in the order of the configuration.
    cost_by_workflow
        USD per million payments for the workflow alone, by its type.
    standing
        The core and every capability, on or off.
    api_rate_limit
        By region: payments per second that the API's throttling must let through, with headroom.
    billed_gb_s
        Lambda's GB-seconds per payment, over all functions, on average.
    usd_per_month
        At this rate all day and night for 30 days, without volume tiers: an upper bound.
    assumptions
        What was assumed: title and value with its unit.
    """

    environment: str
    workflow_type: str
    processor: str
    tps: float
    headroom: float
    shares: Mapping[str, float]
    peak_shares: Mapping[str, float]
    needs: tuple[Need, ...]
    functions: tuple[FunctionNeed, ...]
    workflows: tuple[WorkflowNeed, ...]
    costs: tuple[Cost, ...]
    cost_by_workflow: Mapping[str, float]
    standing: tuple[StandingPart, ...]
    api_rate_limit: Mapping[str, int]
    execution_ms: float
    billed_gb_s: float
    usd_per_month: float
    assumptions: Mapping[str, str]
    measured_on: Mapping[str, str]

    @property
    def regions(self) -> tuple[str, ...]:
        """The environment's regions."""
        return tuple(self.shares)

    @property
    def usd_per_million(self) -> float:
        """What a million payments cost."""
        return sum(cost.usd_per_million for cost in self.costs)

    @property
    def usd_per_million_by_service(self) -> dict[str, float]:
        """The same by service, the dearest first."""
        totals: dict[str, float] = {}
        for cost in self.costs:
            totals[cost.service] = totals.get(cost.service, 0.0) + cost.usd_per_million
        return dict(sorted(totals.items(), key=lambda one: (-one[1], one[0])))

    @property
    def standing_usd_per_month(self) -> float:
        """What everything that is on costs per month without any traffic."""
        return sum(part.usd_per_month for part in self.standing if part.on)

    @property
    def failing(self) -> tuple[Need, ...]:
        """What cannot hold by default."""
        return tuple(need for need in self.needs if need.verdict is Verdict.RAISE)

    def reserved(self, region: str) -> dict[str, int]:
        """The reserved concurrency of a region's functions, for its configuration."""
        return {need.function: need.reserved for need in self.functions if need.region == region}
