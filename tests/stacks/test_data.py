"""The data layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

from functions.catalogue import OPEN_PAYMENTS_INDEX
from tests.stacks.conftest import Synthesized


def global_tables(found: Synthesized, region: str) -> dict[str, dict[str, Any]]:
    """The global tables that a region's stack owns, by name."""
    tables = found.resources(f"data-{region}", "aws_dynamodb_table").values()
    return {table["name"]: table for table in tables if "-vault-" not in table["name"]}


def key_named(found: Synthesized, thing: str) -> str:
    """The Terraform name of the key with this alias."""
    (name,) = [
        name
        for name, key in found.resources("data-us-east-1", "aws_kms_key").items()
        if key["tags"]["Name"].startswith(f"tripoint-{thing}-")
    ]
    return name


def test_key_rotates_and_its_policy_names_services_and_actions(sandbox: Synthesized) -> None:
    """PAY-06: one KMS key per region with automatic rotation; the policy admits named services only."""
    for region in sandbox.environment.regions:
        for key in sandbox.resources(f"data-{region}", "aws_kms_key").values():
            assert key["enable_key_rotation"] is True
            for statement in json.loads(key["policy"])["Statement"]:
                assert statement["Principal"] != "*"
                if "Service" in statement["Principal"]:
                    assert statement["Condition"]


def test_primary_owns_the_table_and_the_others_replicate_with_their_own_key(sandbox: Synthesized) -> None:
    """PAY-02: on demand, point-in-time recovery and the region's own key in every replica, streams on."""
    owners = global_tables(sandbox, "us-east-1")
    assert set(owners) == {"tripoint-payments-sandbox", "tripoint-sessions-sandbox", "tripoint-processor-sandbox"}
    for table in owners.values():
        assert table["billing_mode"] == "PAY_PER_REQUEST"
        assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_AND_OLD_IMAGES")
        assert table["point_in_time_recovery"] == {"enabled": True}
        assert table["server_side_encryption"]["kms_key_arn"] == f"${{aws_kms_key.{key_named(sandbox, 'data')}.arn}}"
        assert table["lifecycle"]["ignore_changes"] == ["replica"]
    for region in ("eu-west-1", "ap-southeast-1"):
        assert not global_tables(sandbox, region)
        replicas = sandbox.resources(f"data-{region}", "aws_dynamodb_table_replica")
        assert len(replicas) == len(owners)
        for replica in replicas.values():
            assert "data-us-east-1" in replica["global_table_arn"]
            assert replica["kms_key_arn"].startswith("${aws_kms_key.")
            assert replica["point_in_time_recovery"] is True


def test_payments_have_an_index_of_what_is_open(sandbox: Synthesized) -> None:
    """PAY-02, PAY-23: of the keys alone, which a payment's progress never changes; the sweeper may ask it, no more."""
    tables = sandbox.resources("data-us-east-1", "aws_dynamodb_table").values()
    (payments,) = (table for table in tables if table["hash_key"] == "payment_id" and "stream_enabled" in table)
    (index,) = payments["global_secondary_index"]
    assert index == {
        "name": OPEN_PAYMENTS_INDEX,
        "hash_key": "open_in",
        "range_key": "created_at",
        "projection_type": "KEYS_ONLY",
    }
    assert {one["name"] for one in payments["attribute"]} == {"payment_id", "open_in", "created_at"}
    arn = f"table/{payments['name']}/index/{OPEN_PAYMENTS_INDEX}"
    for region in sandbox.environment.regions:
        asked = [
            statement
            for policy in sandbox.resources(f"compute-{region}", "aws_iam_role_policy").values()
            for statement in json.loads(policy["policy"])["Statement"]
            if "dynamodb:Query" in statement["Action"]
        ]
        assert [(one["Sid"], one["Action"]) for one in asked] == [("LedgerListOpen", ["dynamodb:Query"])]
        assert asked[0]["Resource"][0].endswith(f"/index/{OPEN_PAYMENTS_INDEX}")
        endpoints = sandbox.resources(f"network-{region}", "aws_vpc_endpoint").values()
        (dynamodb,) = (one for one in endpoints if one["service_name"].endswith(".dynamodb"))
        (statement,) = json.loads(dynamodb["policy"])["Statement"]
        assert any(fnmatchcase(f"arn:aws:dynamodb:{region}:000000000000:{arn}", one) for one in statement["Resource"])


