"""A region's assets: their bucket and its key, open to the one distribution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs import Construct

from shared.bucket import PrivateBucket
from shared.key import RegionalKey
from shared.site import Site

THING = "assets"
CLOUDFRONT = "cloudfront.amazonaws.com"


def domain_name(site: Site) -> str:
    """Where S3 serves a region's assets bucket. It follows from names alone, so the distribution can be made before
    the buckets are, and their policies can admit it and nobody else."""
    return f"{site.bucket_name(THING)}.s3.{site.region}.amazonaws.com"


class AssetsBucket(Construct):
    """Private but to the distribution (OPT-03): its policy and its key's name the distribution's ARN, so that no
    other one, of this account or another, is let in (CloudFront Developer Guide, "Restrict access to an Amazon S3
    origin").

    CloudFront may read objects, not list them: a missing one is answered 403, as S3 does without s3:ListBucket.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        distribution_arn: str,
        access_logs: str,
        key_statements: Sequence[Mapping[str, object]] = (),
    ) -> None:
        super().__init__(scope, id)
        self.key = RegionalKey(
            self,
            "key",
            site=site,
            thing=THING,
            for_services=False,
            # Decrypt is all that reading takes.
            statements=[_admit(distribution_arn, "kms:Decrypt", "*"), *key_statements],
        )
        self.bucket = PrivateBucket(
            self,
            "bucket",
            site=site,
            thing=THING,
            key_arn=self.key.arn,
            access_logs=access_logs,
            replicated=True,
            statements=(_admit(distribution_arn, "s3:GetObject", f"{site.bucket_arn(THING)}/*"),),
        )


def _admit(distribution_arn: str, action: str, resource: str) -> dict[str, object]:
    return {
        "Sid": "TheDistribution",
        "Effect": "Allow",
        "Principal": {"Service": CLOUDFRONT},
        "Action": action,
        "Resource": resource,
        "Condition": {"StringEquals": {"aws:SourceArn": distribution_arn}},
    }
