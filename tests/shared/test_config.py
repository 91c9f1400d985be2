"""Wrong configuration is refused in one line that names the field, the value and what is allowed."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shared.config import ConfigError, known_regions, load, parse

CONFIGS = sorted(Path("config").glob("*.toml"))
SANDBOX = tomllib.loads(Path("config/sandbox.toml").read_text())
ALONE = {"regions": {"us-east-1": {"primary": True, "cidr": "10.10.0.0/16"}}}


def refused(change: dict[str, Any]) -> str:
    """The line with which the sandbox's configuration is refused after a change (dotted key -> value)."""
    raw = copy.deepcopy(SANDBOX)
    for key, value in change.items():
        *path, last = key.split("/")
        section = raw
        for part in path:
            section = section.setdefault(part, {})
        if value is ...:
            del section[last]
        else:
            section[last] = value
    with pytest.raises(ConfigError) as refusal:
        parse(raw, source="test.toml")
    return str(refusal.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_shipped_configuration_is_accepted(path: Path) -> None:
    """PAY-01: the set of regions is configuration."""
    assert load(path).primary in load(path).regions


@pytest.mark.parametrize(
    ("change", "field", "value", "allowed"),
    [
        ({"suffix": "Prod"}, "suffix", "'Prod'", "must match"),
        ({"suffix": "a-much-too-long-suffix"}, "suffix", "'a-much-too-long-suffix'", "at most 12 characters"),
        ({"suffix": 7}, "suffix", "7", "string"),
        ({"colour": "red"}, "colour", "'red'", "is not a known key"),
        ({"functions/memory": 1}, "regions.us-east-1.functions.memory", "1", "is not a known key"),
        ({"functions/memory_mb": "3072"}, "functions.memory_mb", "'3072'", "integer"),
        ({"functions/timeout_s": 901}, "functions.timeout_s", "901", "900"),
        ({"functions/reserved_concurrency": 0}, "functions.reserved_concurrency", "0", "greater than or equal to 1"),
        (
            {"functions/reserved_concurrency_by_function": {"paymentsapi": 9}},
            "functions.reserved_concurrency_by_function",
            "paymentsapi = 9",
            "authorize, capture",
        ),
        (
            {"functions/reserved_concurrency_by_function": {"capture": 0}},
            "functions.reserved_concurrency_by_function.capture",
            "0",
            "greater than or equal to 1",
        ),
        ({"regions/us-east-1/cidr": "10.10.0.0/15"}, "regions.us-east-1.cidr", "'10.10.0.0/15'", "/16 to /20"),
        ({"regions/us-east-1/cidr": "10.10.0.0/21"}, "regions.us-east-1.cidr", "'10.10.0.0/21'", "/16 to /20"),
        ({"regions/us-east-1/cidr": "10.10.1.0/16"}, "regions.us-east-1.cidr", "'10.10.1.0/16'", "/16 to /20"),
        ({"regions/us-east-1/cidr": "8.8.0.0/16"}, "regions.us-east-1.cidr", "'8.8.0.0/16'", "private"),
        ({"regions/us-east-1/cidr": "127.0.0.0/16"}, "regions.us-east-1.cidr", "'127.0.0.0/16'", "10.0.0.0/8"),
        ({"regions/us-east-1/cidr": ...}, "regions.us-east-1.cidr", "", "is required"),
        ({"regions/eu-west-1/cidr": "10.10.0.0/16"}, "regions", "us-east-1 and eu-west-1", "must not overlap"),
        ({"regions/mars-north-1": {"cidr": "10.99.0.0/16"}}, "regions", "'mars-north-1'", "eu-central-1"),
        ({"regions/us-east-1/primary": False}, "regions", "found none", "exactly one region"),
        ({"regions/eu-west-1/primary": True}, "regions", "us-east-1 and eu-west-1", "exactly one region"),
        ({"regions": {}}, "regions", "", "at least 1"),
        ({**ALONE, "protection/production": True}, "protection.production", "us-east-1 alone", "two regions or more"),
        ({**ALONE, "assets/enabled": True}, "assets.enabled", "us-east-1 alone", "two regions or more"),
        ({"target/kind": "azure"}, "target.kind", "'azure'", "'sandbox' or 'aws'"),
        ({"target/account_id": "123"}, "target.account_id", "'123'", "must match"),
        ({"target/endpoint": "http://203.0.113.7:4566"}, "target.endpoint", "203.0.113.7", "127"),
        ({"target/kind": "aws"}, "target", "", "only when kind is 'sandbox'"),
        (
            {"target/kind": "aws", "target/endpoint": ..., "target/enforce_iam": True},
            "target",
            "",
            "an AWS account always does",
        ),
        ({"processor/kind": "http"}, "processor", "", "url and secret_name are required"),
        ({"domain/name": "-bad-.test"}, "domain.name", "'-bad-.test'", "must match"),
        ({"project/owner": "a\nb"}, "project.owner", "a\\nb", "must match"),
        ({"project/name": "Tri$(id)"}, "project.name", "'Tri$(id)'", "must match"),
        ({"logs/retention_days": 8}, "logs.retention_days", "8", "7"),
        ({"failover/down_after_s": 60}, "failover.down_after_s", "60", "greater than or equal to 90"),
        ({"failover/stale_after_s": 240}, "failover.stale_after_s", "240", "greater than or equal to 250"),
        ({"failover/stale_after_s": "300"}, "failover.stale_after_s", "'300'", "integer"),
        ({"alarms/open_payment_s": 0}, "alarms.open_payment_s", "0", "greater than or equal to 60"),
    ],
)
def test_refusal_names_field_value_and_what_is_allowed(
    change: dict[str, Any], field: str, value: str, allowed: str
) -> None:
    line = refused(change)
    assert line.startswith("test.toml: ")
    assert "\n" not in line
    for part in (field, value, allowed):
        assert part in line


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("10.50.0.0/16", "10.50.0.0/16"),
        ("10.50.0.0/16", "10.50.240.0/20"),
        ("172.16.32.0/20", "172.16.0.0/18"),
        ("192.168.0.0/17", "192.168.0.0/20"),
    ],
)
def test_overlapping_blocks_are_refused_by_their_regions(first: str, second: str) -> None:
    """PAY-17: no two regions' blocks overlap, whatever their sizes."""
    line = refused({"regions/eu-west-1/cidr": first, "regions/ap-southeast-1/cidr": second})
    assert line.startswith("test.toml: ")
    assert "\n" not in line
    assert f"eu-west-1 and ap-southeast-1 have cidr {first} and {second}; blocks must not overlap" in line


