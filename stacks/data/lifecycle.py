"""What S3 deletes by itself."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.s3_bucket_lifecycle_configuration import (
    S3BucketLifecycleConfiguration,
    S3BucketLifecycleConfigurationRule,
    S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload,
    S3BucketLifecycleConfigurationRuleExpiration,
    S3BucketLifecycleConfigurationRuleFilter,
    S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration,
)
from constructs import Construct

NONCURRENT_DAYS = 90
INCOMPLETE_UPLOAD_DAYS = 7


class BucketLifecycle(Construct):
    """Old versions go after 90 days, abandoned uploads after 7, and objects after ``expire_days`` if given."""

    def __init__(self, scope: Construct, id: str, *, bucket: str, expire_days: int | None = None) -> None:
        super().__init__(scope, id)
        S3BucketLifecycleConfiguration(
            self,
            "rules",
            bucket=bucket,
            rule=[
                S3BucketLifecycleConfigurationRule(
                    id="tidy-up",
                    status="Enabled",
                    filter=[S3BucketLifecycleConfigurationRuleFilter(prefix="")],
                    expiration=[S3BucketLifecycleConfigurationRuleExpiration(days=expire_days)]
                    if expire_days
                    else None,
                    noncurrent_version_expiration=[
                        S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(noncurrent_days=NONCURRENT_DAYS)
                    ],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                            days_after_initiation=INCOMPLETE_UPLOAD_DAYS
                        )
                    ],
                )
            ],
        )
