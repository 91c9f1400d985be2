"""Flow logs as files, on the deployed resources."""

from __future__ import annotations

import json
from typing import Any

from tests.integration.conftest import Deployment


def flow_log(full: Deployment, region: str) -> dict[str, Any]:
    id = full.output("observability", region, "flow_log_files_id")
    (found,) = full.client("ec2", region).describe_flow_logs(FlowLogIds=[id])["FlowLogs"]
    log: dict[str, Any] = found
    return log


def test_all_traffic_of_every_vpc_goes_to_files(full: Deployment) -> None:
    """OPT-05: Parquet, hourly, Hive-compatible, of the deployed VPC to the deployed bucket."""
    for region in full.regions:
        found = flow_log(full, region)
        assert found["ResourceId"] == full.output("network", region, "vpc_id")
        assert found["TrafficType"] == "ALL"
        assert found["LogDestinationType"] == "s3"
        assert (
            found["LogDestination"] == f"arn:aws:s3:::{full.output('observability', region, 'flow_logs_bucket_name')}"
        )
        assert found["DestinationOptions"] == {
            "FileFormat": "parquet",
            "HiveCompatiblePartitions": True,
            "PerHourPartition": True,
        }


def test_delivery_is_admitted_to_the_bucket_and_its_key(full: Deployment) -> None:
    """OPT-05: for this account and region; the bucket is encrypted, expires, and counts what it refuses."""
    account = full.environment.target.account_id
    for region, settings in full.environment.regions.items():
        s3, bucket = full.client("s3", region), full.output("observability", region, "flow_logs_bucket_name")
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        delivered = [
            one for one in policy["Statement"] if one["Principal"].get("Service") == "delivery.logs.amazonaws.com"
        ]
        assert len(delivered) == 2
        for statement in delivered:
            assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == account
        (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
        by_default = rule["ApplyServerSideEncryptionByDefault"]
        key = full.client("kms", region).describe_key(KeyId=by_default["KMSMasterKeyID"])["KeyMetadata"]
        assert by_default["SSEAlgorithm"] == "aws:kms"
        assert key["KeyManager"] == "CUSTOMER"
        (expiry,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
        assert expiry["Expiration"]["Days"] == settings.flow_logs.expire_days
        assert s3.get_bucket_metrics_configuration(Bucket=bucket, Id="EntireBucket")
