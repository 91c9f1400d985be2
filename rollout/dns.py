"""Which region answers a caller: Route 53's published rules, applied to what is deployed.

The sandbox serves no DNS, and even on AWS one place sees only its own answer. So the deployed latency records and
health checks are read from Route 53 and evaluated here. The rules (Route 53 Developer Guide):

- "Choosing between records": of the healthy records of a name, latency routing answers with the one whose region has
  the lowest latency to the caller.
- "How Amazon Route 53 chooses records when health checking is configured": a record without a health check counts as
  healthy; if no record is healthy, all of them are considered healthy (fail open).
- "Evaluate target health": a record with a health check *and* an evaluated target needs both.
- "Values that you specify when you create or update health checks": `failure_threshold` answers in a row change the
  state, in either direction; a disabled check counts as healthy; an inverted one is turned around. An endpoint is
  healthy when it takes the TCP connection within 4 s and answers 2xx or 3xx within 2 s more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
from botocore.exceptions import BotoCoreError, ClientError

from rollout.outputs import OutputMissingError, api_url
from rollout.target import Target, one_line
from shared.config import Environment
from shared.errors import TripointError

CONNECT_WITHIN_S = 4.0
ANSWER_WITHIN_S = 2.0
# The emulator shares this machine's cores with Terraform and the functions: it is slow, not unhealthy.
SANDBOX_ANSWER_WITHIN_S = 20.0

# Where regions are (latitude, longitude in degrees; the nearest well-known city). AWS's latency measurements are not
# published; the distance stands in for them.
PLACES: dict[str, tuple[float, float]] = {
    "af-south-1": (-33.9, 18.4),
    "ap-east-1": (22.3, 114.2),
    "ap-east-2": (25.0, 121.5),
    "ap-northeast-1": (35.7, 139.7),
    "ap-northeast-2": (37.6, 127.0),
    "ap-northeast-3": (34.7, 135.5),
    "ap-south-1": (19.1, 72.9),
    "ap-south-2": (17.4, 78.5),
    "ap-southeast-1": (1.4, 103.8),
    "ap-southeast-2": (-33.9, 151.2),
    "ap-southeast-3": (-6.2, 106.8),
    "ap-southeast-4": (-37.8, 145.0),
    "ap-southeast-5": (3.1, 101.7),
    "ap-southeast-6": (-36.8, 174.8),
    "ap-southeast-7": (13.8, 100.5),
    "ca-central-1": (45.5, -73.6),
    "ca-west-1": (51.0, -114.1),
    "eu-central-1": (50.1, 8.7),
    "eu-central-2": (47.4, 8.5),
    "eu-north-1": (59.3, 18.1),
    "eu-south-1": (45.5, 9.2),
    "eu-south-2": (41.6, -0.9),
    "eu-west-1": (53.3, -6.3),
    "eu-west-2": (51.5, -0.1),
    "eu-west-3": (48.9, 2.4),
    "il-central-1": (32.1, 34.8),
    "me-central-1": (25.2, 55.3),
    "me-south-1": (26.1, 50.6),
    "mx-central-1": (20.6, -100.4),
    "sa-east-1": (-23.6, -46.6),
    "us-east-1": (38.9, -77.4),
    "us-east-2": (40.0, -83.0),
    "us-west-1": (37.4, -122.0),
    "us-west-2": (45.8, -119.7),
}


class DnsError(TripointError):
    """Route 53 can't be read, or what is there can't be evaluated."""


# -- the rules -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LatencyRecord:
    """One region's answer for a name. ``target`` is the alias's DNS name."""

    name: str
    type: str
    region: str
    set_identifier: str
    target: str
    evaluate_target_health: bool
    health_check_id: str | None


@dataclass(frozen=True)
class HealthCheck:
    """An HTTPS health check."""

    id: str
    fqdn: str
    port: int
    path: str
    failure_threshold: int
    inverted: bool = False
    disabled: bool = False
    interval_s: int = 30


def nearest_first(client: str, regions: Iterable[str]) -> list[str]:
    """Regions by their distance from a client that is in or near the region ``client``."""
    here = _place(client)
    return sorted(regions, key=lambda region: (_distance_km(here, _place(region)), region))


def choose(
    records: Sequence[LatencyRecord], nearest: Sequence[str], is_healthy: Callable[[LatencyRecord], bool]
) -> LatencyRecord:
    """The record that latency routing answers with.

    Parameters
    ----------
    nearest
        Regions by their latency to the caller, the lowest first; a record's region that is missing here comes last.
    is_healthy
        Whether a record is healthy.

    Raises
    ------
    DnsError
        When there is no record at all.
    """
    if not records:
        raise DnsError("the name has no latency records, so nothing answers")
    candidates = [record for record in records if is_healthy(record)] or list(records)
    rank = {region: number for number, region in enumerate(nearest)}
    return min(candidates, key=lambda record: (rank.get(record.region, len(rank)), record.region))


def record_health(record: LatencyRecord, *, check_healthy: bool, target_healthy: bool) -> bool:
    """Whether a record is healthy: what it asks for must be."""
    by_check = record.health_check_id is None or check_healthy
    by_target = not record.evaluate_target_health or target_healthy
    return by_check and by_target


def check_health(check: HealthCheck, passed: Iterable[bool], *, before: bool = True) -> bool:
    """The state of a health check after some answers, in their order; ``before`` is the endpoint's state until then."""
    if check.disabled:
        return True
    state, against = before, 0
    for answer in passed:
        against = 0 if answer is state else against + 1
        if against >= check.failure_threshold:
            state, against = answer, 0
    return state is not check.inverted


