"""What unusual activity is seen by (OPT-08)."""

from __future__ import annotations

from cdktf_cdktf_provider_aws.s3_bucket_metric import S3BucketMetric
from constructs import Construct

from stacks.data.contract import DataOutputs
from stacks.observability.capabilities.activity import WHOLE_BUCKET


class RequestMetrics(Construct):
    """Has S3 count the requests to the receipts bucket by the minute; without it there are only daily sizes."""

    def __init__(self, scope: Construct, id: str, *, data: DataOutputs) -> None:
        super().__init__(scope, id)
        S3BucketMetric(self, "receipts", bucket=data.receipts_bucket_name, name=WHOLE_BUCKET)
