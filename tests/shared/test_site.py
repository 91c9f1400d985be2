"""Names fit the services' limits for every environment that the configuration admits."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from shared.config import known_regions, parse
from shared.site import NameTooLongError, Site

RAW = tomllib.loads(Path("config/sandbox.toml").read_text())


def longest() -> Site:
    region = max(known_regions(), key=len)
    raw = {
        **RAW,
        "suffix": "a23456789012",
        "project": {**RAW["project"], "name": "a23456789012"},
        "regions": {region: {"primary": True, "cidr": "10.1.0.0/16"}, "us-east-1": {"cidr": "10.2.0.0/16"}},
    }
    return Site(parse(raw, source="test.toml"), region)


def test_bucket_names_fit_for_the_longest_project_region_and_suffix() -> None:
    """PAY-15: bucket names carry account, region and suffix within 63 characters."""
    site = longest()
    for thing in ("receipts", "logs"):
        name = site.bucket_name(thing)
        assert name.endswith(site.environment.suffix)
        assert site.region in name
        assert site.account_id in name


def test_role_names_fit_for_the_longest_function() -> None:
    """PAY-15: IAM is global, so role names carry the region within 64 characters."""
    from functions.catalogue import FUNCTIONS

    for function in FUNCTIONS:
        longest().role_name(function.name.replace("_", "-"))


def test_too_long_a_name_is_refused() -> None:
    with pytest.raises(NameTooLongError, match="at most 63 are allowed"):
        longest().bucket_name("x" * 40)


def test_same_thing_has_the_same_regional_name_everywhere() -> None:
    """PAY-09: a dashboard of one region can point at the others."""
    site = longest()
    assert site.name("payments") == site.at("us-east-1").name("payments")
    assert site.role_name("api") != site.at("us-east-1").role_name("api")