def _place(region: str) -> tuple[float, float]:
    try:
        return PLACES[region]
    except KeyError:
        raise DnsError(f"region {region!r} has no place in rollout/dns.py; known: {', '.join(PLACES)}") from None


def _distance_km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great circle between two places (haversine formula)."""
    (lat1, lon1), (lat2, lon2) = ((math.radians(lat), math.radians(lon)) for lat, lon in (one, other))
    half = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371.0 * math.asin(math.sqrt(half))


# -- what is deployed ------------------------------------------------------------------------------


@dataclass(frozen=True)
class DeployedName:
    """The one name as Route 53 has it: its latency records, and their health checks by id."""

    records: tuple[LatencyRecord, ...]
    checks: Mapping[str, HealthCheck]


def read_name(environment: Environment, outputs: Mapping[str, Any], *, target: Target) -> DeployedName:
    """Read the environment's name from Route 53.

    Raises
    ------
    OutputMissingError
        When the zone's stack is not deployed.
    DnsError
        When Route 53 doesn't answer.
    """
    stack = f"edge-zone-{environment.primary}"
    zone = outputs.get(f"{stack}.hosted_zone_id")
    if not zone:
        raise OutputMissingError(f"{stack} is not deployed, so the name has no zone; run: tripoint rollout")
    # Route 53 is global; any region's client reaches it.
    client = target.client("route53", environment.primary)
    try:
        pages = client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
        found = [entry for page in pages for entry in page["ResourceRecordSets"]]
        records = latency_records(found, environment.domain.name)
        ids = sorted({record.health_check_id for record in records if record.health_check_id is not None})
        checks = [parse_check(client.get_health_check(HealthCheckId=id)["HealthCheck"]) for id in ids]
    except (BotoCoreError, ClientError) as error:
        raise DnsError(f"Route 53, zone {zone}: {one_line(error)}") from error
    return DeployedName(tuple(records), {check.id: check for check in checks})


def latency_records(entries: Iterable[Mapping[str, Any]], name: str) -> list[LatencyRecord]:
    """The latency alias records of a name among a zone's record sets, as ListResourceRecordSets has them."""
    return [
        LatencyRecord(
            name=name,
            type=entry["Type"],
            region=entry["Region"],
            set_identifier=entry["SetIdentifier"],
            target=entry["AliasTarget"]["DNSName"].rstrip("."),
            evaluate_target_health=bool(entry["AliasTarget"]["EvaluateTargetHealth"]),
            health_check_id=entry.get("HealthCheckId"),
        )
        for entry in entries
        if entry["Name"].rstrip(".") == name and "Region" in entry and "AliasTarget" in entry
    ]


