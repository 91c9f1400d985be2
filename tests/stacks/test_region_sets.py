"""The set of regions is configuration: two, three or eight, any primary; one to develop in."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.config import parse
from stacks.catalogue import specs_of
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

SETS = {
    "one": ["ap-southeast-1"],
    "two": ["eu-west-1", "us-east-1"],
    "trio": ["us-east-1", "us-east-2", "eu-west-1"],
    "eight": [
        "sa-east-1",
        "us-east-1",
        "us-west-2",
        "eu-west-1",
        "eu-central-1",
        "ap-southeast-1",
        "ap-northeast-1",
        "ca-central-1",
    ],
}
RAW = tomllib.loads(Path("config/sandbox.toml").read_text())


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Any:
    @cache
    def of(name: str) -> Synthesized:
        regions: dict[str, Any] = {
            region: {"cidr": f"10.{40 + index}.0.0/16"} for index, region in enumerate(SETS[name])
        }
        regions[SETS[name][0]]["primary"] = True
        last = regions[SETS[name][-1]]
        last["functions"] = {"reserved_concurrency": 1, "memory_mb": 1024}
        last["alarms"] = {"failure_rate_percent": 0.5}
        last["residency"] = {"vault_retention_days": 30}
        last["edge"] = {"waf": True}
        environment = parse({**RAW, "regions": regions}, source=name)
        out = tmp_path_factory.mktemp(name)
        synthesize(environment, out=out, functions=Path(".tripoint/functions"))
        return Synthesized(environment, out)

    return of


@pytest.mark.parametrize("name", SETS)
def test_every_stack_in_every_region_with_one_owner_of_the_tables(synthesized: Any, name: str) -> None:
    """PAY-01, PAY-02: the same infrastructure in one, two, three or eight regions, with any primary."""
    found = synthesized(name)
    regions = SETS[name]
    wanted = {f"{spec.name}-{at}" for spec in specs_of(found.environment) for at in spec.regions(regions, regions[0])}
    assert set(found.stacks) == wanted
    assert len(wanted) == 8 * len(regions) + 1
    for region in regions:
        replicas = found.resources(f"data-{region}", "aws_dynamodb_table_replica")
        assert len(replicas) == (0 if region == regions[0] else 3)


@pytest.mark.parametrize("name", SETS)
def test_every_region_is_linked_with_every_other(synthesized: Any, name: str) -> None:
    """PAY-05, PAY-07, PAY-11: routes, subscriptions and replication in all directions."""
    found = synthesized(name)
    for region in SETS[name]:
        others = len(SETS[name]) - 1
        assert len(found.resources(f"compute-links-{region}", "aws_cloudwatch_event_rule")) == others
        assert len(found.resources(f"observability-links-{region}", "aws_sns_topic_subscription")) == others
        replications = found.resources(f"data-links-{region}", "aws_s3_bucket_replication_configuration").values()
        assert [len(replication["rule"]) for replication in replications] == ([others] if others else [])


def test_an_only_region_has_no_roles_and_policies_for_others(synthesized: Any) -> None:
    """PAY-13: nothing may forward events, replicate receipts or put events from outside where there is nobody else."""
    found = synthesized("one")
    here = SETS["one"][0]
    for stack in (f"data-links-{here}", f"compute-links-{here}", f"observability-links-{here}"):
        left = found.stack(stack).get("resource", {})
        assert left.keys() <= {"aws_s3_bucket_lifecycle_configuration"}
    assert not found.resources(f"compute-{here}", "aws_cloudwatch_event_bus_policy")


@pytest.mark.parametrize("name", SETS)
def test_overrides_of_one_region_show_there_and_nowhere_else(synthesized: Any, name: str) -> None:
    """PAY-01: concurrency, thresholds, features and residency by region."""
    found = synthesized(name)
    last = SETS[name][-1]
    for region in SETS[name]:
        functions = found.resources(f"compute-{region}", "aws_lambda_function").values()
        overridden = region == last
        assert {function["memory_size"] for function in functions} == {1024 if overridden else 3072}
        assert {f["reserved_concurrent_executions"] for f in functions} == {1 if overridden else 5}
        days = {f["environment"]["variables"].get("VAULT_RETENTION_DAYS") for f in functions} - {None}
        assert days == {"30" if overridden else "365"}
        alarms = found.resources(f"observability-{region}", "aws_cloudwatch_metric_alarm").values()
        (rate,) = [alarm for alarm in alarms if alarm["alarm_name"] == "tripoint-failure-rate-sandbox"]
        assert rate["threshold"] == pytest.approx(0.5 if overridden else 0.1)
        assert bool(found.resources(f"edge-{region}", "aws_wafv2_web_acl")) == overridden


def test_failover_order_is_the_configurations(synthesized: Any) -> None:
    """PAY-05: the configured failover order; the order of the regions when none is given."""
    for function in synthesized("trio").resources("compute-us-east-2", "aws_lambda_function").values():
        order = function["environment"]["variables"].get("FAILOVER_ORDER")
        assert order in {None, "us-east-1,us-east-2,eu-west-1"}
    regions = {region: {"cidr": f"10.{i}.0.0/16", "primary": i == 0} for i, region in enumerate(SETS["trio"])}
    order = ["eu-west-1", "us-east-1", "us-east-2"]
    environment = parse({**RAW, "regions": regions, "failover": {"order": order}}, source="x")
    assert environment.failover_order == tuple(order)


def test_dashboard_over_all_regions_shows_eight(synthesized: Any) -> None:
    """PAY-09."""
    for dashboard in synthesized("eight").resources("observability-sa-east-1", "aws_cloudwatch_dashboard").values():
        if "all" in dashboard["dashboard_name"] or "payments" in dashboard["dashboard_name"]:
            body = json.dumps(json.loads(dashboard["dashboard_body"]))
            assert all(region in body for region in SETS["eight"])