def test_neighbouring_blocks_of_any_size_are_accepted() -> None:
    """PAY-17"""
    raw = copy.deepcopy(SANDBOX)
    neighbours = ("10.10.0.0/17", "10.10.128.0/18", "10.10.192.0/20")
    for region, cidr in zip(raw["regions"], neighbours, strict=True):
        raw["regions"][region]["cidr"] = cidr
    assert tuple(one.cidr for one in parse(raw, source="test.toml").regions.values()) == neighbours


def test_reference_trio_is_its_three_regions() -> None:
    """PAY-01: two regions of one continent and one of another."""
    trio = load(Path("config/reference-trio.toml"))
    assert list(trio.regions) == ["us-east-1", "us-east-2", "eu-west-1"]
    assert trio.primary == "us-east-1"
    assert trio.suffix not in {load(path).suffix for path in CONFIGS if path.name != "reference-trio.toml"}


def test_regional_override_changes_one_key_of_one_region() -> None:
    """PAY-01: region-specific overrides by configuration."""
    raw = copy.deepcopy(SANDBOX)
    raw["functions"] = {"memory_mb": 512, "reserved_concurrency": 4}
    raw["regions"]["eu-west-1"]["functions"] = {"reserved_concurrency": 1}
    environment = parse(raw, source="test.toml")
    assert environment.regions["eu-west-1"].functions.reserved_concurrency == 1
    assert environment.regions["eu-west-1"].functions.memory_mb == 512
    assert environment.regions["us-east-1"].functions.reserved_concurrency == 4


def test_single_functions_reserve_their_own_concurrency_in_one_region() -> None:
    """PAY-03, PAY-21: from the capacity model, per region and function; the rest reserve the common number."""
    raw = copy.deepcopy(SANDBOX)
    raw["functions"] = {"reserved_concurrency": 4, "reserved_concurrency_by_function": {"capture": 30}}
    raw["regions"]["eu-west-1"]["functions"] = {"reserved_concurrency_by_function": {"authorize": 50}}
    environment = parse(raw, source="test.toml")
    in_ireland = environment.regions["eu-west-1"].functions
    in_virginia = environment.regions["us-east-1"].functions
    assert [in_ireland.concurrency_of(name) for name in ("authorize", "capture", "validate")] == [50, 30, 4]
    assert [in_virginia.concurrency_of(name) for name in ("authorize", "capture", "validate")] == [4, 30, 4]


def test_defaults_of_functions_are_those_required() -> None:
    """PAY-03: 3,072 MB and 900 s by default."""
    functions = parse(SANDBOX, source="test.toml").regions["us-east-1"].functions
    assert (functions.memory_mb, functions.timeout_s) == (3072, 900)
    assert 1 <= functions.reserved_concurrency <= 5


def test_missing_file_and_bad_toml_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such configuration file"):
        load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("a = [")
    with pytest.raises(ConfigError, match="not valid TOML") as refusal:
        load(broken)
    assert "\n" not in str(refusal.value)


def test_the_regions_are_those_that_botocore_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    import botocore.session

    monkeypatch.delenv("AWS_PROFILE", raising=False)  # its session would look for that
    assert known_regions() == set(botocore.session.get_session().get_available_regions("dynamodb"))
