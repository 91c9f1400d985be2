"""Where the load balancer's access log lies."""

from __future__ import annotations

from constructs import Construct

from shared.bucket import PrivateBucket
from shared.lifecycle import BucketLifecycle
from shared.site import Site


class WebAccessLogs(Construct):
    """A bucket for the log files, which go when the configuration says.

    Under S3's own key: the load balancer delivers to no bucket that is encrypted with KMS (User Guide for Application
    Load Balancers, "Enable access logs").
    """

    def __init__(self, scope: Construct, id: str, *, site: Site, access_logs: str) -> None:
        super().__init__(scope, id)
        self.bucket = PrivateBucket(
            self,
            "bucket",
            site=site,
            thing="web-logs",
            key_arn=None,
            access_logs=access_logs,
            statements=(_delivery(site),),
        )
        BucketLifecycle(
            self,
            "lifecycle",
            bucket=self.bucket.name,
            settings=site.settings.lifecycle,
            expire_days=site.settings.lifecycle.access_log_days,
        )


def _delivery(site: Site) -> dict[str, object]:
    return {
        "Sid": "LoadBalancerLogs",
        "Effect": "Allow",
        "Principal": {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"{site.bucket_arn('web-logs')}/AWSLogs/{site.account_id}/*",
        "Condition": {
            "StringEquals": {"aws:SourceAccount": site.account_id},
            "ArnLike": {"aws:SourceArn": site.arn("elasticloadbalancing", "loadbalancer/*")},
        },
    }
