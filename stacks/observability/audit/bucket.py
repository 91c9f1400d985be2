"""The trail's key and the bucket of its log files."""

from __future__ import annotations

from constructs import Construct

from shared.bucket import PrivateBucket
from shared.key import RegionalKey
from shared.site import PARTITION, Site

TRAIL = "audit"
SERVICE = "cloudtrail.amazonaws.com"


def trail_arn(site: Site) -> str:
    """The ARN of the environment's one trail, for policies that must be there before it."""
    primary = site.at(site.environment.primary)
    return primary.arn("cloudtrail", f"trail/{primary.name(TRAIL)}")


class TrailBucket(Construct):
    """Where CloudTrail puts its log files, under a key of its own; in production nobody can delete them before their
    time.

    Compliance mode and not governance mode: those whom the trail records may well include who has
    `s3:BypassGovernanceRetention`. Policies as in "Amazon S3 bucket policy for CloudTrail" and "Configure AWS KMS key
    policies for CloudTrail" (CloudTrail User Guide).
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, access_logs: str) -> None:
        super().__init__(scope, id)
        trail = trail_arn(site)
        self.key = RegionalKey(
            self, "key", site=site, thing=TRAIL, for_services=False, statements=_encrypting(site, trail)
        )
        self.bucket = PrivateBucket(
            self,
            "files",
            site=site,
            thing=TRAIL,
            key_arn=self.key.arn,
            access_logs=access_logs,
            statements=_writing(site, trail),
            # With a bucket key the encryption context is the bucket's, and the key policy insists on the trail's. None
            # is needed: CloudTrail's own use of the key costs nothing ("How AWS CloudTrail uses AWS KMS").
            bucket_key=False,
            locked_days=site.settings.audit.retention_days if site.production else None,
        )


def _writing(site: Site, trail: str) -> tuple[dict[str, object], ...]:
    bucket = site.bucket_arn(TRAIL)
    return (
        {
            "Sid": "TrailAclCheck",
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": "s3:GetBucketAcl",
            "Resource": bucket,
            "Condition": {"StringEquals": {"aws:SourceArn": trail}},
        },
        {
            "Sid": "TrailWrite",
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": "s3:PutObject",
            "Resource": f"{bucket}/AWSLogs/{site.account_id}/*",
            "Condition": {"StringEquals": {"aws:SourceArn": trail, "s3:x-amz-acl": "bucket-owner-full-control"}},
        },
    )


def _encrypting(site: Site, trail: str) -> tuple[dict[str, object], ...]:
    """CloudTrail encrypts log files of this trail and describes the key; it never reads them."""
    context = f"arn:{PARTITION}:cloudtrail:*:{site.account_id}:trail/*"
    return (
        {
            "Sid": "TrailEncrypt",
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": "kms:GenerateDataKey",
            "Resource": "*",
            "Condition": {
                "StringEquals": {"aws:SourceArn": trail},
                "StringLike": {"kms:EncryptionContext:aws:cloudtrail:arn": context},
            },
        },
        {
            "Sid": "TrailDescribe",
            "Effect": "Allow",
            "Principal": {"Service": SERVICE},
            "Action": "kms:DescribeKey",
            "Resource": "*",
            "Condition": {"StringEquals": {"aws:SourceArn": trail}},
        },
    )
