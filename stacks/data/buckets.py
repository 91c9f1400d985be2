"""The receipts bucket and the bucket of its access logs.

Their lifecycle rules are in the links stack: the provider watches them settle for a minute, and nothing above this
layer should wait for that.
"""

from __future__ import annotations

from cdktf_cdktf_provider_aws.s3_bucket_logging import S3BucketLoggingA
from constructs import Construct

from shared.bucket import PrivateBucket, log_access
from shared.key import RegionalKey
from shared.site import PARTITION, Site


class ReceiptsBucket(Construct):
    """Where a settled payment's receipt lies: encrypted with the region's key, access logged."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key: RegionalKey) -> None:
        super().__init__(scope, id)
        receipts = PrivateBucket(self, "receipts", site=site, thing="receipts", key_arn=key.arn, replicated=True)
        logs = PrivateBucket(
            self,
            "access-logs",
            site=site,
            thing="logs",
            key_arn=None,
            statements=(_log_delivery(site),),
        )
        S3BucketLoggingA(self, "logging", bucket=receipts.name, target_bucket=logs.name, target_prefix="receipts/")
        if site.settings.audit.enabled:
            # The rollout makes the state's bucket before there is any stack.
            log_access(Construct(self, "state"), thing="state", bucket=site.state_bucket, logs=logs.name)
        self.name = receipts.name
        self.arn = receipts.arn
        self.logs_name = logs.name


def _log_delivery(site: Site) -> dict[str, object]:
    return {
        "Sid": "AccessLogDelivery",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{site.bucket_arn('logs')}/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": _logged(site)},
            "StringEquals": {"aws:SourceAccount": site.account_id},
        },
    }


def _logged(site: Site) -> str | list[str]:
    """The buckets whose access is logged: the receipts; with the audit capability every bucket of the region, the
    state's too."""
    if not site.settings.audit.enabled:
        return site.bucket_arn("receipts")
    return [site.bucket_arn("*"), f"arn:{PARTITION}:s3:::{site.state_bucket}"]
