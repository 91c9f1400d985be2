"""What a region has of the static edge: the primary the distribution and all that belongs to it, every region a bucket
that admits it."""

from __future__ import annotations

from dataclasses import replace

from cdktf import TerraformProvider
from constructs import Construct

from shared.site import Site
from stacks.edge.assets.bucket import AssetsBucket
from stacks.edge.assets.distribution import AssetsDistribution
from stacks.edge.assets.logs import DistributionLogs, admit_delivery_to_key
from stacks.edge.contract import AssetsOutputs


def assets_of_primary(
    scope: Construct, *, site: Site, zone_id: str, access_logs: str, cloudfront_region: TerraformProvider | None
) -> AssetsOutputs:
    """The distribution, then the bucket that admits it, then the logs; ``cloudfront_region`` is the provider for what
    CloudFront takes in us-east-1 only."""
    made = AssetsDistribution(scope, "distribution", site=site, zone_id=zone_id, cloudfront_region=cloudfront_region)
    distribution = made.distribution
    assets = AssetsBucket(
        scope,
        "assets",
        site=site,
        distribution_arn=distribution.arn,
        access_logs=access_logs,
        key_statements=[admit_delivery_to_key(site)],
    )
    logs = DistributionLogs(
        scope,
        "logs",
        site=site,
        distribution_arn=distribution.arn,
        key_arn=assets.key.arn,
        access_logs=access_logs,
        cloudfront_region=cloudfront_region,
    )
    return AssetsOutputs(
        assets_bucket_name=assets.bucket.name,
        assets_bucket_arn=assets.bucket.arn,
        assets_key_arn=assets.key.arn,
        distribution_id=distribution.id,
        distribution_arn=distribution.arn,
        distribution_domain_name=distribution.domain_name,
        distribution_logs_bucket_name=logs.bucket.name,
        assets_url=made.url,
    )


def assets_of_other_region(scope: Construct, *, site: Site, primary: AssetsOutputs, access_logs: str) -> AssetsOutputs:
    """A bucket that admits the primary's distribution."""
    assets = AssetsBucket(
        scope, "assets", site=site, distribution_arn=primary.distribution_arn, access_logs=access_logs
    )
    return replace(
        primary,
        assets_bucket_name=assets.bucket.name,
        assets_bucket_arn=assets.bucket.arn,
        assets_key_arn=assets.key.arn,
    )
