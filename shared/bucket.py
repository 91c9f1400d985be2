"""A bucket as every layer makes one."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.s3_bucket import S3Bucket
from cdktf_cdktf_provider_aws.s3_bucket_logging import S3BucketLoggingA
from cdktf_cdktf_provider_aws.s3_bucket_object_lock_configuration import (
    S3BucketObjectLockConfigurationA,
    S3BucketObjectLockConfigurationRuleA,
    S3BucketObjectLockConfigurationRuleDefaultRetentionA,
)
from cdktf_cdktf_provider_aws.s3_bucket_ownership_controls import (
    S3BucketOwnershipControls,
    S3BucketOwnershipControlsRule,
)
from cdktf_cdktf_provider_aws.s3_bucket_policy import S3BucketPolicy
from cdktf_cdktf_provider_aws.s3_bucket_public_access_block import S3BucketPublicAccessBlock
from cdktf_cdktf_provider_aws.s3_bucket_server_side_encryption_configuration import (
    S3BucketServerSideEncryptionConfigurationA,
    S3BucketServerSideEncryptionConfigurationRuleA,
    S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA,
)
from cdktf_cdktf_provider_aws.s3_bucket_versioning import (
    S3BucketVersioningA,
    S3BucketVersioningVersioningConfiguration,
)
from constructs import Construct

from shared.grants import document
from shared.site import Site
from shared.suppressions import suppress
from shared.transport import tls_only


class PrivateBucket(Construct):
    """A bucket that nobody reaches without TLS or from outside: no ACLs, no public access, versioned.

    ``key_arn`` encrypts with the region's key. Only the access-log bucket goes without: S3 cannot deliver access logs
    to a bucket whose default encryption is SSE-KMS (S3 user guide, "Enabling Amazon S3 server access logging").
    ``access_logs`` is the region's bucket for such logs; it gets them where the audit capability is on (OPT-04).
    ``bucket_key`` saves calls of KMS by a key per bucket. With ``locked_days`` nobody can delete a version before, not
    even the account's root (S3 Object Lock, compliance mode).
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        thing: str,
        key_arn: str | None,
        access_logs: str | None = None,
        statements: tuple[dict[str, object], ...] = (),
        bucket_key: bool = True,
        locked_days: int | None = None,
        replicated: bool = False,
    ) -> None:
        super().__init__(scope, id)
        self.bucket = S3Bucket(
            self,
            "bucket",
            bucket=site.bucket_name(thing),
            force_destroy=not site.production,
            object_lock_enabled=True if locked_days else None,
        )
        self.arn = self.bucket.arn
        self.name = self.bucket.id
        self.versioning = S3BucketVersioningA(
            self,
            "versioning",
            bucket=self.name,
            versioning_configuration=S3BucketVersioningVersioningConfiguration(status="Enabled"),
        )
        self.encryption = self._encrypt(key_arn, bucket_key)
        S3BucketOwnershipControls(
            self,
            "ownership",
            bucket=self.name,
            rule=S3BucketOwnershipControlsRule(object_ownership="BucketOwnerEnforced"),
        )
        block = S3BucketPublicAccessBlock(
            self,
            "public-access",
            bucket=self.name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
        )
        self.policy = S3BucketPolicy(
            self,
            "policy",
            bucket=self.name,
            policy=document([tls_only("s3:*", [self.arn, f"{self.arn}/*"]), *statements]),
            # Both write the bucket's access settings; at the same time S3 answers OperationAborted.
            depends_on=[block],
        )
        if locked_days:
            self._lock(locked_days)
        if access_logs is not None:
            if site.settings.audit.enabled:
                log_access(self, thing=thing, bucket=self.name, logs=access_logs)
            else:
                suppress(self.bucket, "CKV_AWS_18", "Access is logged where the audit capability is on")
        suppress(self.bucket, "CKV2_AWS_62", "Nothing waits for its objects")
        if key_arn is None:
            suppress(self.bucket, "CKV_AWS_145", "AWS delivers such logs to SSE-S3 buckets only")
        if not (replicated and site.other_regions):
            suppress(self.bucket, "CKV_AWS_144", "Of its region alone; what must outlive a region is replicated")

    def _lock(self, days: int) -> None:
        S3BucketObjectLockConfigurationA(
            self,
            "lock",
            bucket=self.name,
            rule=S3BucketObjectLockConfigurationRuleA(
                default_retention=S3BucketObjectLockConfigurationRuleDefaultRetentionA(mode="COMPLIANCE", days=days)
            ),
            depends_on=[self.versioning],
        )

    def _encrypt(self, key_arn: str | None, bucket_key: bool) -> S3BucketServerSideEncryptionConfigurationA:
        by_default = (
            S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(sse_algorithm="AES256")
            if key_arn is None
            else S3BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultA(
                sse_algorithm="aws:kms", kms_master_key_id=key_arn
            )
        )
        return S3BucketServerSideEncryptionConfigurationA(
            self,
            "encryption",
            bucket=self.name,
            rule=[
                S3BucketServerSideEncryptionConfigurationRuleA(
                    apply_server_side_encryption_by_default=by_default,
                    bucket_key_enabled=bucket_key and key_arn is not None,
                )
            ],
        )


def log_access(scope: Construct, *, thing: str, bucket: str, logs: str) -> None:
    """Have S3 log every request to a bucket of this environment; the policy of the bucket for logs admits it."""
    S3BucketLoggingA(scope, "access-logs", bucket=bucket, target_bucket=logs, target_prefix=f"{thing}/")
