"""The flat outputs and the state that they come from (PAY-20, LAY-06)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from rollout import outputs
from rollout.outputs import OutputMissingError
from rollout.state import DeployedStack, StateError, StateStore, parse_lock, parse_state
from rollout.target import Target, TargetError
from shared.config import Environment, load
from shared.contracts import StackId
from shared.errors import UsageError
from shared.site import Site, state_key
from tests.rollout.support import AWS_CONFIG, write_config

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
NETWORK = StackId("network", "eu-west-1")
REGIONS = ("us-east-1", "eu-west-1")


def state(resources: int = 0, **values: Any) -> bytes:
    managed = {"mode": "managed", "type": "a", "instances": [{}] * resources}
    return json.dumps(
        {
            "version": 4,
            "serial": 7,
            "terraform_version": "1.11.4",
            "outputs": {name: {"value": value, "type": "string"} for name, value in values.items()},
            "resources": [managed, {"mode": "data", "type": "b", "instances": [{}]}] if resources else [],
        }
    ).encode()


def deployed(stack: StackId, **values: Any) -> DeployedStack:
    return parse_state(stack, state(1, **values), NOW)


def test_outputs_are_flat_sorted_and_keep_lists() -> None:
    """PAY-20."""
    flat = outputs.flatten(
        [deployed(NETWORK, vpc_id="vpc-1", subnets=["a", "b"]), deployed(StackId("edge", "us-east-1"), api_url="u")]
    )
    assert list(flat.items()) == [
        ("edge-us-east-1.api_url", "u"),
        ("network-eu-west-1.subnets", ["a", "b"]),
        ("network-eu-west-1.vpc_id", "vpc-1"),
    ]


def test_the_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "cfn-outputs" / "flat-outputs.json"
    outputs.write(path, {"a": "1"})
    outputs.write(path, {"b": "2"})
    assert json.loads(path.read_text()) == {"b": "2"}
    assert [entry.name for entry in path.parent.iterdir()] == ["flat-outputs.json"]


def test_a_missing_address_says_what_to_do() -> None:
    with pytest.raises(OutputMissingError, match=r"^edge-eu-west-1 is not deployed.*; run: tripoint rollout$"):
        outputs.api_url({}, "eu-west-1")
    assert outputs.api_url({"edge-eu-west-1.api_url": "http://x/"}, "eu-west-1") == "http://x"


def test_a_state_counts_managed_resources_only() -> None:
    found = parse_state(NETWORK, state(3, vpc_id="vpc-1"), NOW)
    assert (found.resources, found.serial, found.outputs) == (3, 7, {"vpc_id": "vpc-1"})
    assert found.is_deployed


def test_a_destroyed_stack_is_not_deployed() -> None:
    assert not parse_state(NETWORK, state(), NOW).is_deployed


def test_something_else_in_the_states_place_is_named() -> None:
    with pytest.raises(StateError, match=r"^state of network-eu-west-1 is not a Terraform state"):
        parse_state(NETWORK, b"[]", NOW)


def test_a_lock_says_who_holds_it_and_how_to_release_it() -> None:
    body = {"ID": "abc-1", "Who": "ann@host", "Operation": "OperationTypeApply", "Created": "2025-01-02T03:04:05.6Z"}
    lock = parse_lock(NETWORK, json.dumps(body).encode())
    assert str(lock) == (
        "network-eu-west-1: state is locked by ann@host since 2025-01-02T03:04:05 (apply, lock id abc-1)"
    )
    assert lock.remedy == "if that run is dead, release it with: tripoint unlock network-eu-west-1 --id abc-1"


def test_an_unreadable_lock_is_still_a_lock() -> None:
    assert parse_lock(NETWORK, b"?").who == "somebody unknown"
    odd = parse_lock(NETWORK, json.dumps({"ID": "a b; rm -rf /", "Who": "eve\n  elsewhere"}).encode())
    assert odd.who == "eve elsewhere"
    assert odd.remedy.endswith("tripoint unlock network-eu-west-1 --id 'a b; rm -rf /'")


# -- against S3 (moto) -----------------------------------------------------------------------------


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    text = AWS_CONFIG.replace("000000000000", "123456789012")
    return load(write_config(tmp_path, text))


@pytest.fixture
def store(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> Iterator[StateStore]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield StateStore(environment, Target(environment))


def bucket(environment: Environment, region: str) -> str:
    return Site(environment, region).state_bucket


def make_buckets(environment: Environment, store: StateStore) -> None:
    """Make the buckets, less their policies: moto denies everything then, because it doesn't evaluate conditions."""
    store.create_buckets()
    for region in REGIONS:
        boto3.client("s3", region).delete_bucket_policy(Bucket=bucket(environment, region))


