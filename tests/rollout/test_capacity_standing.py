"""What stands costs: counted by hand, off and on, by region, and every price from the facts."""

from __future__ import annotations

import copy
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from rollout.capacity import facts, measured, report, standing
from rollout.capacity.model import plan
from rollout.capacity.plan import CORE, CapacityPlan, StandingPart
from shared.capabilities import CAPABILITIES
from shared.config import Environment, load, parse

FACTS = facts.load()
CONFIGS = sorted(Path("config").glob("*.toml"))
OFF = tomllib.loads(Path("config/sandbox.toml").read_text())
ON = tomllib.loads(Path("config/sandbox-full.toml").read_text())


def changed(raw: dict[str, Any], **sections: Any) -> Environment:
    """A configuration with other sections: ``web={...}`` everywhere, ``eu_west_1={"web": {...}}`` in one region."""
    raw = copy.deepcopy(raw)
    for name, section in sections.items():
        region = name.replace("_", "-")
        if region in raw["regions"]:
            raw["regions"][region] |= section
        else:
            raw[name] = {**raw.get(name, {}), **section}
    return parse(raw, source="test")


def parts(environment: Environment) -> dict[str, StandingPart]:
    return {part.name: part for part in standing.of(environment, FACTS)}


def planned(environment: Environment) -> CapacityPlan:
    return plan(environment, 100, FACTS, measured.load())


# -- counted by hand


def test_the_core_costs_what_its_things_cost() -> None:
    """PAY-21: 2 keys, 3 endpoints in 3 zones, 108 alarm metrics and one composite, 2 dashboards, the health check with
    two options and its 1,314,000 requests; the zone in the primary region."""
    core = parts(changed(OFF))[CORE]
    requests = 730 * 3600 / 2 / 1e6 * (3.50 + 0.20)
    same = 2 * 1.00 + 108 * 0.10 + 0.50 + 2 * 3.00 + 0.50 + 2 * 1.00 + requests
    assert core.usd_in("us-east-1") == pytest.approx(same + 9 * 730 * 0.010 + 0.50)
    assert core.usd_in("eu-west-1") == pytest.approx(same + 9 * 730 * 0.011)
    assert core.usd_in("ap-southeast-1") == pytest.approx(same + 9 * 730 * 0.013)
    assert core.on


def test_options_of_the_core_are_paid_where_they_are_chosen() -> None:
    before = parts(changed(OFF))[CORE]
    after = parts(
        changed(
            OFF,
            eu_west_1={"network": {"nat_gateway": True}},
            us_east_1={"edge": {"waf": True}},
            ap_southeast_1={"workflow": {"type": "EXPRESS"}},
        )
    )[CORE]
    assert after.usd_in("eu-west-1") - before.usd_in("eu-west-1") == pytest.approx(730 * (0.048 + 0.005))
    assert after.usd_in("us-east-1") - before.usd_in("us-east-1") == pytest.approx(5.00 + 4 * 1.00)
    assert before.usd_in("ap-southeast-1") - after.usd_in("ap-southeast-1") == pytest.approx(0.10)


def test_a_fast_health_check_costs_an_option_and_asks_three_times_as_often() -> None:
    before, after = parts(changed(OFF))[CORE], parts(changed(OFF, edge={"health_interval_s": 10}))[CORE]
    requests = 730 * 3600 / 2 / 1e6 * (3.50 + 0.20)
    assert after.usd_in("eu-west-1") - before.usd_in("eu-west-1") == pytest.approx(1.00 + 2 * requests)


def test_a_zone_and_a_processor_key_that_exist_already_are_counted_once_and_per_region() -> None:
    aws = load(Path("config/example-aws.toml"))
    costs = parts(aws)[CORE].costs
    assert not [cost for cost in costs if cost.price == "route53.zone"]
    assert [cost.region for cost in costs if cost.price == "secrets.secret"] == list(aws.regions)


def test_the_relational_store_costs_its_minimum() -> None:
    """OPT-01: instances x minimum capacity x 730 hours."""
    stands = {
        cost.price: cost.usd_per_month
        for cost in parts(changed(ON))["relational"].costs
        if cost.region == "ap-southeast-1"
    }
    assert stands["aurora.acu_hour"] == pytest.approx(2 * 0.5 * 730 * 0.20)
    assert stands["aurora.storage_gb"] == pytest.approx(10 * 0.10)
    assert stands["kms.key"] == pytest.approx(1.00)


def test_the_web_tier_costs_its_balancer_addresses_and_instances() -> None:
    """OPT-02: one balancer with an address per zone, the least instances and their volumes."""
    web = parts(changed(ON, web={"instance_type": "t3.large", "min_instances": 2, "volume_gb": 20}))["web"]
    stands = {cost.price: cost.usd_per_month for cost in web.costs if cost.region == "eu-west-1"}
    assert stands["elb.alb_hour"] == pytest.approx(730 * 0.0252)
    assert stands["vpc.ipv4_hour"] == pytest.approx(3 * 730 * 0.005)
    assert stands["ec2.t3.large"] == pytest.approx(2 * 730 * 0.0912)
    assert stands["ebs.gp3_gb"] == pytest.approx(2 * 20 * 0.088)


def test_request_metrics_are_custom_metrics() -> None:
    """OPT-08: S3 bills them as such."""
    activity = parts(changed(ON))["activity"]
    (metrics,) = (cost for cost in activity.costs if cost.price == "cloudwatch.metric" and cost.region == "us-east-1")
    assert metrics.usd_per_month == pytest.approx(16 * 0.30)
    assert metrics.assumed


