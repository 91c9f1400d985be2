"""Draining a region: the switch in the payments table, who takes over, and what `/health` says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rollout import drain as draining
from rollout.drain import (
    DrainRefusedError,
    Health,
    HealthTimeoutError,
    SwitchUnreachableError,
    await_health,
    drain,
    drained_regions,
    read_health,
    restore,
)
from rollout.outputs import OutputMissingError
from rollout.target import Target
from shared.config import Environment, parse

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
OUTPUTS = {f"data-{region}.payments_table_name": "payments-t1" for region in REGIONS}


@pytest.fixture
def environment() -> Environment:
    raw = {
        "environment": "test",
        "suffix": "t1",
        "project": {"name": "tripoint", "owner": "o", "cost_center": "c"},
        "target": {"kind": "sandbox", "account_id": "000000000000", "endpoint": "http://127.0.0.1:4566"},
        "domain": {"name": "pay.tripoint.test"},
        "edge": {"health_interval_s": 10, "health_failure_threshold": 2},
        "regions": {
            region: {"cidr": f"10.{number}.0.0/16", "primary": number == 1} for number, region in enumerate(REGIONS, 1)
        },
    }
    return parse(raw, source="test")


class GlobalTable:
    """A replica per region; a write reaches the other replicas unless their region is down.

    A region is down by refusing (``down``), by answering an error (``failing``) or by not answering (``silent``).
    """

    def __init__(self) -> None:
        self.replicas: dict[str, dict[str, Any]] = {region: {} for region in REGIONS}
        self.down: set[str] = set()
        self.failing: set[str] = set()
        self.silent: set[str] = set()
        self.end = threading.Event()
        self.writes: list[tuple[str, dict[str, Any]]] = []

    def client(self, service: str, region: str) -> Replica:
        assert service == "dynamodb"
        return Replica(self, region)

    def recover(self, region: str) -> None:
        """The region answers again, and has what was written elsewhere."""
        self.down.discard(region)
        for other in self.replicas.values():
            self.replicas[region].update(other)


class Replica:
    def __init__(self, table: GlobalTable, region: str) -> None:
        self.table = table
        self.region = region

    def get_item(self, *, TableName: str, Key: dict[str, Any], ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        self._answer(TableName)
        assert ConsistentRead
        item = self.table.replicas[self.region].get(Key["payment_id"]["S"])
        return {"Item": item} if item else {}

    def put_item(self, *, TableName: str, Item: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self._answer(TableName)
        self.table.writes.append((self.region, Item))
        for region, items in self.table.replicas.items():
            if region not in self.table.down:
                items[Item["payment_id"]["S"]] = Item
        return {}

    def _answer(self, name: str) -> None:
        assert name == "payments-t1"
        if self.region in self.table.down:
            raise EndpointConnectionError(endpoint_url=f"http://dynamodb.{self.region}")
        if self.region in self.table.failing:
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": "no"}}, "GetItem")
        if self.region in self.table.silent:
            self.table.end.wait(30)


@pytest.fixture
def table() -> Iterator[GlobalTable]:
    made = GlobalTable()
    yield made
    made.end.set()


def target(table: GlobalTable) -> Target:
    return cast(Target, table)


def test_a_drained_region_is_written_down_in_its_own_table(environment: Environment, table: GlobalTable) -> None:
    """PAY-08, PAY-23: the switch is one item that the region's `/health` reads; who takes over is told."""
    result = drain(environment, "eu-west-1", OUTPUTS, target=target(table), reason="disk trouble")
    ((written_in, item),) = table.writes
    assert written_in == "eu-west-1"
    assert item["payment_id"] == {"S": "region#eu-west-1"}
    assert item["drained"] == {"BOOL": True}
    # Nothing that a stream's filter on the home region, or the ledger, would take for a payment.
    assert set(item) == {"payment_id", "drained", "reason", "changed_at"}
    assert result.changed
    assert result.takers == ("us-east-1", "ap-southeast-1")
    # Two intervals of 10 s until the check fails, and a minute in resolvers.
    assert result.leaves_after_s == 80
    assert result.lines == [
        "eu-west-1 is drained",
        "DNS leaves it within 80 s; its callers go to the nearest of: us-east-1, ap-southeast-1",
        "payments in flight there finish there; nothing is stopped",
    ]
    drained = drained_regions(environment, OUTPUTS, target=target(table))
    assert drained["eu-west-1"].reason == "disk trouble"
    assert drained["eu-west-1"].since.endswith("Z")
    assert list(drained) == ["eu-west-1"]