def test_every_region_gets_a_closed_versioned_encrypted_bucket_of_its_own(
    environment: Environment, store: StateStore
) -> None:
    """LAY-06, PAY-14, PAY-19."""
    assert store.create_buckets() == [bucket(environment, region) for region in REGIONS]
    for region in REGIONS:
        name, s3 = bucket(environment, region), boto3.client("s3", region)
        assert (s3.get_bucket_location(Bucket=name)["LocationConstraint"] or "us-east-1") == region
        assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
        [rule] = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert all(s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"].values())
        [statement] = json.loads(s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
        assert statement["Effect"] == "Deny"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        tags = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
        assert {"Environment", "Region", "CostCenter"} <= tags.keys()
        assert tags["Region"] == region


def test_making_the_buckets_again_changes_nothing(store: StateStore) -> None:
    """LAY-06."""
    store.create_buckets()
    assert store.create_buckets() == []


def test_removing_takes_every_version_along(environment: Environment, store: StateStore) -> None:
    """PAY-16: nothing remains."""
    make_buckets(environment, store)
    s3, name = boto3.client("s3", "eu-west-1"), bucket(environment, "eu-west-1")
    for body in (b"1", b"2"):
        s3.put_object(Bucket=name, Key="x", Body=body)
    s3.delete_object(Bucket=name, Key="x")
    assert len(store.remove_buckets()) == len(REGIONS)
    assert s3.list_buckets()["Buckets"] == []
    assert store.remove_buckets() == []


def test_the_states_of_production_are_never_removed(environment: Environment, store: StateStore) -> None:
    """PAY-16."""
    store.create_buckets()
    kept = environment.model_copy(update={"protection": environment.protection.model_copy(update={"production": True})})
    with pytest.raises(StateError, match="never removed"):
        StateStore(kept, Target(kept)).remove_buckets()
    assert len(boto3.client("s3", "us-east-1").list_buckets()["Buckets"]) == len(REGIONS)


def test_what_is_deployed_is_read_from_the_states(environment: Environment, store: StateStore) -> None:
    other, never = StackId("data", "us-east-1"), StackId("edge", "us-east-1")
    make_buckets(environment, store)
    for stack, body in ((NETWORK, state(2, vpc_id="vpc-1")), (other, state())):
        boto3.client("s3", stack.region).put_object(
            Bucket=bucket(environment, stack.region), Key=state_key(str(stack)), Body=body
        )
    assert list(store.deployed([other, NETWORK, never])) == [NETWORK]


def test_without_buckets_nothing_is_deployed(store: StateStore) -> None:
    assert store.deployed([NETWORK]) == {}
    assert store.locks([NETWORK]) == []


def test_only_the_lock_that_was_named_is_released(environment: Environment, store: StateStore) -> None:
    make_buckets(environment, store)
    with pytest.raises(UsageError, match="network-eu-west-1 is not locked"):
        store.unlock(NETWORK, "abc")
    boto3.client("s3", "eu-west-1").put_object(
        Bucket=bucket(environment, "eu-west-1"),
        Key=f"{state_key(str(NETWORK))}.tflock",
        Body=json.dumps({"ID": "abc", "Who": "ann@host"}),
    )
    with pytest.raises(UsageError, match="locked with id 'abc', not 'abd'; held by ann@host"):
        store.unlock(NETWORK, "abd")
    assert store.lock(NETWORK) is not None
    assert store.unlock(NETWORK, "abc").who == "ann@host"
    assert store.lock(NETWORK) is None


@pytest.mark.usefixtures("store")
def test_credentials_of_another_account_are_refused(environment: Environment) -> None:
    Target(environment).verify_account()
    other = environment.model_copy(
        update={"target": environment.target.model_copy(update={"account_id": "210987654321"})}
    )
    with pytest.raises(TargetError) as caught:
        Target(other).verify_account()
    assert str(caught.value) == (
        "the AWS credentials belong to account 123456789012; the configuration's target.account_id is 210987654321"
    )


def test_a_sandbox_never_sees_the_users_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "real")
    target = Target(load(write_config(tmp_path, port=20001)))
    variables = target.child_environment()
    assert "real" not in variables.values()
    assert "AWS_PROFILE" not in variables
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:20001"
    # AWS_PROFILE names a profile that doesn't exist: boto3 itself would stumble over it.
    client = target.client("s3", "eu-west-1")
    assert client.meta.endpoint_url == "http://127.0.0.1:20001"
