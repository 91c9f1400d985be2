"""What a million payments cost, at list prices: first tiers, no free tiers, no discounts, no fixed charges.

Each region pays for the payments that come to it; of what is replicated, every region pays for its own copy and the
sending region for the transfer. Not in it, because it does not grow with payments: hours of NAT gateways, interface
endpoints and Route 53 health checks, keys, alarms and dashboards (`standing.py`); stored data, backups, support.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from rollout.capacity.facts import Value
from rollout.capacity.load import CENTRAL_TABLES, FUNCTION_NAMES, GLOBAL_TABLES, INDEXES, Load
from rollout.capacity.plan import Cost

MILLION = 1e6
GB = 1e9
EXPRESS_MEMORY_GB = 64 / 1024
"""The smallest step of an EXPRESS execution's memory (Step Functions pricing); payments need no second one."""
EXPRESS_STEP_MS = 100
"""Duration of EXPRESS executions is rounded up to this (Step Functions pricing)."""


def of(load: Load) -> Iterator[Cost]:
    """Every cost of a million payments of the environment, by region."""
    for region, share in load.shares.items():
        payments = MILLION * share
        yield from _requests(load, region, payments)
        yield from _workflow(load, region, payments, load.environment.regions[region].workflow.type)
        yield from _tables(load, region, payments)
        yield from _replicated(load, region, payments)
        yield from _observed(load, region, payments)


def workflow_usd(load: Load, type: str) -> float:
    """A million payments' workflow alone, USD, with a type of state machine."""
    return sum(
        cost.usd_per_million
        for region, share in load.shares.items()
        for cost in _workflow(load, region, MILLION * share, type)
    )


def billed_gb_s(load: Load) -> float:
    """Lambda's GB-seconds of an average payment with its status requests."""
    return sum(
        share * load.billed_ms(region) / 1000 * load.environment.regions[region].functions.memory_mb / 1024
        for region, share in load.shares.items()
    )


def _cost(service: str, item: str, region: str, count: float, price: Value, *, per: float, assumed: bool) -> Cost:
    return Cost(
        service=service,
        item=item,
        region=region,
        usd_per_million=count / per * price.amount,
        assumed=assumed or price.assumed,
    )


def _priced(load: Load, id: str, region: str, count: float, *, per: float = MILLION, assumed: bool = False) -> Cost:
    fact = load.facts.prices[id]
    return _cost(fact.service, fact.title, region, count, fact.at(region), per=per, assumed=assumed)


def _requests(load: Load, region: str, payments: float) -> Iterator[Cost]:
    reads = load.reads(region)
    yield _priced(load, "api_gateway.request", region, payments * (1 + reads))
    invocations = sum(load.average_invocations(name) for name in FUNCTION_NAMES) + reads
    yield _priced(load, "lambda.request", region, payments * invocations)
    memory_gb = load.environment.regions[region].functions.memory_mb / 1024
    gb_s = load.billed_ms(region) / 1000 * memory_gb
    yield _priced(load, "lambda.gb_s", region, payments * gb_s, per=1, assumed=True)  # calls' latencies are assumed


def _workflow(load: Load, region: str, payments: float, type: str) -> Iterator[Cost]:
    if type == "STANDARD":
        yield _priced(load, "step_functions.transition", region, payments * load.average("transitions"))
        return
    yield _priced(load, "step_functions.express_request", region, payments)
    seconds = EXPRESS_STEP_MS * ceil(load.execution_ms / EXPRESS_STEP_MS) / 1000
    gb_s = seconds * EXPRESS_MEMORY_GB
    yield _priced(load, "step_functions.express_gb_s", region, payments * gb_s, per=1, assumed=True)


def _tables(load: Load, region: str, payments: float) -> Iterator[Cost]:
    for table in load.tables:
        units = load.average(f"write_units.{table}")
        if table in GLOBAL_TABLES:
            yield _priced(load, "dynamodb.replicated_write", region, MILLION * units)
        elif table in INDEXES:
            yield _priced(load, "dynamodb.write", region, MILLION * units)
        elif table in CENTRAL_TABLES:
            if region == load.environment.primary:
                yield _priced(load, "dynamodb.write", region, MILLION * units)
        else:
            yield _priced(load, "dynamodb.write", region, payments * units)
        reads = load.average(f"read_units.{table}")
        reads += load.reads(region) * load.read.quantity(f"read_units.{table}")
        if reads:
            yield _priced(load, "dynamodb.read", region, payments * reads)


def _replicated(load: Load, region: str, payments: float) -> Iterator[Cost]:
    others = len(load.shares) - 1
    objects = load.average("objects")
    yield _priced(load, "s3.put", region, MILLION * objects, per=1000)
    written = sum(load.average(f"written_bytes.{table}") for table in load.tables if table in GLOBAL_TABLES)
    moved = (written + load.average("object_bytes")) * others
    yield _priced(load, "transfer.gb", region, payments * moved, per=GB)
    yield _priced(load, "eventbridge.event", region, payments * load.average("events"))
    calls = load.average("events") * load.facts.assume("kms.calls_per_event") * payments
    calls += objects * load.facts.assume("kms.calls_per_object") * MILLION
    yield _priced(load, "kms.request", region, calls, per=10_000, assumed=True)
    if load.average("processor_bytes"):
        yield _priced(load, "nat.gb", region, payments * load.average("processor_bytes"), per=GB)


def _observed(load: Load, region: str, payments: float) -> Iterator[Cost]:
    facts, reads = load.facts, load.reads(region)
    invocations = sum(load.average_invocations(name) for name in FUNCTION_NAMES) + reads
    size = load.average("log_bytes") + reads * load.read.quantity("log_bytes")
    size += invocations * facts.assume("logs.bytes_per_invocation")
    size += (1 + reads) * facts.assume("logs.bytes_per_request")
    size += facts.assume("logs.bytes_per_final_event")  # each payment has one
    if load.environment.regions[region].workflow.type == "EXPRESS":  # STANDARD logs errors only
        size += load.average("history_events") * facts.assume("logs.bytes_per_history_event")
    yield _priced(load, "logs.gb", region, payments * size, per=GB, assumed=True)
    sampled = (1 + reads) * facts.assume("xray.sampled_share")
    yield _priced(load, "xray.trace", region, payments * sampled, assumed=True)