def test_draining_twice_changes_nothing(environment: Environment, table: GlobalTable) -> None:
    """PAY-23: idempotent; the first reason stays."""
    drain(environment, "eu-west-1", OUTPUTS, target=target(table), reason="first")
    again = drain(environment, "eu-west-1", OUTPUTS, target=target(table), reason="second")
    assert not again.changed
    assert again.lines[0] == "eu-west-1 was drained already"
    assert drained_regions(environment, OUTPUTS, target=target(table))["eu-west-1"].reason == "first"


def test_restoring_brings_it_back_and_is_idempotent(environment: Environment, table: GlobalTable) -> None:
    """PAY-23: back into service."""
    drain(environment, "eu-west-1", OUTPUTS, target=target(table), reason="x")
    result = restore(environment, "eu-west-1", OUTPUTS, target=target(table))
    assert result.changed
    assert not result.drained
    assert result.takers == REGIONS
    assert result.lines == [
        "eu-west-1 is in service",
        "DNS sends callers to it again within 80 s; in service: us-east-1, eu-west-1, ap-southeast-1",
    ]
    assert drained_regions(environment, OUTPUTS, target=target(table)) == {}
    assert table.replicas["eu-west-1"]["region#eu-west-1"]["drained"] == {"BOOL": False}
    again = restore(environment, "eu-west-1", OUTPUTS, target=target(table))
    assert not again.changed
    assert again.lines[0] == "eu-west-1 was in service already"
    assert len(table.writes) == 2


@pytest.mark.parametrize("region", ["us-west-2", "", "eu-west-1 "])
def test_an_unknown_region_is_refused(environment: Environment, table: GlobalTable, region: str) -> None:
    allowed = "allowed: us-east-1, eu-west-1, ap-southeast-1"
    with pytest.raises(DrainRefusedError, match=f"region '{region}' is not one of this environment; {allowed}"):
        drain(environment, region, OUTPUTS, target=target(table), reason="x")
    with pytest.raises(DrainRefusedError, match=allowed):
        restore(environment, region, OUTPUTS, target=target(table))
    assert table.writes == []


def test_the_last_region_in_service_stays_unless_forced(environment: Environment, table: GlobalTable) -> None:
    """PAY-23: nobody takes the payments of the last region."""
    for region in ("us-east-1", "ap-southeast-1"):
        drain(environment, region, OUTPUTS, target=target(table), reason="x")
    with pytest.raises(DrainRefusedError, match=r"eu-west-1 is the last .*\(us-east-1, ap-southeast-1\), or force it"):
        drain(environment, "eu-west-1", OUTPUTS, target=target(table), reason="x")
    assert len(table.writes) == 2
    # One that is drained already may be drained again.
    assert not drain(environment, "us-east-1", OUTPUTS, target=target(table), reason="x").changed
    forced = drain(environment, "eu-west-1", OUTPUTS, target=target(table), reason="x", force=True)
    assert forced.changed
    assert forced.takers == ()
    assert "Route 53 then treats all of them as healthy" in forced.lines[-1]


def test_an_only_region_stays_unless_forced(environment: Environment, table: GlobalTable) -> None:
    """PAY-23"""
    alone = environment.model_copy(update={"regions": {"eu-west-1": environment.regions["eu-west-1"]}})
    with pytest.raises(DrainRefusedError, match=r"eu-west-1 is the last region in service; there is no other, force"):
        drain(alone, "eu-west-1", OUTPUTS, target=target(table), reason="x")
    assert table.writes == []