def test_simulators_table_goes_with_the_simulator(sandbox: Synthesized, aws: Synthesized) -> None:
    """PAY-18: with a real processor there is no simulator's record."""
    assert "tripoint-processor-sandbox" in global_tables(sandbox, "us-east-1")
    assert set(global_tables(aws, "us-east-1")) == {"tripoint-payments-stg", "tripoint-sessions-stg"}


def test_buckets_are_private_versioned_encrypted_and_tls_only(sandbox: Synthesized) -> None:
    """PAY-11: versioning, TLS-only bucket policy, public access blocked, lifecycle; PAY-19: KMS."""
    stack = "data-eu-west-1"
    buckets = sandbox.resources(stack, "aws_s3_bucket")
    assert len(buckets) == 2
    for type in (
        "aws_s3_bucket_versioning",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_server_side_encryption_configuration",
    ):
        assert len(sandbox.resources(stack, type)) == len(buckets), type
    for block in sandbox.resources(stack, "aws_s3_bucket_public_access_block").values():
        assert all(block[key] is True for key in block if key.startswith(("block_", "ignore_", "restrict_")))
    for policy in sandbox.resources(stack, "aws_s3_bucket_policy").values():
        deny = json.loads(policy["policy"])["Statement"][0]
        assert deny["Effect"] == "Deny"
        assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    algorithms = {
        name: rule["rule"][0]["apply_server_side_encryption_by_default"]["sse_algorithm"]
        for name, rule in sandbox.resources(stack, "aws_s3_bucket_server_side_encryption_configuration").items()
    }
    # S3 cannot deliver access logs into a bucket whose default encryption is SSE-KMS.
    assert sorted(algorithms.values()) == ["AES256", "aws:kms"]


def test_receipts_access_is_logged(sandbox: Synthesized) -> None:
    """PAY-11: access logs."""
    logging = sandbox.only("data-us-east-1", "aws_s3_bucket_logging")
    assert "receipts_bucket" in logging["bucket"]
    assert "access-logs" in logging["target_bucket"]


def test_vault_stays_in_its_region_under_its_own_key(sandbox: Synthesized) -> None:
    """PAY-22: a regional, non-replicated vault table with its own key; entries expire."""
    for region in sandbox.environment.regions:
        stack = f"data-{region}"
        (vault,) = [t for t in sandbox.resources(stack, "aws_dynamodb_table").values() if "-vault-" in t["name"]]
        assert "stream_enabled" not in vault
        assert "replica" not in vault
        assert vault["ttl"] == {"enabled": True, "attribute_name": "expires_at"}
        key = vault["server_side_encryption"]["kms_key_arn"]
        assert "vault-key" in key
        others = {k: v for k, v in sandbox.stack(stack)["resource"].items() if k != "aws_dynamodb_table"}
        used = [line for line in json.dumps(others).split('"') if line == key]
        assert not used


def test_sessions_expire(sandbox: Synthesized) -> None:
    """PAY-02: a sessions table (TTL)."""
    sessions = global_tables(sandbox, "us-east-1")["tripoint-sessions-sandbox"]
    assert sessions["ttl"] == {"enabled": True, "attribute_name": "expires_at"}


def test_receipts_are_replicated_in_all_directions(sandbox: Synthesized) -> None:
    """PAY-11: cross-region replication in all directions: KMS on both ends, delete markers, metrics."""
    for region in sandbox.environment.regions:
        stack = f"data-links-{region}"
        replication = sandbox.only(stack, "aws_s3_bucket_replication_configuration")
        assert f"data-{region}" in replication["bucket"]
        others = [other for other in sandbox.environment.regions if other != region]
        assert [rule["id"] for rule in replication["rule"]] == [f"to-{other}" for other in others]
        for other, rule in zip(others, replication["rule"], strict=True):
            destination = rule["destination"]
            assert f"data-{other}" in destination["bucket"]
            assert f"data-{other}" in destination["encryption_configuration"]["replica_kms_key_id"]
            assert rule["delete_marker_replication"] == {"status": "Enabled"}
            assert rule["source_selection_criteria"]["sse_kms_encrypted_objects"] == {"status": "Enabled"}
            assert destination["metrics"]["status"] == destination["replication_time"]["status"] == "Enabled"
        assert len(sandbox.resources(stack, "aws_s3_bucket_lifecycle_configuration")) == 2
