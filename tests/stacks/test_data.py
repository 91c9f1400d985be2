"""The data layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json

from tests.stacks.conftest import Synthesized


def test_key_rotates_and_its_policy_names_services_and_actions(sandbox: Synthesized) -> None:
    """PAY-06: one KMS key per region with automatic rotation; the policy admits named services only."""
    for region in sandbox.environment.regions:
        key = sandbox.only(f"data-{region}", "aws_kms_key")
        assert key["enable_key_rotation"] is True
        for statement in json.loads(key["policy"])["Statement"]:
            assert statement["Principal"] != "*"
            if "Service" in statement["Principal"]:
                assert statement["Condition"]


def test_primary_owns_the_table_and_the_others_replicate_with_their_own_key(sandbox: Synthesized) -> None:
    """PAY-02: on demand, point-in-time recovery and the region's own key in every replica, streams on."""
    (key,) = sandbox.resources("data-us-east-1", "aws_kms_key")
    owners = sandbox.resources("data-us-east-1", "aws_dynamodb_table")
    assert {table["name"] for table in owners.values()} == {"tripoint-payments-sandbox", "tripoint-processor-sandbox"}
    for table in owners.values():
        assert table["billing_mode"] == "PAY_PER_REQUEST"
        assert (table["stream_enabled"], table["stream_view_type"]) == (True, "NEW_AND_OLD_IMAGES")
        assert table["point_in_time_recovery"] == {"enabled": True}
        assert table["server_side_encryption"]["kms_key_arn"] == f"${{aws_kms_key.{key}.arn}}"
        assert table["lifecycle"]["ignore_changes"] == ["replica"]
    for region in ("eu-west-1", "ap-southeast-1"):
        assert not sandbox.resources(f"data-{region}", "aws_dynamodb_table")
        replicas = sandbox.resources(f"data-{region}", "aws_dynamodb_table_replica")
        assert len(replicas) == len(owners)
        for replica in replicas.values():
            assert "data-us-east-1" in replica["global_table_arn"]
            assert replica["kms_key_arn"].startswith("${aws_kms_key.")
            assert replica["point_in_time_recovery"] is True


def test_simulators_table_goes_with_the_simulator(sandbox: Synthesized, aws: Synthesized) -> None:
    """PAY-18: with a real processor there is no simulator's record."""
    assert len(sandbox.resources("data-us-east-1", "aws_dynamodb_table")) == 2
    assert len(aws.resources("data-us-east-1", "aws_dynamodb_table")) == 1


def test_buckets_are_private_versioned_encrypted_and_tls_only(sandbox: Synthesized) -> None:
    """PAY-11: versioning, TLS-only bucket policy, public access blocked, lifecycle; PAY-19: KMS."""
    stack = "data-eu-west-1"
    buckets = sandbox.resources(stack, "aws_s3_bucket")
    assert len(buckets) == 2
    for type in (
        "aws_s3_bucket_versioning",
        "aws_s3_bucket_public_access_block",
        "aws_s3_bucket_lifecycle_configuration",
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
