"""Flow logs as files: format, delivery, expiry."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.config import parse
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

DELIVERY = "delivery.logs.amazonaws.com"


@pytest.fixture
def full(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox-full.toml")


def flow_logs(found: Synthesized, region: str) -> dict[str, dict[str, Any]]:
    """Destination type -> flow log."""
    logs = found.resources(f"observability-{region}", "aws_flow_log").values()
    return {log["log_destination_type"]: log for log in logs}


def delivered(policy: str) -> dict[str, dict[str, Any]]:
    return {one["Sid"]: one for one in json.loads(policy)["Statement"] if one["Principal"].get("Service") == DELIVERY}


def test_all_traffic_goes_to_files_of_every_region(full: Synthesized) -> None:
    """OPT-05: Parquet, hourly partitions, Hive-compatible, beside the log group."""
    for region in full.environment.regions:
        logs = flow_logs(full, region)
        assert set(logs) == {"s3", "cloud-watch-logs"}
        assert logs["s3"]["traffic_type"] == "ALL"
        assert logs["s3"]["destination_options"] == {
            "file_format": "parquet",
            "hive_compatible_partitions": True,
            "per_hour_partition": True,
        }
        # EC2 overwrites the policy of a bucket that does not admit the delivery.
        assert any("aws_s3_bucket_policy" in needed for needed in logs["s3"]["depends_on"])
        # Delivery to S3 takes no role.
        assert "iam_role_arn" not in logs["s3"]


def test_only_deliveries_of_this_account_and_region_write(full: Synthesized) -> None:
    """OPT-05: "Amazon S3 bucket permissions for flow logs" (VPC User Guide), no account a wildcard."""
    account = full.environment.target.account_id
    for region in full.environment.regions:
        (policy,) = (
            one["policy"]
            for one in full.resources(f"observability-{region}", "aws_s3_bucket_policy").values()
            if delivered(one["policy"])
        )
        statements = delivered(policy)
        assert set(statements) == {"AWSLogDeliveryWrite", "AWSLogDeliveryAclCheck"}
        write, check = statements["AWSLogDeliveryWrite"], statements["AWSLogDeliveryAclCheck"]
        assert (write["Action"], check["Action"]) == ("s3:PutObject", ["s3:GetBucketAcl", "s3:ListBucket"])
        assert write["Resource"] == f"{check['Resource']}/AWSLogs/aws-account-id={account}/*"
        assert write["Condition"]["StringEquals"]["s3:x-amz-acl"] == "bucket-owner-full-control"
        for statement in statements.values():
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == account
            assert statement["Condition"]["ArnLike"]["aws:SourceArn"] == f"arn:aws:logs:{region}:{account}:*"


def test_deliveries_encrypt_with_the_buckets_key(full: Synthesized) -> None:
    """OPT-05, PAY-19: "Required key policy for use with SSE-KMS" (VPC User Guide), for this account only."""
    account = full.environment.target.account_id
    for region in full.environment.regions:
        (key,) = (
            one
            for one in full.resources(f"observability-{region}", "aws_kms_key").values()
            if one["tags"]["Name"] == "tripoint-flow-logs-full"
        )
        (statement,) = delivered(key["policy"]).values()
        assert {"kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt", "kms:DescribeKey"} <= set(statement["Action"])
        assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == account
        assert key["enable_key_rotation"] is True


def test_files_expire_when_the_configuration_says(full: Synthesized) -> None:
    """OPT-05, OPT-09: in a stack that nothing waits for."""
    for region, settings in full.environment.regions.items():
        (rule,) = (
            one["rule"][0]
            for one in full.resources(f"observability-links-{region}", "aws_s3_bucket_lifecycle_configuration").values()
            if "flow_logs_bucket_name" in one["bucket"]
        )
        assert rule["expiration"][0]["days"] == settings.flow_logs.expire_days


def test_refused_deliveries_are_alarming(full: Synthesized) -> None:
    """OPT-05: S3 counts the requests to the bucket by the minute, under the id that the alarm asks for."""
    for region, settings in full.environment.regions.items():
        stack = f"observability-{region}"
        (alarm,) = (
            one
            for one in full.resources(stack, "aws_cloudwatch_metric_alarm").values()
            if one["alarm_name"] == "tripoint-flow-log-files-refused-full"
        )
        assert alarm["threshold"] == settings.flow_logs.refused_per_period
        assert alarm["dimensions"]["BucketName"] == f"tripoint-flow-logs-000000000000-{region}-full"
        (counted,) = (
            one for one in full.resources(stack, "aws_s3_bucket_metric").values() if "flow-log-files" in one["bucket"]
        )
        assert counted["name"] == alarm["dimensions"]["FilterId"]


def test_the_log_group_can_be_dropped(tmp_path: Path) -> None:
    """OPT-05: `flow_logs.cloudwatch = false` leaves the files alone."""
    raw = tomllib.loads(Path("config/sandbox.toml").read_text())
    environment = parse({**raw, "flow_logs": {"enabled": True, "cloudwatch": False}}, source="test")
    synthesize(environment, out=tmp_path, functions=Path(".tripoint/functions"), only=["observability-eu-west-1"])
    found = Synthesized(environment, tmp_path)
    assert set(flow_logs(found, "eu-west-1")) == {"s3"}
    groups = found.resources("observability-eu-west-1", "aws_cloudwatch_log_group").values()
    assert not [group["name"] for group in groups if group["name"].startswith("/aws/vpc/")]
