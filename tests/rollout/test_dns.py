"""Which region answers: Route 53's rules as properties, and what is read of Route 53 and of the regions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from rollout import dns
from rollout.dns import DeployedName, DnsError, HealthCheck, LatencyRecord, Resolver
from rollout.outputs import OutputMissingError
from rollout.target import Target
from shared.config import Environment, known_regions, parse

NAME = "pay.tripoint.test"
REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
ENVIRONMENT: dict[str, Any] = {
    "environment": "test",
    "suffix": "t1",
    "project": {"name": "tripoint", "owner": "o", "cost_center": "c"},
    "target": {"kind": "sandbox", "account_id": "000000000000", "endpoint": "http://127.0.0.1:4566"},
    "domain": {"name": NAME},
    "regions": {
        region: {"cidr": f"10.{number}.0.0/16", "primary": number == 1} for number, region in enumerate(REGIONS, 1)
    },
}


def environment(**target: Any) -> Environment:
    return parse(ENVIRONMENT | ({"target": target} if target else {}), source="test")


def record(region: str, **changes: Any) -> LatencyRecord:
    plain = LatencyRecord(
        name=NAME,
        type="A",
        region=region,
        set_identifier=region,
        target=f"d-{region}.example",
        evaluate_target_health=True,
        health_check_id=f"check-{region}",
    )
    return replace(plain, **changes)


def check(region: str, **changes: Any) -> HealthCheck:
    plain = HealthCheck(
        id=f"check-{region}",
        fqdn=f"api-{region}.execute-api.{region}.amazonaws.com",
        port=443,
        path="/v1/health",
        failure_threshold=3,
    )
    return replace(plain, **changes)


# -- the rules -------------------------------------------------------------------------------------

some_regions = st.lists(st.sampled_from(sorted(dns.PLACES)), min_size=1, max_size=8, unique=True)


@given(regions=some_regions, data=st.data())
def test_the_nearest_healthy_region_answers(regions: list[str], data: st.DataObject) -> None:
    """PAY-08: latency routing among healthy records."""
    nearest = data.draw(st.permutations(regions))
    healthy = data.draw(st.sets(st.sampled_from(regions), min_size=1))
    chosen = dns.choose([record(r) for r in regions], nearest, lambda found: found.region in healthy)
    assert chosen.region in healthy
    nearer = nearest[: nearest.index(chosen.region)]
    assert not healthy & set(nearer)


@given(regions=some_regions, data=st.data())
def test_when_none_is_healthy_all_are_considered_healthy(regions: list[str], data: st.DataObject) -> None:
    """PAY-23: fail open: the name always has an answer."""
    nearest = data.draw(st.permutations(regions))
    assert dns.choose([record(r) for r in regions], nearest, lambda _: False).region == nearest[0]


@given(regions=some_regions, client=st.sampled_from(sorted(dns.PLACES)), data=st.data())
def test_losing_a_region_moves_only_its_own_callers(regions: list[str], client: str, data: st.DataObject) -> None:
    """PAY-23: with one region down, callers of the others notice nothing."""
    records = [record(r) for r in regions]
    nearest = dns.nearest_first(client, regions)
    lost = data.draw(st.sampled_from(regions))
    before = dns.choose(records, nearest, lambda _: True).region
    after = dns.choose(records, nearest, lambda found: found.region != lost).region
    if before == lost:
        assert after != lost or regions == [lost]
    else:
        assert after == before


def test_a_name_without_records_has_no_answer() -> None:
    with pytest.raises(DnsError, match="no latency records"):
        dns.choose([], ["us-east-1"], lambda _: True)


def test_a_region_of_unknown_latency_comes_last() -> None:
    records = [record("us-east-1"), record("eu-west-1")]
    assert dns.choose(records, ["eu-west-1"], lambda _: True).region == "eu-west-1"
    assert dns.choose(records, [], lambda _: True).region == "eu-west-1"


@pytest.mark.parametrize(
    ("changes", "check_healthy", "target_healthy", "healthy"),
    [
        ({}, True, True, True),
        ({}, False, True, False),
        ({}, True, False, False),
        ({"evaluate_target_health": False}, True, False, True),
        ({"evaluate_target_health": False}, False, True, False),
        ({"health_check_id": None}, False, True, True),
        ({"health_check_id": None}, False, False, False),
        ({"health_check_id": None, "evaluate_target_health": False}, False, False, True),
    ],
)
def test_a_record_needs_what_it_asks_for(
    changes: dict[str, Any], check_healthy: bool, target_healthy: bool, healthy: bool
) -> None:
    found = dns.record_health(
        record("us-east-1", **changes), check_healthy=check_healthy, target_healthy=target_healthy
    )
    assert found is healthy


@given(threshold=st.integers(1, 10), before=st.booleans(), answers=st.lists(st.booleans(), max_size=40))
def test_a_check_changes_its_state_only_after_as_many_answers_in_a_row(
    threshold: int, before: bool, answers: list[bool]
) -> None:
    """PAY-08: failure_threshold, in either direction."""
    watched = check("us-east-1", failure_threshold=threshold)
    state = dns.check_health(watched, answers, before=before)
    runs = "".join("1" if answer else "0" for answer in answers)
    # The last run that is long enough decides; without one nothing changes.
    last = {value: runs.rfind(("1" if value else "0") * threshold) for value in (True, False)}
    expected = before if last[True] == last[False] else last[True] > last[False]
    assert state is expected
    assert dns.check_health(replace(watched, inverted=True), answers, before=before) is not expected
    assert dns.check_health(replace(watched, disabled=True), answers, before=before) is True


def test_every_region_has_a_place() -> None:
    """PAY-01: any set of regions."""
    assert set(dns.PLACES) >= known_regions()


@pytest.mark.parametrize(
    ("client", "order"),
    [
        ("eu-central-1", ["eu-west-1", "us-east-1", "ap-southeast-1"]),
        ("us-west-2", ["us-east-1", "eu-west-1", "ap-southeast-1"]),
        ("ap-northeast-1", ["ap-southeast-1", "eu-west-1", "us-east-1"]),
        ("ap-southeast-1", ["ap-southeast-1", "eu-west-1", "us-east-1"]),
    ],
)
def test_nearest_first(client: str, order: list[str]) -> None:
    assert dns.nearest_first(client, REGIONS) == order


def test_an_unknown_client_region_is_named() -> None:
    with pytest.raises(DnsError, match="'mars-1' has no place"):
        dns.nearest_first("mars-1", REGIONS)


# -- what is deployed ------------------------------------------------------------------------------


def entry(region: str) -> dict[str, Any]:
    return {
        "Name": f"{NAME}.",
        "Type": "A",
        "SetIdentifier": region,
        "Region": region,
        "AliasTarget": {"HostedZoneId": "Z2", "DNSName": f"d-{region}.example.", "EvaluateTargetHealth": True},
        "HealthCheckId": f"check-{region}",
    }


OTHER_ENTRIES: list[dict[str, Any]] = [
    {"Name": f"{NAME}.", "Type": "NS", "TTL": 172800, "ResourceRecords": [{"Value": "ns-1.example."}]},
    {"Name": f"_proof.{NAME}.", "Type": "CNAME", "TTL": 300, "ResourceRecords": [{"Value": "x.acm.example."}]},
    entry("us-east-1") | {"Name": "other.tripoint.test."},
    {name: value for name, value in entry("us-east-1").items() if name not in ("Region", "SetIdentifier")}
    | {"Type": "AAAA"},
]


class FakeRoute53:
    """A zone in two pages, and health checks."""

    def __init__(self) -> None:
        self.zones: list[str] = []
        self.fails = False

    def client(self, service: str, region: str) -> FakeRoute53:
        assert (service, region) == ("route53", "us-east-1")
        return self

    def get_paginator(self, operation: str) -> FakeRoute53:
        assert operation == "list_resource_record_sets"
        return self

    def paginate(self, *, HostedZoneId: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        if self.fails:
            raise EndpointConnectionError(endpoint_url="http://x")
        self.zones.append(HostedZoneId)
        yield {"ResourceRecordSets": [entry("ap-southeast-1"), entry("eu-west-1"), *OTHER_ENTRIES]}
        yield {"ResourceRecordSets": [entry("us-east-1")]}

    def get_health_check(self, *, HealthCheckId: str) -> dict[str, Any]:  # noqa: N803
        region = HealthCheckId.removeprefix("check-")
        return {
            "HealthCheck": {
                "Id": HealthCheckId,
                "HealthCheckConfig": {
                    "Type": "HTTPS",
                    "FullyQualifiedDomainName": check(region).fqdn,
                    "Port": 443,
                    "ResourcePath": "/v1/health",
                    "FailureThreshold": 3,
                },
            }
        }


def outputs(url: str = "http://x") -> dict[str, str]:
    return {"edge-zone-us-east-1.hosted_zone_id": "Z1"} | {
        f"edge-{region}.{name}": value
        for region in REGIONS
        for name, value in {
            "api_id": f"api-{region}",
            "api_stage": "v1",
            "api_url": f"{url}/restapis/api-{region}/v1/_user_request_",
        }.items()
    }


def test_the_name_is_read_with_its_checks() -> None:
    """PAY-08: the deployed records of the one name and nothing else, over all pages."""
    route53 = FakeRoute53()
    name = dns.read_name(environment(), outputs(), target=cast(Target, route53))
    assert sorted(found.region for found in name.records) == sorted(REGIONS)
    assert {found.region: found for found in name.records}["eu-west-1"] == record("eu-west-1")
    assert name.checks == {f"check-{region}": check(region) for region in REGIONS}
    assert route53.zones == ["Z1"]


def test_a_name_that_cannot_be_read_says_why() -> None:
    with pytest.raises(OutputMissingError, match="edge-zone-us-east-1 is not deployed"):
        dns.read_name(environment(), {}, target=cast(Target, FakeRoute53()))
    route53 = FakeRoute53()
    route53.fails = True
    with pytest.raises(DnsError, match="Route 53, zone Z1: Could not connect"):
        dns.read_name(environment(), outputs(), target=cast(Target, route53))


def test_a_check_is_asked_at_its_own_host_on_aws_and_below_the_emulator_in_the_sandbox() -> None:
    """PAY-08: what the resolver asks is what the deployed check asks."""
    eu = check("eu-west-1")
    sandbox = dns.probe_url(environment(), outputs(), eu)
    assert sandbox == "http://x/restapis/api-eu-west-1/v1/_user_request_/health"
    aws = environment(kind="aws", account_id="000000000000")
    assert dns.probe_url(aws, outputs(), eu) == f"https://{eu.fqdn}:443/v1/health"
    for wrong in (
        replace(eu, fqdn="api-eu-west-1.execute-api.us-east-1.amazonaws.com"),
        replace(eu, path="/v2/health"),
    ):
        with pytest.raises(DnsError, match="no stage of a deployed API"):
            dns.probe_url(environment(), outputs(), wrong)


# -- what answers ----------------------------------------------------------------------------------


def deployed(**changes: Any) -> DeployedName:
    return DeployedName(
        tuple(record(region, **changes) for region in REGIONS),
        {f"check-{region}": check(region) for region in REGIONS},
    )


def test_callers_leave_a_region_whose_health_fails() -> None:
    """PAY-08, PAY-23: and only then; a single failure among the answers is forgiven."""
    asked: list[str] = []
    down = {"check-eu-west-1"}

    def probe(found: HealthCheck) -> bool:
        asked.append(found.id)
        flaky = found.id == "check-us-east-1" and asked.count(found.id) < found.failure_threshold
        return found.id not in down and not flaky

    resolver = Resolver(deployed(), probe)
    assert resolver.healthy == {"us-east-1": True, "eu-west-1": False, "ap-southeast-1": True}
    assert resolver.region_for("eu-central-1") == "us-east-1"
    assert resolver.region_for("eu-central-1", nearest=["eu-west-1", "ap-southeast-1"]) == "ap-southeast-1"
    assert resolver.region_for("ap-south-1") == "ap-southeast-1"
    # As often as it takes to change the state, and not once more.
    assert {id: asked.count(id) for id in asked} == {
        "check-us-east-1": 3,
        "check-eu-west-1": 3,
        "check-ap-southeast-1": 1,
    }


def test_with_every_region_down_the_nearest_answers() -> None:
    """PAY-23: fail open."""
    resolver = Resolver(deployed(), lambda _: False)
    assert not any(resolver.healthy.values())
    assert resolver.region_for("eu-central-1") == "eu-west-1"


def test_a_record_without_check_is_never_left_out() -> None:
    name = DeployedName(deployed(health_check_id=None).records, {})
    assert all(Resolver(name, lambda _: False).healthy.values())


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Answers with the status in the last part of the path; with 0 it takes too long."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = int(self.path.rsplit("/", 1)[-1])
            if status == 0:
                slow.wait(30)
            self.send_response(status or 200)
            self.send_header("Location", "/200")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    slow = threading.Event()
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    slow.set()
    found.shutdown()
    found.server_close()


def test_what_passes_is_an_answer_of_2xx_or_3xx_in_time(server: ThreadingHTTPServer) -> None:
    """PAY-08: as a health checker sees it; a drained region's 503 fails."""
    url = f"http://127.0.0.1:{server.server_port}"
    # Only the answer that does not come is not waited for.
    patience = {200: 20.0, 302: 20.0, 404: 20.0, 500: 20.0, 503: 20.0, 0: 0.3}
    passed = {
        status: dns.passes(f"{url}/{status}", local=True, answer_within_s=within_s)
        for status, within_s in patience.items()
    }
    assert passed == {200: True, 302: True, 404: False, 500: False, 503: False, 0: False}
    assert dns.passes("http://127.0.0.1:1/200", local=True) is False


@pytest.mark.parametrize("kind", ["sandbox", "aws"])
def test_resolver_of_what_is_deployed(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PAY-08: records, checks and answers put together; on AWS with a health checker's patience, no more."""
    asked: list[str] = []
    patience = {"sandbox": dns.SANDBOX_ANSWER_WITHIN_S, "aws": 2.0}[kind]

    def passes(url: str, *, local: bool, answer_within_s: float) -> bool:
        assert (local, answer_within_s) == (kind == "sandbox", patience)
        asked.append(url)
        return "eu-west-1" not in url

    monkeypatch.setattr(dns, "passes", passes)
    there = environment() if kind == "sandbox" else environment(kind="aws", account_id="000000000000")
    resolver = dns.resolver(there, outputs(), target=cast(Target, FakeRoute53()))
    assert resolver.region_for("eu-west-2") == "us-east-1"
    assert len(set(asked)) == len(REGIONS)
