"""From payments per second to quotas, reserved concurrency and money. Pure: no I/O, no clock.

Concurrency follows Little's law, L = lambda x W (J. D. C. Little, "A Proof for the Queuing Formula: L = lambda W",
Operations Research 9(3), 1961): invocations at once are invocations per second times their mean duration. AWS gives
the same formula (Lambda developer guide, "Understanding Lambda function scaling"), and a second bound: an execution
environment serves at most ten synchronous requests per second, however short they are ("Lambda quotas").

Every region must carry its share with another region down (N-1): quotas and concurrency are for that peak, times the
headroom. Money is for the average payment, at the list price of the region that pays.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from functions.payments.ids import SHARDS
from rollout.capacity import costs, shares, standing
from rollout.capacity.facts import Facts
from rollout.capacity.load import (
    API,
    CENTRAL_TABLES,
    FUNCTION_NAMES,
    GLOBAL_TABLES,
    INDEXES,
    PUBLISHER,
    SCHEDULED,
    Load,
)
from rollout.capacity.measured import Measured
from rollout.capacity.plan import CapacityPlan, FunctionNeed, Need, Verdict, WorkflowNeed
from shared.config import Environment
from shared.errors import UsageError

NEW_TABLE_PARTITIONS = 4
"""Partitions of a new on-demand table: 4,000 write units at once, 1,000 each."""
OPEN_PAYMENTS = "payments.open"
"""The index of open payments (docs/decisions/the-sweeper-finishes-what-is-left.md)."""
SCHEDULED_CONCURRENCY = 2
"""Of a function that runs by the clock: the next run may begin before the last one has ended."""


class RateError(UsageError):
    """The rate is no rate."""


def plan(
    environment: Environment,
    tps: float,
    data: Facts,
    measured: Measured,
    share_by_region: Mapping[str, float] | None = None,
) -> CapacityPlan:
    """What an environment needs for a rate of payments.

    Parameters
    ----------
    tps
        Payments per second over all regions, above 0.
    share_by_region
        How traffic spreads while every region is up; equally when left out.

    Raises
    ------
    RateError, ShareError
        When the rate or the shares make no sense.
    InstanceTypeError
        When the web tier's instance type has no price in the facts.
    """
    if not 0 < tps < float("inf"):
        raise RateError(f"tps = {tps}: must be above 0")
    regions = tuple(environment.regions)
    normal = shares.checked(share_by_region, regions) if share_by_region else shares.equal(regions)
    load = Load(
        environment=environment,
        tps=tps,
        shares=normal,
        peak_shares=shares.peak(normal),
        facts=data,
        measured=measured,
    )
    functions = tuple(_function(load, region, name) for region in regions for name in FUNCTION_NAMES)
    workflow = environment.regions[environment.primary].workflow.type
    items = tuple(costs.of(load))
    headroom = data.assume("headroom")
    result = CapacityPlan(
        environment=environment.environment,
        workflow_type=workflow,
        processor=environment.processor.kind,
        tps=tps,
        headroom=headroom,
        shares=normal,
        peak_shares=load.peak_shares,
        needs=tuple(need for region in regions for need in _needs(load, region, functions)),
        functions=functions,
        workflows=tuple(_workflow(load, region, type) for type in ("STANDARD", "EXPRESS") for region in regions),
        costs=items,
        cost_by_workflow={type: costs.workflow_usd(load, type) for type in ("STANDARD", "EXPRESS")},
        standing=standing.of(environment, data),
        api_rate_limit={region: _up(load.peak_tps(region) * headroom, 10) for region in regions},
        execution_ms=load.execution_ms,
        billed_gb_s=costs.billed_gb_s(load),
        usd_per_month=0.0,
        assumptions={one.title: f"{one.value:g} {one.unit} ({one.why})" for one in data.assumptions.values()},
        measured_on=measured.measured_on,
    )
    monthly = result.usd_per_million * tps * data.assume("month") / 1e6
    return CapacityPlan(**{**result.__dict__, "usd_per_month": monthly})


def _up(value: float, step: int) -> int:
    """Rounded up to a multiple of a step; what floating point adds by error does not count."""
    return step * ceil(value / step - 1e-9)


# -- functions


def _function(load: Load, region: str, name: str) -> FunctionNeed:
    if name in SCHEDULED:
        return _scheduled(load, region, name)
    payments = load.planned_invocations(name)
    busy_ms = payments * load.duration_ms(name)
    invocations = payments
    if name == API:
        invocations += load.reads(region)
        busy_ms += load.reads(region) * load.read_ms
    rate = load.peak_tps(region) * invocations
    by_duration = load.peak_tps(region) * busy_ms / 1000
    by_requests = rate / load.facts.quota("lambda.requests_per_environment", region).amount
    at_once = max(by_duration, by_requests) * load.facts.assume("headroom")
    normally = load.shares[region] / load.peak_shares[region] if load.peak_shares[region] else 1.0
    return FunctionNeed(
        region=region,
        function=name,
        rate_per_s=rate,
        duration_ms=busy_ms / invocations if invocations else 0.0,
        by_duration=by_duration,
        by_requests=by_requests,
        reserved=max(_up(at_once, 10), 10),
        seconds_to_take_over=at_once * (1 - normally) / load.facts.quota("lambda.scaling", region).amount,
        measured=load.is_measured(name),
    )


def _scheduled(load: Load, region: str, name: str) -> FunctionNeed:
    duration_ms = load.duration_ms(name)
    return FunctionNeed(
        region=region,
        function=name,
        rate_per_s=1 / 60,
        duration_ms=duration_ms,
        by_duration=duration_ms / 60_000,
        by_requests=1 / 600,
        reserved=SCHEDULED_CONCURRENCY,
        seconds_to_take_over=0.0,
        measured=False,
    )


# -- quotas


def _needs(load: Load, region: str, functions: tuple[FunctionNeed, ...]) -> list[Need]:
    own = [need for need in functions if need.region == region]
    peak = load.peak_tps(region)
    reserved = sum(need.reserved for need in own)
    unreserved = load.facts.quota("lambda.unreserved", region).amount
    events = peak * load.planned("events")
    objects = load.tps * load.planned("objects")  # every bucket gets every region's receipts
    found = [
        _need(load, region, "api_gateway.requests", peak * (1 + load.reads(region))),
        # Reserved concurrency has its headroom already; its durations are assumed in part.
        _need(load, region, "lambda.concurrency", reserved + unreserved, headroom=1.0, assumed=True),
        *_workflow_needs(load, region, peak),
        *_table_needs(load, region, peak),
        _stream_need(load, region, own),
        _need(load, region, "eventbridge.put_events", peak * _put_events(load)),
        _need(
            load,
            region,
            "eventbridge.invocations",
            # Final states go to the journal besides.
            events * load.facts.assume("eventbridge.matches_per_event") + peak,
            assumed=True,
        ),
        _need(load, region, "s3.puts_per_prefix", objects),
        _need(
            load,
            region,
            "kms.symmetric",
            events * load.facts.assume("kms.calls_per_event") + objects * load.facts.assume("kms.calls_per_object"),
            assumed=True,
        ),
        _need(load, region, "xray.segments", peak * _segments(load, region), assumed=True),
    ]
    connections = sum(need.by_duration for need in own if _talks_to_processor(load, need.function))
    if connections:
        found.append(_need(load, region, "nat.connections", connections, assumed=True))
    return found


def _need(
    load: Load,
    region: str,
    quota: str,
    needed: float,
    *,
    headroom: float | None = None,
    assumed: bool = False,
    title: str | None = None,
    step: int = 1,
) -> Need:
    fact = load.facts.quotas[quota]
    default = fact.at(region)
    wanted = needed * (load.facts.assume("headroom") if headroom is None else headroom)
    verdict = Verdict.RAISE if needed > default.amount else Verdict.TIGHT if wanted > default.amount else Verdict.HOLDS
    return Need(
        region=region,
        service=fact.service,
        quota=quota,
        title=title or fact.title,
        unit=fact.unit,
        needed=needed,
        default=default.amount,
        verdict=verdict,
        raise_to=0 if verdict is Verdict.HOLDS else _up(wanted, step),
        adjustable=fact.adjustable,
        remedy="" if verdict is Verdict.HOLDS else fact.remedy,
        assumed=assumed or default.assumed,
    )


def _workflow_needs(load: Load, region: str, peak: float) -> list[Need]:
    if load.environment.regions[region].workflow.type == "EXPRESS":
        return [_need(load, region, "step_functions.express_starts", peak)]
    return [
        _need(load, region, "step_functions.standard_starts", peak),
        _need(load, region, "step_functions.standard_transitions", peak * load.planned("transitions")),
    ]


def _rate_of_table(load: Load, region: str, table: str, peak: float) -> float:
    if table in GLOBAL_TABLES | INDEXES:
        return load.tps
    if table in CENTRAL_TABLES:
        return load.tps if region == load.environment.primary else 0.0
    return peak


def _table_needs(load: Load, region: str, peak: float) -> list[Need]:
    found = []
    for table in load.tables:
        written = _rate_of_table(load, region, table, peak) * load.planned(f"write_units.{table}")
        read = peak * (
            load.planned(f"read_units.{table}") + load.reads(region) * load.read.quantity(f"read_units.{table}")
        )
        for quota, needed in (
            ("dynamodb.write_units", written),
            ("dynamodb.new_table_write_units", written),
            ("dynamodb.read_units", read),
        ):
            if needed:
                title = f"{load.facts.quotas[quota].title}: {table}"
                found.append(_need(load, region, quota, needed, title=title))
    # A shard is one partition key, and a partition's limit holds for the key; the region's own are the fullest.
    in_one_shard = peak * load.planned(f"write_units.{OPEN_PAYMENTS}") / len(SHARDS)
    quota = "dynamodb.partition_write_units"
    title = f"{load.facts.quotas[quota].title}: a shard of {OPEN_PAYMENTS}"
    found.append(_need(load, region, quota, in_one_shard, title=title))
    return found


def _stream_need(load: Load, region: str, own: list[FunctionNeed]) -> Need:
    """Batches at once per shard. A stream has a shard per partition of its table, and a table as many partitions as
    its writes need (DynamoDB developer guide, "Partitions and data distribution"): the fewest are the worst."""
    written = load.tps * load.planned("write_units.payments")
    per_partition = load.facts.quota("dynamodb.partition_write_units", region).amount
    shards = max(ceil(written / per_partition), NEW_TABLE_PARTITIONS)
    (publisher,) = (need for need in own if need.function == PUBLISHER)
    return _need(load, region, "streams.batches_per_shard", publisher.by_duration / shards, assumed=True)


def _put_events(load: Load) -> float:
    """PutEvents requests per payment."""
    name = "eventbridge.PutEvents"
    return max(
        sum(use.invocations * use.calls.get(name, 0.0) for use in scenario.functions.values())
        for scenario in load.scenarios.values()
    )


def _segments(load: Load, region: str) -> float:
    """X-Ray segments per payment: of the API, the state machine and each invocation, of the sampled requests."""
    per_invocation = load.facts.assume("xray.segments_per_invocation")
    invocations = sum(load.scenarios["settled"].invocations(name) for name in FUNCTION_NAMES)
    payment = 2 + per_invocation * invocations
    read = 1 + per_invocation
    return load.facts.assume("xray.sampled_share") * (payment + load.reads(region) * read)


def _talks_to_processor(load: Load, function: str) -> bool:
    return any(
        function in scenario.functions and "processor.request" in scenario.functions[function].calls
        for scenario in load.scenarios.values()
    )


# -- the workflow's two types


def _workflow(load: Load, region: str, type: str) -> WorkflowNeed:
    peak = load.peak_tps(region)
    express = type == "EXPRESS"
    starts = "step_functions.express_starts" if express else "step_functions.standard_starts"
    transitions = None if express else load.facts.quota("step_functions.standard_transitions", region).amount
    return WorkflowNeed(
        type=type,
        region=region,
        starts_per_s=peak,
        starts_quota_per_s=load.facts.quota(starts, region).amount,
        transitions_per_s=peak * load.planned("transitions"),
        transitions_quota_per_s=transitions,
    )