# -- off and on


def test_what_is_off_is_priced_and_not_summed() -> None:
    off, on = planned(changed(OFF)), planned(changed(ON))
    assert [part.name for part in off.standing] == [CORE, *CAPABILITIES]
    assert [part.name for part in off.standing if part.on] == [CORE]
    assert all(part.on for part in on.standing)
    for one, other in zip(off.standing, on.standing, strict=True):
        assert one.usd_per_month == pytest.approx(other.usd_per_month), one.name
    assert off.standing_usd_per_month == pytest.approx(off.standing[0].usd_per_month)
    assert on.standing_usd_per_month == pytest.approx(sum(part.usd_per_month for part in off.standing))


@pytest.mark.parametrize(
    ("name", "section", "price", "more"),
    [
        ("relational", {"min_acu": 2}, "aurora.acu_hour", 2 * 1.5 * 730 * 0.14),
        ("relational", {"instances": 3}, "aurora.acu_hour", 0.5 * 730 * 0.14),
        ("web", {"min_instances": 3}, "ec2.t3.micro", 2 * 730 * 0.0114),
        ("web", {"volume_gb": 108}, "ebs.gp3_gb", 100 * 0.088),
    ],
)
def test_an_override_is_paid_in_its_region_only(name: str, section: dict[str, Any], price: str, more: float) -> None:
    """PAY-01: region-specific overrides by configuration."""

    def costs(environment: Environment) -> dict[tuple[str, str, str], float]:
        return {
            (part.name, cost.region, cost.price): cost.usd_per_month
            for part in standing.of(environment, FACTS)
            for cost in part.costs
        }

    before, after = costs(changed(ON)), costs(changed(ON, eu_west_1={name: section}))
    assert after[name, "eu-west-1", price] - before[name, "eu-west-1", price] == pytest.approx(more)
    changes = {key for key in before if before[key] != pytest.approx(after[key])}
    assert {(part, region) for part, region, _ in changes} == {(name, "eu-west-1")}


@pytest.mark.parametrize("raw", [OFF, ON], ids=["off", "on"])
def test_an_instance_type_without_a_price_is_refused_in_one_line(raw: dict[str, Any]) -> None:
    """OPT-02"""
    with pytest.raises(standing.InstanceTypeError) as refusal:
        standing.of(changed(raw, eu_west_1={"web": {"instance_type": "c7g.large"}}), FACTS)
    line = str(refusal.value)
    assert "\n" not in line
    for part in ("eu-west-1", "web.instance_type c7g.large", "facts.toml", "t3.micro, t3.small"):
        assert part in line


# -- facts


def test_every_price_that_is_used_is_in_the_facts_and_has_a_unit_that_is_understood() -> None:
    used = set(re.findall(r'Piece\("([a-z0-9_.]+)"', Path(standing.__file__).read_text()))
    used |= {cost.price for path in CONFIGS for part in standing.of(load(path), FACTS) for cost in part.costs}
    assert used <= set(FACTS.prices)
    assert {FACTS.prices[price].unit for price in used} <= {
        "USD per month",
        "USD per hour",
        "USD per GB-month",
        "USD per million",
    }


def test_every_price_in_the_facts_is_used() -> None:
    """What nobody computes with, nobody keeps up to date."""
    code = Path(standing.__file__).read_text() + Path("rollout/capacity/costs.py").read_text()
    used = {price for price in FACTS.prices if f'"{price}"' in code or price.startswith("ec2.")}
    assert used == set(FACTS.prices)


# -- reports


def test_document_sums_up_by_region_and_over_all() -> None:
    environment = changed(ON, relational={"enabled": True, "min_acu": 1})
    document = json.loads(json.dumps(report.document(planned(environment))))
    for part in document["standing"]:
        assert sum(part["usd_by_region"].values()) == pytest.approx(part["usd_per_month"])
        assert sum(cost["usd_per_month"] for cost in part["costs"]) == pytest.approx(part["usd_per_month"])
        assert part["by_use"]
    on = sum(part["usd_per_month"] for part in document["standing"] if part["on"])
    assert document["standing_usd_per_month"] == pytest.approx(on)


@pytest.mark.parametrize("raw", [OFF, ON], ids=["off", "on"])
def test_table_has_a_row_for_each_part_and_says_which_are_off(raw: dict[str, Any]) -> None:
    found = planned(changed(raw))
    text = report.render(found, width=200)
    (table,) = re.findall(r"^Standing cost per month.*?(?=^What stands)", text, re.DOTALL | re.MULTILINE)
    rows = {line.split()[0]: line for line in table.splitlines()[4:] if line.strip()}
    assert set(rows) == {CORE, *CAPABILITIES, "all"}
    for name in CAPABILITIES:
        assert ("off: if it were on" in rows[name]) is (name not in found_on(found))
    assert f"{found.standing_usd_per_month:,.2f}" in rows["all"]
    for part in found.standing:
        assert part.by_use in text


def found_on(found: CapacityPlan) -> set[str]:
    return {part.name for part in found.standing if part.on}


def test_page_shows_what_stands_and_every_column_is_a_region() -> None:
    found = planned(changed(ON))
    text = report.markdown(found, FACTS)
    assert "| part | state | us-east-1 | eu-west-1 | ap-southeast-1 | together |" in text
    for part in found.standing:
        assert f"- {part.name}: {part.by_use}" in text
