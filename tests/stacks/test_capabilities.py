"""Capabilities add to the platform and change nothing of it; switched off they leave no trace."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from rollout.capacity import facts, standing
from shared.capabilities import CAPABILITIES
from shared.config import ConfigError, parse
from stacks.catalogue import STACKS, graph_of
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized
from tests.stacks.counting import counted, declared

SANDBOX = tomllib.loads(Path("config/sandbox.toml").read_text())
FULL = tomllib.loads(Path("config/sandbox-full.toml").read_text())
REGIONS = ("us-east-1", "eu-west-1")
CORE_RESOURCES = Path("tests/stacks/core_resources.txt")

# What a capability may change of the core, by type and attribute: lists that grow.
DASHBOARD = ("aws_cloudwatch_dashboard", "dashboard_body")
CHANGES: dict[str, set[tuple[str, str]]] = {
    # Auto Scaling encrypts volumes with the region's key.
    "web": {DASHBOARD, ("aws_kms_key", "policy")},
    # One more route is one more deployment of the API; the functions reach one more path of S3.
    "processing": {
        DASHBOARD,
        ("aws_api_gateway_deployment", "depends_on"),
        ("aws_api_gateway_deployment", "triggers"),
        ("aws_vpc_endpoint", "policy"),
    },
    # The bucket of access logs admits more buckets.
    "audit": {DASHBOARD, ("aws_s3_bucket_policy", "policy")},
}


def configuration(*on: str) -> dict[str, Any]:
    """The sandbox in two regions, with these capabilities as `config/sandbox-full.toml` has them."""
    regions = {region: SANDBOX["regions"][region] for region in REGIONS}
    return {**SANDBOX, "regions": regions, **{name: FULL[name] for name in on}}


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Synthesized]:
    @cache
    def of(*on: str) -> Synthesized:
        environment = parse(configuration(*on), source="test")
        out = tmp_path_factory.mktemp("-".join(on) or "core")
        synthesize(environment, out=out, functions=Path(".tripoint/functions"))
        return Synthesized(environment, out)

    return of


def resources(found: Synthesized) -> dict[tuple[str, str, str], dict[str, Any]]:
    """(stack, type, name) -> resource."""
    # "//" is what the CDK and scanners note beside a resource; Terraform does not read it.
    return {
        (stack, type, name): {key: value for key, value in resource.items() if key != "//"}
        for stack, type, name, resource in found.everything()
    }


def test_full_configuration_switches_every_capability_on_and_the_others_none() -> None:
    """OPT-01 to OPT-06: off by default, on by one line each."""
    assert {name for name in CAPABILITIES if FULL[name]["enabled"]} == set(CAPABILITIES)
    for path in Path("config").glob("*.toml"):
        on = parse(tomllib.loads(path.read_text()), source=path.name).capabilities
        assert on == (set(CAPABILITIES) if path.name == "sandbox-full.toml" else set()), path


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_capability_alone_costs_what_the_cost_model_says(
    synthesized: Callable[..., Synthesized], capability: str
) -> None:
    """PAY-21: it keeps in each region as many keys, alarms and the like as `rollout/capacity/standing.py` counts."""
    found, prices = synthesized(capability), facts.load()
    parts = [part for part in standing.of(found.environment, prices) if part.on]
    assert [part.name for part in parts] == [standing.CORE, capability]
    for region in found.environment.regions:
        assert declared(parts, region) == counted(found, region, prices), region


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_capability_alone_adds_to_the_core_and_changes_nothing_of_it(
    synthesized: Callable[..., Synthesized], capability: str
) -> None:
    """Each works without the others, and what the core is does not depend on any."""
    core, more = resources(synthesized()), resources(synthesized(capability))
    assert set(core) <= set(more)
    assert len(more) > len(core)
    allowed = CHANGES.get(capability, {DASHBOARD})
    for key, resource in core.items():
        changed = {name for name in resource.keys() | more[key].keys() if resource.get(name) != more[key].get(name)}
        assert not {name for name in changed if (key[1], name) not in allowed}, key


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_grown_list_keeps_what_it_had(synthesized: Callable[..., Synthesized], capability: str) -> None:
    """PAY-06: a capability takes nothing from anybody: of the policies that it changes nothing is missing."""
    core, more = resources(synthesized()), resources(synthesized(capability))
    for key, resource in core.items():
        for type, name in CHANGES.get(capability, {DASHBOARD}):
            if key[1] != type or resource.get(name) == more[key].get(name):
                continue
            if type == "aws_api_gateway_deployment":
                assert set(resource[name]) <= set(more[key][name])
                continue
            before, after = (json.loads(found[key][name]) for found in (core, more))
            part = "Statement" if name == "policy" else "widgets"
            if type == "aws_kms_key":
                assert [entry for entry in before[part] if entry not in after[part]] == []
            assert len(after[part]) >= len(before[part])


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_contracts_of_a_capability_are_there_only_with_it(
    synthesized: Callable[..., Synthesized], capability: str
) -> None:
    """LAY-02: outputs and stacks come and go with the capability, those of the core stay."""
    core, more = synthesized(), synthesized(capability)
    assert set(core.stacks) <= set(more.stacks)
    for stack in core.stacks:
        name = stack.removesuffix(f"-{next(region for region in REGIONS if stack.endswith(region))}")
        spec = next(spec for spec in STACKS if spec.name == name)
        assert set(core.stack(stack)["output"]) == set(spec.outputs(()))
        assert set(more.stack(stack)["output"]) == set(spec.outputs({capability}))


def test_core_has_exactly_the_resources_that_are_written_down(synthesized: Callable[..., Synthesized]) -> None:
    """The core as a list to review: `tests/stacks/core_resources.txt` changes only when the core is meant to.

    To write it anew after such a change, delete it and run this test twice.
    """
    found = "".join(f"{' '.join(key)}\n" for key in sorted(resources(synthesized())))
    if not CORE_RESOURCES.exists():
        CORE_RESOURCES.write_text(found)
        pytest.fail(f"{CORE_RESOURCES} was missing and has been written; look at it and run the tests again")
    assert found == CORE_RESOURCES.read_text()


def test_graph_of_the_core_does_not_know_of_capabilities() -> None:
    """LAY-04: a stack waits for no more than it did, unless a capability reads more."""
    core = graph_of(parse(configuration(), source="test"))
    full = graph_of(parse(configuration(*CAPABILITIES), source="test"))
    assert set(core.order) <= set(full.order)
    for stack, needs in core.needs.items():
        assert set(needs) <= set(full.needs[stack])


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_capability_is_on_everywhere_or_nowhere(capability: str) -> None:
    """What spans regions has no half: one line names the capability and the regions where it is off."""
    raw = configuration(capability)
    raw["regions"] = {**raw["regions"], "eu-west-1": {**raw["regions"]["eu-west-1"], capability: {"enabled": False}}}
    wanted = re.escape(f"{capability}.enabled must be the same in every region; it is false in eu-west-1")
    with pytest.raises(ConfigError, match=wanted):
        parse(raw, source="test")


def test_two_capabilities_cannot_have_one_name() -> None:
    raw = configuration("web", "assets")
    raw["web"] = {**raw["web"], "subdomain": "assets"}
    with pytest.raises(ConfigError, match=r"web.subdomain and assets.subdomain are both 'assets' in us-east-1"):
        parse(raw, source="test")