@pytest.mark.parametrize("trouble", ["down", "failing", "silent"])
def test_a_region_that_does_not_answer_is_drained_from_another(
    environment: Environment, table: GlobalTable, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PAY-23: the table carries the switch there; `/health` says it when the region comes back."""

    def within(seconds: float, call: Callable[..., Any], **arguments: Any) -> Any:
        """A busy machine may take its time for an answer; only one that never comes is not waited for that long."""
        assert seconds == draining.ANSWER_WITHIN_S
        return answer_within(0.2 if call.__self__.region in table.silent else 30.0, call, **arguments)

    answer_within = draining.within
    monkeypatch.setattr(draining, "within", within)
    getattr(table, trouble).add("us-east-1")
    result = drain(environment, "us-east-1", OUTPUTS, target=target(table), reason="gone")
    assert result.written_in == "eu-west-1"
    assert result.lines[1] == "us-east-1 did not answer; eu-west-1 took the switch and replicates it"
    assert drained_regions(environment, OUTPUTS, target=target(table))["us-east-1"].reason == "gone"
    for place in (table.failing, table.silent):
        place.discard("us-east-1")
    table.recover("us-east-1")
    assert list(drained_regions(environment, OUTPUTS, target=target(table))) == ["us-east-1"]
    assert restore(environment, "us-east-1", OUTPUTS, target=target(table)).written_in == "us-east-1"


def test_outputs_of_one_region_are_enough(environment: Environment, table: GlobalTable) -> None:
    """PAY-23: a region that is down has no outputs to read either."""
    table.down.add("us-east-1")
    known = {"data-ap-southeast-1.payments_table_name": "payments-t1"}
    assert drain(environment, "us-east-1", known, target=target(table), reason="x").written_in == "eu-west-1"
    with pytest.raises(OutputMissingError, match="no data stack is deployed"):
        drained_regions(environment, {}, target=target(table))


def test_with_no_region_answering_every_reason_is_told(environment: Environment, table: GlobalTable) -> None:
    table.down.update(REGIONS)
    with pytest.raises(SwitchUnreachableError) as failure:
        drain(environment, "eu-west-1", OUTPUTS, target=target(table), reason="x")
    for region in REGIONS:
        assert f"{region}: Could not connect" in str(failure.value)
    assert "\n" not in str(failure.value)


# -- health ----------------------------------------------------------------------------------------


class HealthServer:
    """Answers one status and body after the other, the last one for ever."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = [(200, {"status": "ok"})]
        self.paths: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                status, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.outputs = {"edge-eu-west-1.api_url": f"http://127.0.0.1:{self.server.server_port}/eu"}


@pytest.fixture
def api() -> Iterator[HealthServer]:
    found = HealthServer()
    threading.Thread(target=found.server.serve_forever, daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (200, {"status": "ok"}, "ok"),
        (503, {"status": "draining"}, "draining"),
        (503, {"status": "unavailable"}, "unavailable"),
        (503, b"no JSON", "unavailable"),
        (503, ["draining"], "unavailable"),
        (500, {"status": "draining"}, "unavailable"),
        (502, {}, "unavailable"),
    ],
)
def test_what_health_means(environment: Environment, api: HealthServer, status: int, body: Any, state: str) -> None:
    """PAY-08: drained is not the same as broken."""
    api.answers = [(status, body)]
    assert read_health(environment, "eu-west-1", api.outputs) == Health("eu-west-1", cast(Any, state), status)
    assert api.paths == ["/eu/health"]


def test_a_region_that_is_not_there_is_unreachable(environment: Environment) -> None:
    health = read_health(environment, "eu-west-1", {"edge-eu-west-1.api_url": "http://127.0.0.1:1"})
    assert (health.state, health.status) == ("unreachable", 0)
    assert health.detail
    with pytest.raises(OutputMissingError, match="edge-us-east-1 is not deployed"):
        read_health(environment, "us-east-1", {})


def test_waiting_tells_every_change_once(environment: Environment, api: HealthServer) -> None:
    """PAY-23: until the region's own `/health` says so."""
    api.answers = [(200, {}), (200, {}), (502, {}), (503, {"status": "draining"})]
    told: list[str] = []
    found = await_health(
        environment,
        "eu-west-1",
        api.outputs,
        wanted="draining",
        timeout_s=60,
        progress=lambda health: told.append(str(health)),
        pause_s=0,
    )
    assert found.state == "draining"
    assert told == ["eu-west-1: ok (200)", "eu-west-1: unavailable (502)", "eu-west-1: draining (503)"]


def test_waiting_ends_with_the_last_answer(environment: Environment, api: HealthServer) -> None:
    with pytest.raises(HealthTimeoutError, match=r"^/health of eu-west-1: ok \(200\) after 0.1 s; wanted: draining$"):
        await_health(environment, "eu-west-1", api.outputs, wanted="draining", timeout_s=0.1, pause_s=0.01)
