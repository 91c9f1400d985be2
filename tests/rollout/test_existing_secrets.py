"""The entries that a configuration takes for granted are made up in the sandbox, and never in an account."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any, cast

import pytest

from rollout.sandbox.existing_secrets import make_up_secrets
from rollout.target import Target
from shared.config import Environment, parse

NAME = "tripoint/relational-master-password"


def environment(file: str = "sandbox-full.toml", **sections: Any) -> Environment:
    return parse({**tomllib.loads((Path("config") / file).read_text()), **sections}, source="test")


class Entries:
    """Secrets Manager of one region."""

    class exceptions:  # noqa: N801
        class ResourceExistsException(Exception):  # noqa: N818
            pass

    def __init__(self) -> None:
        self.entries: dict[str, str] = {}

    def create_secret(self, *, Name: str, SecretString: str) -> None:  # noqa: N803
        if Name in self.entries:
            raise self.exceptions.ResourceExistsException
        self.entries[Name] = SecretString


class Regions:
    def __init__(self) -> None:
        self.found: dict[str, Entries] = {}

    def client(self, service: str, region: str) -> Entries:
        assert service == "secretsmanager"
        return self.found.setdefault(region, Entries())


def make_up(found: Environment, regions: Regions) -> list[str]:
    return make_up_secrets(found, cast(Target, regions))


def test_the_master_password_is_made_once_and_in_the_primary_region() -> None:
    """OPT-01: an existing secret; only the primary's cluster takes it. What is there stays."""
    regions = Regions()
    assert make_up(environment(), regions) == [NAME]
    assert set(regions.found) == {"us-east-1"}
    (text,) = regions.found["us-east-1"].entries.values()
    credential = json.loads(text)
    assert credential["username"] == "admin"
    # Aurora takes 8 to 41 printable characters but / ' " and @.
    assert 8 <= len(credential["password"]) <= 41
    assert not set("/'\"@ ") & set(credential["password"])
    assert make_up(environment(), regions) == []
    assert regions.found["us-east-1"].entries == {NAME: text}


def test_passwords_are_random() -> None:
    """OPT-01: never in code."""
    texts = set()
    for _ in range(3):
        regions = Regions()
        make_up(environment(), regions)
        texts |= set(regions.found["us-east-1"].entries.values())
    assert len(texts) == 3


def test_without_the_capability_nothing_is_made() -> None:
    """OPT-01: off by default."""
    regions = Regions()
    assert make_up(environment("sandbox.toml"), regions) == []
    assert not regions.found


def test_an_account_is_never_touched() -> None:
    """PAY-18: on AWS the entries are somebody's."""
    account = environment(target={"kind": "aws", "account_id": "123456789012"})
    regions = Regions()
    with pytest.raises(ValueError, match="its secrets are its own"):
        make_up(account, regions)
    assert not regions.found
