"""What an environment costs while it only stands there: per part, region and month of 730 hours, at list prices.

A part is the core or an optional capability. What is paid by use (requests, data, log lines) isn't in it; ``by_use``
of each part names it. Counts are declared here, because to synthesize the stacks takes longer than all of the plan;
``tests/stacks/test_standing_cost.py`` holds them to what the stacks synthesize.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rollout.capacity.facts import Facts
from rollout.capacity.plan import CORE, StandingCost, StandingPart
from shared.config import Environment, RegionSettings
from shared.errors import UsageError

SECONDS_PER_HOUR = 3600


class InstanceTypeError(UsageError):
    """The web tier's instance type has no price in the facts."""


@dataclass(frozen=True)
class Place:
    """One region of an environment, as the parts' counts look at it."""

    environment: Environment
    facts: Facts
    region: str

    @property
    def settings(self) -> RegionSettings:
        return self.environment.regions[self.region]

    @property
    def is_primary(self) -> bool:
        return self.region == self.environment.primary

    @property
    def others(self) -> int:
        """How many other regions there are."""
        return len(self.environment.regions) - 1

    @property
    def tables(self) -> int:
        return TABLES + (1 if self.environment.processor.kind == "simulator" else 0)

    @property
    def hours(self) -> float:
        return self.facts.assume("standing.hours")


@dataclass(frozen=True)
class Piece:
    """So many units of a price per month, in one region; ``of`` what, ``assumed`` when the number is."""

    price: str
    count: float
    of: str = ""
    assumed: bool = False


@dataclass(frozen=True)
class Part:
    """What a part of the platform keeps in a region, and what of it is paid by use instead."""

    pieces: Callable[[Place], Iterator[Piece]]
    by_use: str


def of(environment: Environment, facts: Facts) -> tuple[StandingPart, ...]:
    """The core and every capability, also those that are off: what they would cost.

    Raises
    ------
    InstanceTypeError
        When the web tier's instance type has no price in the facts.
    """
    on = {CORE, *environment.capabilities}
    return tuple(
        StandingPart(
            name=name,
            on=name in on,
            costs=tuple(
                _cost(facts, region, piece)
                for region in environment.regions
                for piece in part.pieces(Place(environment, facts, region))
                if piece.count
            ),
            by_use=part.by_use,
        )
        for name, part in PARTS.items()
    )


def _cost(facts: Facts, region: str, piece: Piece) -> StandingCost:
    fact = facts.prices[piece.price]
    price = fact.at(region)
    per, unit = _UNITS[fact.unit]
    return StandingCost(
        region=region,
        price=piece.price,
        service=fact.service,
        item=f"{fact.title}, {piece.of}" if piece.of else fact.title,
        count=piece.count,
        unit=unit,
        usd_per_month=piece.count / per * price.amount,
        assumed=piece.assumed or price.assumed,
    )


_UNITS: Mapping[str, tuple[float, str]] = {
    "USD per month": (1, ""),
    "USD per hour": (1, "hours"),
    "USD per GB-month": (1, "GB"),
    "USD per million": (1e6, "requests"),
}
"""By a price's unit: how many of what is counted cost the price once, and what they are."""

# -- the core

KEYS = 2
"""The data key and the residency key (stacks/data)."""
INTERFACE_ENDPOINTS = 3
"""Step Functions, EventBridge, Secrets Manager (stacks/network/endpoints.py)."""
DASHBOARDS = 2
"""Of all regions, and of this one."""
ALARM_METRICS = 83
"""Metrics of a region's alarms that look at the region alone; besides those of tables and of a type of workflow."""
ALARM_METRICS_PER_OTHER_REGION = 8
"""Replication of payments and receipts, rules of the bus, and the failure rate over all regions."""
ALARM_METRICS_OF_STANDARD = 1
"""Throttled state transitions: only STANDARD has them."""
TABLES = 3
"""Tables of a region; each is watched by what it reads and by what it writes. The simulator has one more."""
WAF_RULES = 4
"""A rate limit and three managed groups (stacks/edge/firewall.py)."""
SLOW_INTERVAL_S = 30