def parse_check(found: Mapping[str, Any]) -> HealthCheck:
    """A health check as GetHealthCheck has it."""
    config = found["HealthCheckConfig"]
    return HealthCheck(
        id=found["Id"],
        fqdn=config["FullyQualifiedDomainName"],
        port=int(config["Port"]),
        path=config["ResourcePath"],
        failure_threshold=int(config["FailureThreshold"]),
        inverted=bool(config.get("Inverted", False)),
        disabled=bool(config.get("Disabled", False)),
        interval_s=int(config.get("RequestInterval", 30)),
    )


# -- what answers ----------------------------------------------------------------------------------

Probe = Callable[[HealthCheck], bool]


class Resolver:
    """Answers as Route 53 would now.

    Every health check is asked once when the resolver is made; make another one after something has changed.

    Parameters
    ----------
    probe
        Asks a check's endpoint once and tells whether it passed.
    """

    def __init__(self, name: DeployedName, probe: Probe) -> None:
        self.records = name.records
        checks = list(name.checks.values())
        with ThreadPoolExecutor(max_workers=max(1, len(checks))) as pool:
            states = dict(zip(name.checks, pool.map(lambda check: _settled(check, probe), checks), strict=True))
        # For an alias of API Gateway the target's health is that of the service, which nothing here can see fail.
        self.healthy = {
            record.region: record_health(
                record, check_healthy=states.get(record.health_check_id or "", True), target_healthy=True
            )
            for record in self.records
        }

    def region_for(self, client: str, *, nearest: Sequence[str] | None = None) -> str:
        """The region that a client in or near the region ``client`` is led to."""
        order = nearest_first(client, self.healthy) if nearest is None else nearest
        return choose(self.records, order, lambda record: self.healthy[record.region]).region


def resolver(environment: Environment, outputs: Mapping[str, Any], *, target: Target) -> Resolver:
    """A resolver of what is deployed and how it answers now."""
    name = read_name(environment, outputs, target=target)
    patience = SANDBOX_ANSWER_WITHIN_S if environment.is_sandbox else ANSWER_WITHIN_S

    def probe(check: HealthCheck) -> bool:
        url = probe_url(environment, outputs, check)
        return passes(url, local=environment.is_sandbox, answer_within_s=patience)

    return Resolver(name, probe)


def probe_url(environment: Environment, outputs: Mapping[str, Any], check: HealthCheck) -> str:
    """Where a check's endpoint is; in the sandbox the same stage and path below the emulator's address.

    Raises
    ------
    DnsError
        When the sandbox has no API that the check asks for.
    """
    if not environment.is_sandbox:
        return f"https://{check.fqdn}:{check.port}{check.path}"
    for region in environment.regions:
        api, stage = (outputs.get(f"edge-{region}.{output}") for output in ("api_id", "api_stage"))
        if check.fqdn == f"{api}.execute-api.{region}.amazonaws.com" and check.path.startswith(f"/{stage}/"):
            return api_url(outputs, region) + check.path.removeprefix(f"/{stage}")
    raise DnsError(f"health check {check.id} asks {check.fqdn}{check.path}, which is no stage of a deployed API")


def passes(url: str, *, local: bool, answer_within_s: float = ANSWER_WITHIN_S) -> bool:
    """Ask once, as a health checker does. Redirects are an answer, not followed."""
    timeout = httpx.Timeout(answer_within_s, connect=CONNECT_WITHIN_S)
    try:
        answer = httpx.get(url, timeout=timeout, trust_env=not local)
    except httpx.HTTPError:
        return False
    return 200 <= answer.status_code < 400


def _settled(check: HealthCheck, probe: Probe) -> bool:
    """The state that a check comes to: asked as often as it takes to change it, from a healthy endpoint."""
    answers: list[bool] = []
    for _ in range(check.failure_threshold):
        answers.append(probe(check))
        if answers[-1]:
            break
    return check_health(check, answers)
