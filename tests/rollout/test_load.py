"""What a load sends, and where: the plan and the routes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from functions.processor.scenarios import TOKENS
from rollout.dns import DeployedName, DnsError, HealthCheck, LatencyRecord
from rollout.load.plan import CALLERS, MIXES, Planned, plan
from rollout.load.routing import TTL_S, Routes

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")


def planned(count: int, seed: int, mix: str = "everything", run: str = "r") -> list[Planned]:
    return plan(count, seed, mix=MIXES[mix], run=run, merchants=["m-1", "m-2"], regions=REGIONS)


def test_a_plan_follows_from_its_seed() -> None:
    assert planned(50, 1) == planned(50, 1)
    assert planned(50, 1) != planned(50, 2)
    assert [one.body for one in planned(50, 1)] == [one.body for one in planned(50, 1, run="again")]


def test_every_payment_has_a_key_of_its_own() -> None:
    keys = [one.key for run in ("a", "b") for one in planned(1000, 1, run=run)]
    assert len(set(keys)) == len(keys)


def test_the_shares_are_those_of_the_mix() -> None:
    found = Counter(one.token.partition("_from_")[0] for one in planned(10_000, 3))
    wanted = MIXES["everything"].trouble
    for token, share in wanted.items():
        assert found[token.partition("_from_")[0]] == pytest.approx(share * 10, rel=0.5, abs=25)
    assert found["tok_visa"] > 7000
    assert set(Counter(one.caller for one in planned(1000, 3))) == set(CALLERS)


def test_no_payment_ends_with_money_that_only_a_human_can_release() -> None:
    for mix in MIXES.values():
        assert not {"tok_void_unavailable", "tok_refund_unavailable"} & set(mix.trouble)
        assert {token for token in mix.trouble if "{region}" not in token} <= set(TOKENS)


# -- routes ----------------------------------------------------------------------------------------


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


CHECKS = {
    region: HealthCheck(region, f"{region}.test", 443, "/v1/health", failure_threshold=3, interval_s=30)
    for region in REGIONS
}
NAME = DeployedName(
    tuple(LatencyRecord("pay.test", "A", region, region, f"{region}.test", True, region) for region in REGIONS), CHECKS
)


def routes(clock: Clock, down: set[str], pace: float = 1.0) -> Routes:
    return Routes(NAME, lambda check: check.id not in down, pace=pace, clock=clock)


def test_callers_go_to_the_nearest_region() -> None:
    found = routes(Clock(), set())
    assert [found.region_for(caller) for caller in ("sa-east-1", "eu-central-1", "ap-south-1")] == list(REGIONS)


def test_a_region_is_left_after_as_many_failed_checks_as_configured_and_when_the_answer_expires() -> None:
    clock, down = Clock(), {"eu-west-1"}
    found = routes(clock, down)
    assert found.region_for("eu-central-1") == "eu-west-1"
    states = [found.check()["eu-west-1"] for _ in range(3)]
    assert states == [True, True, False]
    assert found.region_for("eu-central-1") == "eu-west-1"  # the resolver's answer still holds
    clock.now = TTL_S + 1
    assert found.region_for("eu-central-1") == "us-east-1"


def test_a_region_is_used_again_after_as_many_passed_checks() -> None:
    down = {"eu-west-1"}
    found = routes(Clock(), down)
    for _ in range(3):
        found.check()
    down.clear()
    assert [found.check()["eu-west-1"] for _ in range(3)] == [False, False, True]


def test_one_failed_check_between_passed_ones_changes_nothing() -> None:
    down: set[str] = set()
    found = routes(Clock(), down)
    for fails in (True, True, False, True, True):
        down.clear()
        down.update({"eu-west-1"} if fails else ())
        found.check()
    assert found.healthy["eu-west-1"]


def test_all_regions_are_used_when_none_is_healthy() -> None:
    found = routes(Clock(), set(REGIONS))
    for _ in range(3):
        found.check()
    assert found.region_for("eu-central-1") == "eu-west-1"


def test_the_pace_makes_checks_and_expiry_faster() -> None:
    clock = Clock()
    found = routes(clock, {"eu-west-1"}, pace=10)
    assert found.interval_s == 3
    found.region_for("eu-central-1")
    for _ in range(3):
        found.check()
    clock.now = TTL_S / 10 + 0.1
    assert found.region_for("eu-central-1") == "us-east-1"


def test_a_disabled_check_is_healthy_and_an_inverted_one_turned_round() -> None:
    checks = CHECKS | {"eu-west-1": replace(CHECKS["eu-west-1"], disabled=True)}
    checks["us-east-1"] = replace(CHECKS["us-east-1"], inverted=True)
    found = Routes(DeployedName(NAME.records, checks), lambda check: False)
    for _ in range(3):
        found.check()
    assert found.healthy == {"us-east-1": True, "eu-west-1": True, "ap-southeast-1": False}


def test_the_second_region_is_the_next_answer_without_the_first() -> None:
    assert routes(Clock(), set()).fresh("eu-central-1") == ["eu-west-1", "us-east-1", "ap-southeast-1"]


def test_a_name_without_records_is_refused() -> None:
    with pytest.raises(DnsError, match="no latency records"):
        Routes(DeployedName((), {}), lambda check: True)
