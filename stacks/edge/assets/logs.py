"""Who asked the distribution for what: CloudFront's standard logging (v2)."""

from __future__ import annotations

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.cloudwatch_log_delivery import CloudwatchLogDelivery
from cdktf_cdktf_provider_aws.cloudwatch_log_delivery_destination import (
    CloudwatchLogDeliveryDestination,
    CloudwatchLogDeliveryDestinationDeliveryDestinationConfiguration,
)
from cdktf_cdktf_provider_aws.cloudwatch_log_delivery_source import CloudwatchLogDeliverySource
from constructs import Construct

from shared.bucket import PrivateBucket
from shared.key import USE
from shared.site import PARTITION, Site
from stacks.edge.assets.distribution import CLOUDFRONT_REGION

# The longest region and suffix leave nine characters to a bucket.
THING = "cdn-logs"
SOURCE = "assets"
DELIVERY = "delivery.logs.amazonaws.com"


class DistributionLogs(Construct):
    """Access logs as files in a bucket of the primary region, below `AWSLogs/<account>/CloudFront/`.

    Not the legacy logging of the distribution itself: that one writes through ACLs, which this bucket has none of
    (CloudFront Developer Guide, "Configure standard logging (legacy)").
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        site: Site,
        distribution_arn: str,
        key_arn: str,
        access_logs: str,
        cloudfront_region: TerraformProvider | None,
    ) -> None:
        super().__init__(scope, id)
        self.bucket = PrivateBucket(
            self,
            "bucket",
            site=site,
            thing=THING,
            key_arn=key_arn,
            access_logs=access_logs,
            statements=(_admit_delivery(site),),
        )
        source = CloudwatchLogDeliverySource(
            self,
            "source",
            name=site.name(SOURCE),
            log_type="ACCESS_LOGS",
            resource_arn=distribution_arn,
            provider=cloudfront_region,
        )
        destination = CloudwatchLogDeliveryDestination(
            self,
            "destination",
            name=site.name(SOURCE),
            output_format="w3c",
            delivery_destination_configuration=[
                CloudwatchLogDeliveryDestinationDeliveryDestinationConfiguration(
                    destination_resource_arn=self.bucket.arn
                )
            ],
            provider=cloudfront_region,
        )
        CloudwatchLogDelivery(
            self,
            "delivery",
            delivery_source_name=source.name,
            delivery_destination_arn=destination.arn,
            provider=cloudfront_region,
            # Whoever creates a delivery to a bucket whose policy does not admit it has the statement added by AWS,
            # and this policy would differ in the next plan.
            depends_on=[self.bucket.policy],
        )


def admit_delivery_to_key(site: Site) -> dict[str, object]:
    """A key's statement for the files that the delivery encrypts (CloudWatch Logs User Guide, "Logs sent to Amazon
    S3", SSE-KMS)."""
    return {
        "Sid": "DistributionLogs",
        "Effect": "Allow",
        "Principal": {"Service": DELIVERY},
        "Action": list(USE),
        "Resource": "*",
        "Condition": _for_the_source(site),
    }


def _admit_delivery(site: Site) -> dict[str, object]:
    conditions = _for_the_source(site)
    conditions["StringEquals"]["s3:x-amz-acl"] = "bucket-owner-full-control"
    return {
        "Sid": "DistributionLogs",
        "Effect": "Allow",
        "Principal": {"Service": DELIVERY},
        "Action": "s3:PutObject",
        "Resource": f"{site.bucket_arn(THING)}/AWSLogs/{site.account_id}/*",
        "Condition": conditions,
    }


def _for_the_source(site: Site) -> dict[str, dict[str, str]]:
    source = f"delivery-source:{site.name(SOURCE)}"
    arn = f"arn:{PARTITION}:logs:{CLOUDFRONT_REGION}:{site.account_id}:{source}"
    return {"StringEquals": {"aws:SourceAccount": site.account_id}, "ArnLike": {"aws:SourceArn": arn}}
