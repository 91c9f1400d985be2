"""The record of the VPC's traffic as files, for Athena and for longer than a log group should keep it (OPT-05)."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.flow_log import FlowLog, FlowLogDestinationOptions
from cdktf_cdktf_provider_aws.s3_bucket_metric import S3BucketMetric
from constructs import Construct

from shared.bucket import PrivateBucket
from shared.key import RegionalKey
from shared.site import Site
from stacks.observability.capabilities.activity import WHOLE_BUCKET
from stacks.observability.capabilities.flow_logs import FILES

DELIVERY = "delivery.logs.amazonaws.com"


class FlowLogFiles(Construct):
    """All traffic of the VPC in Parquet, a folder per hour, under a key and in a bucket of the region's own.

    Policies as in "Publish flow logs to Amazon S3" (VPC User Guide).
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, vpc_id: str, access_logs: str) -> None:
        super().__init__(scope, id)
        key = RegionalKey(self, "key", site=site, thing=FILES, for_services=False, statements=(_encrypting(site),))
        bucket = PrivateBucket(
            self,
            "files",
            site=site,
            thing=FILES,
            key_arn=key.arn,
            access_logs=access_logs,
            statements=_writing(site),
        )
        S3BucketMetric(self, "requests", bucket=bucket.name, name=WHOLE_BUCKET)
        log = FlowLog(
            self,
            "flow-log",
            vpc_id=vpc_id,
            traffic_type="ALL",
            log_destination_type="s3",
            log_destination=bucket.arn,
            destination_options=FlowLogDestinationOptions(
                file_format="parquet", hive_compatible_partitions=True, per_hour_partition=True
            ),
            max_aggregation_interval=60,
            tags={"Name": site.name("flow-log-files")},
            # Without a policy that admits the delivery, EC2 writes one of its own over ours.
            depends_on=[bucket.policy],
        )
        self.id = log.id
        self.bucket_name = bucket.name


def _from_here(site: Site) -> dict[str, dict[str, str]]:
    """Deliveries of this account's logs of this region."""
    return {
        "StringEquals": {"aws:SourceAccount": site.account_id},
        "ArnLike": {"aws:SourceArn": site.arn("logs", "*")},
    }


def _writing(site: Site) -> tuple[dict[str, object], ...]:
    bucket, condition = site.bucket_arn(FILES), _from_here(site)
    owned = {**condition["StringEquals"], "s3:x-amz-acl": "bucket-owner-full-control"}
    return (
        {
            "Sid": "AWSLogDeliveryWrite",
            "Effect": "Allow",
            "Principal": {"Service": DELIVERY},
            "Action": "s3:PutObject",
            # The folder of Hive-compatible prefixes.
            "Resource": f"{bucket}/AWSLogs/aws-account-id={site.account_id}/*",
            "Condition": {**condition, "StringEquals": owned},
        },
        {
            "Sid": "AWSLogDeliveryAclCheck",
            "Effect": "Allow",
            "Principal": {"Service": DELIVERY},
            "Action": ["s3:GetBucketAcl", "s3:ListBucket"],
            "Resource": bucket,
            "Condition": condition,
        },
    )


def _encrypting(site: Site) -> dict[str, object]:
    return {
        "Sid": "FlowLogDelivery",
        "Effect": "Allow",
        "Principal": {"Service": DELIVERY},
        "Action": [
            "kms:Decrypt",
            "kms:DescribeKey",
            "kms:Encrypt",
            "kms:GenerateDataKey",
            "kms:ReEncryptFrom",
            "kms:ReEncryptTo",
        ],
        "Resource": "*",
        "Condition": _from_here(site),
    }
