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

from shared.config import LifecycleSettings


class BucketLifecycle(Construct):
    """Replaced versions and abandoned uploads go when the configuration says (OPT-09), objects after ``expire_days``
    if given. ``noncurrent_days`` is for a bucket with a time of its own."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        bucket: str,
        settings: LifecycleSettings,
        expire_days: int | None = None,
        noncurrent_days: int | None = None,
    ) -> None:
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
                        S3BucketLifecycleConfigurationRuleNoncurrentVersionExpiration(
                            noncurrent_days=noncurrent_days or settings.noncurrent_days
                        )
                    ],
                    abort_incomplete_multipart_upload=[
                        S3BucketLifecycleConfigurationRuleAbortIncompleteMultipartUpload(
                            days_after_initiation=settings.incomplete_upload_days
                        )
                    ],
                )
            ],
        )