def _core(place: Place) -> Iterator[Piece]:
    settings, hours = place.settings, place.hours
    yield Piece("kms.key", KEYS)
    yield Piece("vpc.endpoint_hour", INTERFACE_ENDPOINTS * settings.network.zones * hours)
    if settings.network.nat_gateway:
        yield Piece("nat.hour", hours)
        yield Piece("vpc.ipv4_hour", hours)
    standard = ALARM_METRICS_OF_STANDARD if settings.workflow.type == "STANDARD" else 0
    metrics = ALARM_METRICS + ALARM_METRICS_PER_OTHER_REGION * place.others + 2 * place.tables + standard
    yield Piece("cloudwatch.alarm_metric", metrics)
    yield Piece("cloudwatch.composite_alarm", 1)
    yield Piece("cloudwatch.dashboard", DASHBOARDS)
    if place.environment.processor.kind == "http":
        yield Piece("secrets.secret", 1)
    if settings.edge.waf:
        yield Piece("waf.acl", 1)
        yield Piece("waf.rule", WAF_RULES)
    if place.is_primary and place.environment.domain.hosted_zone_id is None:
        yield Piece("route53.zone", 1)
    yield from _health_check(place)


def _health_check(place: Place) -> Iterator[Piece]:
    """A check over HTTPS that measures latency, and the requests with which Route 53's checkers ask /health."""
    interval = place.settings.edge.health_interval_s
    fast = interval < SLOW_INTERVAL_S
    yield Piece("route53.health_check", 1)
    yield Piece("route53.health_check_option", 3 if fast else 2)
    seconds = place.facts.assume("route53.seconds_per_request") * interval / SLOW_INTERVAL_S
    requests = place.hours * SECONDS_PER_HOUR / seconds
    yield Piece("api_gateway.request", requests, of="of health checks", assumed=True)
    yield Piece("lambda.request", requests, of="of health checks", assumed=True)


# -- capabilities

ALARM_METRICS_OF_A_FUNCTION = 4
"""Errors and invocations, throttles, duration."""
MAX_METRICS_OF_AN_ALARM = 10
"""What CloudWatch takes; the alarm on the relational store's lag has one for each region up to that."""
TARGET_TRACKING_ALARMS = 2
"""What Auto Scaling makes by itself for a target tracking policy: one to scale out, one to scale in."""
SUSPICIONS = 4
"""What the audit trail is searched for (stacks/observability/audit/suspicions.py)."""
UPLOAD_FUNCTIONS = 3
CLOUDFRONT_REGION = "us-east-1"
"""Where CloudFront's metrics are, and so the alarm on them."""


def _relational(place: Place) -> Iterator[Piece]:
    settings = place.settings.relational
    yield Piece("aurora.acu_hour", settings.instances * settings.min_acu * place.hours)
    yield Piece("aurora.storage_gb", place.facts.assume("aurora.storage_gb"), assumed=True)
    yield Piece("kms.key", 1)
    if place.is_primary:
        yield Piece("secrets.secret", 1, of="the master password")
    # CPU, connections and capacity, and the lag behind the writer: of the cluster, and from each other region.
    yield Piece("cloudwatch.alarm_metric", 3 + min(1 + place.others, MAX_METRICS_OF_AN_ALARM))


def _web(place: Place) -> Iterator[Piece]:
    settings, hours = place.settings.web, place.hours
    yield Piece("elb.alb_hour", hours)
    yield Piece("vpc.ipv4_hour", place.settings.network.zones * hours, of="of the load balancer")
    yield Piece(_instance_price(place), settings.min_instances * hours)
    yield Piece("ebs.gp3_gb", settings.min_instances * settings.volume_gb)
    metrics = settings.min_instances * place.facts.assume("ec2.detailed_metrics")
    yield Piece("cloudwatch.metric", metrics, of="of detailed monitoring", assumed=True)
    # Unhealthy hosts, no healthy host, errors and requests; the function that registers targets.
    yield Piece("cloudwatch.alarm_metric", 4 + ALARM_METRICS_OF_A_FUNCTION + TARGET_TRACKING_ALARMS)


