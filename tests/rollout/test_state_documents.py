"""Locks and documents beside the states, in a bucket (moto): in the form and by the rules of Terraform's S3 backend."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from rollout.state import StateLock, StateStore
from rollout.target import Target
from shared.config import load
from shared.contracts import StackId
from shared.site import Site
from tests.rollout.support import AWS_CONFIG, write_config

STACK = StackId("network", "eu-west-1")
OURS = StateLock(STACK, "id-1", "me@here", "OperationTypeApply", "2025-01-02T03:04:05.123456Z")
THEIRS = replace(OURS, id="id-2", who="ann@there")


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield Target(load(write_config(tmp_path, AWS_CONFIG)))


@pytest.fixture
def store(tmp_path: Path, target: Target) -> StateStore:
    environment = load(tmp_path / "test.toml")
    # Not by the store: moto takes the policy that demands TLS for one that denies everything.
    for region in environment.regions:
        place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        target.client("s3", region).create_bucket(Bucket=Site(environment, region).state_bucket, **place)
    return StateStore(environment, target)


def test_a_lock_is_taken_once_named_to_others_and_given_back_by_its_holder_alone(store: StateStore) -> None:
    """LAY-06."""
    assert store.acquire(OURS) is None
    assert store.acquire(OURS) is None
    held = store.acquire(THEIRS)
    assert held is not None
    assert (held.id, held.who) == ("id-1", "me@here")
    store.release(THEIRS)
    assert store.lock(STACK) is not None
    store.release(OURS)
    assert store.lock(STACK) is None
    store.release(OURS)
    assert store.acquire(THEIRS) is None


def test_who_looks_while_the_lock_is_free_and_writes_too_late_is_refused(
    store: StateStore, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and writing somebody else was faster: the write is conditional."""
    s3 = target.client("s3", STACK.region)
    put = s3.put_object
    late: list[str] = []

    def faster(**request: Any) -> Any:
        if not late:
            late.append("once")
            StateStore.acquire(store, THEIRS)
        if "IfNoneMatch" in request and store.lock(STACK) is not None:
            raise ClientError({"Error": {"Code": "PreconditionFailed"}}, "PutObject")
        return put(**{name: value for name, value in request.items() if name != "IfNoneMatch"})

    monkeypatch.setattr(s3, "put_object", faster)
    held = store.acquire(OURS)
    assert held is not None
    assert held.id == "id-2"


def test_terraform_can_read_the_lock(store: StateStore, target: Target, tmp_path: Path) -> None:
    """statemgr.LockInfo; the time in RFC 3339, or Terraform could not name the holder."""
    store.acquire(OURS)
    bucket = Site(load(tmp_path / "test.toml"), STACK.region).state_bucket
    body = target.client("s3", STACK.region).get_object(Bucket=bucket, Key=f"{STACK}/terraform.tfstate.tflock")["Body"]
    assert json.loads(body.read()) == {
        "ID": "id-1", "Operation": "OperationTypeApply", "Info": "", "Who": "me@here", "Version": "",
        "Created": "2025-01-02T03:04:05.123456Z", "Path": f"{bucket}/{STACK}/terraform.tfstate",
    }  # fmt: skip


def test_a_document_lies_beside_the_state_and_is_no_stack(store: StateStore) -> None:
    assert store.read_document(STACK, "a.json") is None
    store.write_document(STACK, "a.json", b"{}")
    assert store.read_document(STACK, "a.json") == b"{}"
    assert store.strays([]) == {}
    store.delete_document(STACK, "a.json")
    store.delete_document(STACK, "a.json")
    assert store.read_document(STACK, "a.json") is None
