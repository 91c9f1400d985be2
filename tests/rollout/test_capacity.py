"""The capacity model: its laws, its data, what it says of 10,000 payments per second, and who is held to that."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.catalogue import FUNCTIONS
from rollout.capacity import __main__ as command
from rollout.capacity import facts, measure, measured, report, shares
from rollout.capacity.facts import FactError, Facts, Value
from rollout.capacity.load import SCHEDULED
from rollout.capacity.measured import READ, SETTLED, Measured
from rollout.capacity.model import RateError, plan
from rollout.capacity.plan import CapacityPlan, Need, Verdict
from shared.config import Environment, load
from shared.errors import UsageError

ROOT = Path.cwd()
CONFIGS = sorted(Path("config").glob("*.toml"))
FACTS = facts.load()
MEASURED = measured.load()
PRODUCTION = load(Path("config/example-production.toml"))
TPS = 10_000

rates = st.floats(min_value=0.01, max_value=1e6)
laws = settings(deadline=None, max_examples=25)


def planned(tps: float = TPS, environment: Environment = PRODUCTION, data: Facts = FACTS) -> CapacityPlan:
    return plan(environment, tps, data, MEASURED)


def with_regions(*regions: str) -> Environment:
    """The production environment in other regions."""
    base = PRODUCTION.regions["us-east-1"]
    settings_of = {
        region: base.model_copy(update={"primary": number == 0, "cidr": f"10.{number}.0.0/16"})
        for number, region in enumerate(regions)
    }
    return PRODUCTION.model_copy(update={"regions": settings_of})


def assuming(**values: float) -> Facts:
    """The facts with other assumptions; `__` in a name stands for its dot."""
    changed = {name.replace("__", "."): value for name, value in values.items()}
    assert set(changed) <= set(FACTS.assumptions)
    return replace(
        FACTS,
        assumptions={id: replace(one, value=changed.get(id, one.value)) for id, one in FACTS.assumptions.items()},
    )


def need(found: CapacityPlan, region: str, quota: str) -> Need:
    return next(one for one in found.needs if (one.region, one.quota) == (region, quota))


# -- laws of the model


@given(less=rates, factor=st.floats(min_value=1, max_value=100))
@laws
def test_more_payments_never_need_less(less: float, factor: float) -> None:
    """PAY-21"""
    before, after = planned(less), planned(less * factor)
    for one, other in zip(before.needs, after.needs, strict=True):
        assert (one.region, one.title) == (other.region, other.title)
        # A stream gets more shards with more writes: the one need that falls in steps as capacity is added.
        if one.quota != "streams.batches_per_shard":
            assert other.needed >= one.needed * (1 - 1e-9)
            assert other.raise_to >= one.raise_to
    for mine, theirs in zip(before.functions, after.functions, strict=True):
        assert theirs.reserved >= mine.reserved


@given(tps=rates, factor=st.floats(min_value=0.01, max_value=100))
@laws
def test_cost_is_linear_in_the_number_of_payments(tps: float, factor: float) -> None:
    """PAY-21: a million payments cost the same at every rate, a month in proportion to it."""
    one, other = planned(tps), planned(tps * factor)
    assert other.usd_per_million == pytest.approx(one.usd_per_million)
    assert other.usd_per_month == pytest.approx(one.usd_per_month * factor)


@given(weights=st.lists(st.floats(min_value=0.1, max_value=100), min_size=2, max_size=8))
def test_shares_of_the_regions_that_are_left_sum_to_all_traffic(weights: list[float]) -> None:
    """PAY-21, PAY-23: whichever region is down, the others carry everything, and none more than its peak."""
    normal = {f"region-{number}": weight / sum(weights) for number, weight in enumerate(weights)}
    peaks = shares.peak(normal)
    for down in normal:
        left = shares.without(normal, down)
        assert sum(left.values()) == pytest.approx(1)
        assert all(share <= peaks[region] + 1e-12 for region, share in left.items())
        assert all(share >= normal[region] for region, share in left.items())


@pytest.mark.parametrize("count", [2, 3, 8])
def test_each_of_n_equal_regions_must_carry_one_of_n_minus_one_parts(count: int) -> None:
    equal = shares.equal(f"region-{number}" for number in range(count))
    assert shares.peak(equal) == pytest.approx(dict.fromkeys(equal, 1 / (count - 1)))


@given(tps=rates)
@laws
def test_reserved_concurrency_covers_littles_law_and_ten_requests_a_second(tps: float) -> None:
    """PAY-03, PAY-21: L = lambda x W, and no environment serves more than ten requests per second."""
    found = planned(tps)
    for one in found.functions:
        if one.function not in SCHEDULED:
            assert one.by_duration == pytest.approx(one.rate_per_s * one.duration_ms / 1000)
            assert one.reserved >= found.headroom * one.by_duration * (1 - 1e-9)
            assert one.reserved * 10 >= found.headroom * one.rate_per_s * (1 - 1e-9)
            assert one.reserved < found.headroom * max(one.by_duration, one.by_requests) + 10.01


def test_a_processor_twice_as_slow_needs_twice_the_concurrency() -> None:
    slow = assuming(latency__processor__request=2 * FACTS.assume("latency.processor.request"))
    before, after = planned(), planned(data=slow)
    reserved, doubled = before.reserved("us-east-1"), after.reserved("us-east-1")
    assert doubled["capture"] == pytest.approx(2 * reserved["capture"], rel=0.01)
    assert doubled["validate"] == reserved["validate"]


def test_undoing_is_planned_for_an_incident_and_not_for_the_average_day() -> None:
    found = planned()
    compensate = next(one for one in found.functions if one.function == "compensate")
    assert compensate.rate_per_s == pytest.approx(FACTS.assume("incident.share") * TPS / 2)
    assert compensate.rate_per_s > 10 * FACTS.assume("mix.compensated") * TPS / 2


def test_every_region_takes_the_writes_and_receipts_of_all_regions() -> None:
    """PAY-02, PAY-11: replication does not shrink with more regions; requests do."""
    three, six = (
        planned(environment=with_regions("us-east-1", "eu-west-1", "ap-southeast-1")),
        planned(
            environment=with_regions(
                "us-east-1", "eu-west-1", "ap-southeast-1", "us-west-2", "eu-central-1", "ap-northeast-1"
            )
        ),
    )
    for quota in ("dynamodb.write_units", "s3.puts_per_prefix"):
        assert need(three, "eu-west-1", quota).needed == need(six, "eu-west-1", quota).needed
    assert (
        need(three, "eu-west-1", "api_gateway.requests").needed > need(six, "eu-west-1", "api_gateway.requests").needed
    )
    assert six.usd_per_million_by_service["S3"] == pytest.approx(2 * three.usd_per_million_by_service["S3"])


def test_parts_of_the_cost_sum_to_the_whole() -> None:
    found = planned()
    assert sum(found.usd_per_million_by_service.values()) == pytest.approx(found.usd_per_million)
    workflow = found.usd_per_million_by_service["Step Functions"]
    assert workflow == pytest.approx(found.cost_by_workflow["EXPRESS"])


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_configuration_gets_a_plan_for_each_region_and_function(path: Path) -> None:
    found = planned(environment=load(path))
    assert {(one.region, one.function) for one in found.functions} == {
        (region, spec.name) for region in load(path).regions for spec in FUNCTIONS
    }
    assert all(one.reserved >= 1 for one in found.functions)
    assert found.usd_per_million > 0
    assert all(math.isfinite(one.needed) and one.default > 0 for one in found.needs)


@pytest.mark.parametrize("tps", [0, -1, math.inf, math.nan])
def test_a_rate_that_is_none_is_refused(tps: float) -> None:
    with pytest.raises(RateError, match="must be above 0"):
        planned(tps)


@pytest.mark.parametrize(
    ("given_shares", "message"),
    [
        ({"us-east-1": 1.0}, "must name exactly us-east-1, eu-west-1, ap-southeast-1"),
        ({"us-east-1": 0.5, "eu-west-1": 0.5, "ap-southeast-1": 0.5}, "must sum to 1"),
        ({"us-east-1": 1.0, "eu-west-1": 0.0, "ap-southeast-1": 0.0}, "must be at least 0 and below 1"),
    ],
)
def test_shares_that_are_none_are_refused(given_shares: Mapping[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(PRODUCTION, TPS, FACTS, MEASURED, given_shares)


def test_an_only_region_carries_everything_and_says_so() -> None:
    alone = load(Path("config/one-region.toml"))
    found = plan(alone, TPS, FACTS, MEASURED, {"us-east-1": 1.0})
    assert found.peak_shares == {"us-east-1": 1.0} == plan(alone, TPS, FACTS, MEASURED).shares
    assert "over 1 region (us-east-1), " in report.headline(found)
    assert "the region carries all of it, planned" in report.headline(found)
    with pytest.raises(UsageError, match=r"share_by_region.us-east-1 = 0.5: must be 1, it is the only region"):
        plan(alone, TPS, FACTS, MEASURED, {"us-east-1": 0.5})


def test_an_uneven_spread_burdens_the_region_that_takes_the_largest_ones_traffic() -> None:
    uneven = {"us-east-1": 0.6, "eu-west-1": 0.3, "ap-southeast-1": 0.1}
    found = plan(PRODUCTION, TPS, FACTS, MEASURED, uneven)
    assert found.peak_shares == pytest.approx({"us-east-1": 0.6 / 0.7, "eu-west-1": 0.75, "ap-southeast-1": 0.25})


# -- what it says of 10,000 payments per second


def test_standard_workflows_cannot_hold_ten_thousand_payments_and_express_can() -> None:
    """PAY-21; design trap 9: STANDARD starts 300 (or 150) executions per second, EXPRESS thousands."""
    found = planned()
    assert {one.region for one in found.workflows if one.type == "STANDARD" and not one.holds} == set(found.regions)
    assert all(one.holds for one in found.workflows if one.type == "EXPRESS")
    assert found.cost_by_workflow["STANDARD"] > 20 * found.cost_by_workflow["EXPRESS"]


def test_what_cannot_hold_by_default_is_said_plainly() -> None:
    """PAY-21: each quota that fails is a sentence with its numbers and what to do."""
    found = planned()
    told = report.findings(found)
    assert {one.quota for one in found.failing} >= {
        "lambda.concurrency",
        "api_gateway.requests",
        "dynamodb.new_table_write_units",
        "s3.puts_per_prefix",
    }
    for one in found.failing:
        assert any(one.title in line and one.remedy in line for line in told)
    assert any(line.startswith("Step Functions STANDARD cannot start 5,000 payments per second") for line in told)
    assert report.findings(planned(tps=1))[0].startswith("Nothing")


def test_event_quotas_differ_by_region() -> None:
    """PAY-21; design trap 8: what us-east-1 delivers is more than ap-southeast-1 does by default."""
    found = planned()
    here, there = (need(found, region, "eventbridge.invocations") for region in ("us-east-1", "ap-southeast-1"))
    assert here.default > 8 * there.default
    assert here.needed < 1.5 * here.default, "what is asked of AWS there is little"
    assert there.needed > 5 * there.default
    assert there.verdict is Verdict.RAISE


def test_verdict_follows_from_need_headroom_and_default() -> None:
    for one in planned().needs:
        assert (one.verdict is Verdict.RAISE) == (one.needed > one.default)
        assert (one.verdict is Verdict.HOLDS) == (one.raise_to == 0) == (one.remedy == "")
        assert one.raise_to == 0 or one.raise_to > one.default


# -- reports


def test_json_report_is_the_plan_and_its_totals() -> None:
    found = planned()
    document = json.loads(json.dumps(report.document(found)))
    assert document["tps"] == TPS
    assert document["usd_per_million"] == pytest.approx(found.usd_per_million)
    assert {one["verdict"] for one in document["needs"]} <= {"holds", "tight", "raise"}
    assert document["findings"] == report.findings(found)


def test_printed_report_names_every_function_and_failing_quota() -> None:
    found = planned()
    text = report.render(found, width=200)
    for spec in FUNCTIONS:
        assert spec.name in text
    for one in found.failing:
        assert one.title in text


def test_page_gives_every_source_and_every_assumption() -> None:
    text = report.markdown(planned(), FACTS)
    for fact in (*FACTS.quotas.values(), *FACTS.prices.values()):
        assert fact.source in text
    for one in FACTS.assumptions.values():
        assert one.title in text
        assert one.why in text


# -- data


def test_every_published_figure_has_a_source_a_page_and_a_date() -> None:
    """PAY-21: quotas and prices with source and date; none invented."""
    for fact in (*FACTS.quotas.values(), *FACTS.prices.values()):
        if fact.source == facts.NONE_FOUND:
            assert fact.at("us-east-1").assumed
            continue
        host = fact.url.split("/")[2]
        assert host.endswith(("aws.amazon.com", "repost.aws")), fact.id
        assert date(2026, 1, 1) <= fact.read <= date.today(), fact.id
        assert all(value > 0 for value in (fact.elsewhere, *fact.by_region.values())), fact.id


def test_a_figure_outside_of_its_source_is_assumed_and_shown_so() -> None:
    price = FACTS.price_usd("logs.gb", "ap-southeast-1"), FACTS.price_usd("logs.gb", "eu-west-1")
    assert price == (Value(0.70, False), Value(0.50, True))
    in_ireland = [one for one in planned().costs if one.region == "eu-west-1" and one.service == "EventBridge"]
    assert all(one.assumed for one in in_ireland)


def test_a_fact_without_source_must_say_that_none_was_found() -> None:
    raw = tomllib.loads(facts.FILE.read_text())
    entry = raw["price"]["lambda.request"]
    del entry["url"]
    with pytest.raises(FactError, match=r"lambda\.request"):
        facts.parse(raw)
    entry |= {"source": facts.NONE_FOUND, "url": "", "seen": ""}
    assert facts.parse(raw).price_usd("lambda.request", "us-east-1").assumed


# -- measurements


def counts(found: Measured) -> dict[str, Any]:
    """What is the same on every machine and for every number of payments: counts per payment."""
    return {
        f"{processor}/{name}": {
            "functions": {
                function: dict(use.calls) | {"invocations": use.invocations}
                for function, use in scenario.functions.items()
                if function != "publish_changes"
            },
            "per_payment": {
                quantity: value for quantity, value in scenario.per_payment.items() if "bytes" not in quantity
            },
        }
        for processor, scenarios in found.scenarios.items()
        for name, scenario in scenarios.items()
    }


def test_measured_counts_are_those_of_the_code_as_it_is() -> None:
    """PAY-21: measured, not estimated. When this fails, run `python -m rollout.capacity.measure`, then
    `python -m rollout.capacity` and take `--concurrency` into the production configuration."""
    run = subprocess.run(
        [sys.executable, "-m", "rollout.capacity.measure", "--print", "--payments", "10"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert counts(measured.parse(json.loads(run.stdout))) == counts(MEASURED)


def test_batches_were_measured_as_the_stream_delivers_them() -> None:
    mapping = Path("stacks/compute/changes.py").read_text()  # its imports take longer than all of this
    assert f"\nBATCH_SIZE = {MEASURED.batch_size}\n" in mapping
    assert MEASURED.batch_size == measure.BATCH_SIZE


def test_a_settled_payment_goes_through_every_step_once() -> None:
    settled = MEASURED.of("http")[SETTLED]
    for function in ("payments_api", "validate", "authorize", "capture", "issue_receipt", "complete"):
        assert settled.invocations(function) == 1
    assert settled.quantity("transitions") == 6
    assert settled.quantity("processor_requests") == 2
    assert READ in MEASURED.of("http")


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"a": {"S": "bc"}}, 3),
        ({"a": {"N": "1299"}}, 1 + 3),
        ({"a": {"BOOL": True}}, 2),
        ({"a": {"L": [{"S": "xy"}]}}, 1 + 3 + 1 + 2),
        ({"a": {"M": {"k": {"S": "v"}}}}, 1 + 3 + 1 + 1 + 1),
        ({"ä": {"S": "ö"}}, 4),
    ],
)
def test_items_are_sized_as_dynamodb_charges_them(item: dict[str, Any], size: int) -> None:
    assert measure.item_bytes(item) == size


# -- who is held to the model


def test_production_configuration_reserves_what_the_model_says() -> None:
    """PAY-03, PAY-21: reserved concurrency from the capacity model in production."""
    environment, wanted = command.production(ROOT)
    assert command.differences(environment, wanted) == []
    for region in environment.regions:
        assert environment.regions[region].functions.reserved_concurrency_by_function == wanted.reserved(region)


def test_production_configuration_is_protected_and_express() -> None:
    """PAY-16, PAY-21"""
    assert PRODUCTION.protection.production
    assert {settings.workflow.type for settings in PRODUCTION.regions.values()} == {"EXPRESS"}


def test_a_number_that_is_not_the_models_is_found_and_named() -> None:
    environment, wanted = command.production(ROOT)
    region = environment.regions["eu-west-1"]
    reserved = {**region.functions.reserved_concurrency_by_function, "capture": 7}
    functions = region.functions.model_copy(update={"reserved_concurrency_by_function": reserved})
    changed = environment.model_copy(
        update={"regions": {**environment.regions, "eu-west-1": region.model_copy(update={"functions": functions})}}
    )
    (line,) = command.differences(changed, wanted)
    assert line == f"eu-west-1: capture reserves 7; the model says {wanted.reserved('eu-west-1')['capture']}"


def test_printed_sections_are_those_of_the_production_configuration() -> None:
    _, wanted = command.production(ROOT)
    printed = tomllib.loads(command.sections(wanted))
    written = tomllib.loads(Path(command.CONFIG).read_text())
    key = "reserved_concurrency_by_function"
    assert printed["functions"][key] == written["functions"][key]
    assert printed["api"]["rate_limit"] == written["api"]["rate_limit"]


def test_capacity_page_is_fresh() -> None:
    """`python -m rollout.capacity` writes it."""
    _, wanted = command.production(ROOT)
    assert (ROOT / command.PAGE).read_text() == report.markdown(wanted, FACTS)