def _instance_price(place: Place) -> str:
    type = place.settings.web.instance_type
    price = f"ec2.{type}"
    if price not in place.facts.prices:
        known = ", ".join(id.removeprefix("ec2.") for id in place.facts.prices if id.startswith("ec2."))
        raise InstanceTypeError(
            f"{place.region}: web.instance_type {type} has no price in rollout/capacity/facts.toml; there are: {known}"
        )
    return price


def _assets(place: Place) -> Iterator[Piece]:
    yield Piece("kms.key", 1)
    # Failures of the replication to each other region, lag of that from there; errors of the distribution.
    yield Piece("cloudwatch.alarm_metric", 2 * place.others + (1 if place.region == CLOUDFRONT_REGION else 0))


def _audit(place: Place) -> Iterator[Piece]:
    """One trail of all regions, in the primary."""
    if place.is_primary:
        yield Piece("kms.key", 1)
        if place.settings.audit.cloudwatch:
            yield Piece("cloudwatch.alarm_metric", SUSPICIONS)


def _flow_logs(place: Place) -> Iterator[Piece]:
    yield Piece("kms.key", 1)
    yield _request_metrics(place)
    yield Piece("cloudwatch.alarm_metric", 1)


def _processing(place: Place) -> Iterator[Piece]:
    # And the queue of events that could not be processed.
    yield Piece("cloudwatch.alarm_metric", UPLOAD_FUNCTIONS * ALARM_METRICS_OF_A_FUNCTION + 1)


def _activity(place: Place) -> Iterator[Piece]:
    yield _request_metrics(place)
    # Reads and writes of each table, requests to the receipts bucket.
    yield Piece("cloudwatch.alarm_metric", 2 * place.tables + 1)


def _request_metrics(place: Place) -> Piece:
    """S3's request metrics of one bucket."""
    return Piece("cloudwatch.metric", place.facts.assume("s3.request_metrics"), of="of S3 requests", assumed=True)


PARTS: Mapping[str, Part] = {
    CORE: Part(
        _core,
        'everything under "Cost of a million payments"; stored payments, receipts and logs, backups; custom metrics '
        "of payments and of replication, by the hour in which they are written; Lambda's time for health checks and "
        "for the functions that run by the clock; keys after a first and second rotation, 1 USD each; DNS queries.",
    ),
    "relational": Part(
        _relational,
        "capacity above the minimum, I/O requests, write I/O replicated to the other regions and its transfer, more "
        "stored data, backups beyond the size of the data, log data of four exports.",
    ),
    "web": Part(
        _web,
        "load balancer capacity units (LCU), instances above the minimum with their volumes, CPU credits of t3 beyond "
        "the baseline, data transfer, stored access logs, runs of the function that registers targets.",
    ),
    "assets": Part(
        _assets,
        "CloudFront requests and data transfer (a distribution that nobody asks costs nothing), requests and stored "
        "data of S3, replication to the other regions, access logs.",
    ),
    "audit": Part(
        _audit,
        "data events per 100,000, stored log files and their requests, log data in CloudWatch per GB, a custom metric "
        "in each hour that has a suspicious event, Athena per TB that a query scans. The first copy of management "
        "events is free.",
    ),
    "flow_logs": Part(
        _flow_logs, "logs delivered to S3 per GB (vended logs), stored files, Athena per TB that a query scans."
    ),
    "processing": Part(
        _processing,
        "runs and time of the functions, requests and stored uploads of S3, custom metrics of uploads, requests of "
        "queues and topics.",
    ),
    "activity": Part(
        _activity,
        "nothing. Request metrics are billed by the hour in which there are such requests: what stands is all of them.",
    ),
}
"""The core, then the capabilities in the order of their settings."""
