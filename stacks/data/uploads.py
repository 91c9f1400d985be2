"""The uploads bucket: merchants' settlement files, and the summaries of them (OPT-06).

It is the region's own: what is uploaded in a region is worked on there and goes nowhere else.
"""

from __future__ import annotations

from constructs import Construct

from shared.bucket import PrivateBucket
from shared.site import Site
from stacks.data.contract import UploadsOutputs


class UploadsBucket(Construct):
    """Encrypted with the region's key, versioned: each version is processed once. ``outputs`` is its contract."""

    def __init__(self, scope: Construct, id: str, *, site: Site, key_arn: str, access_logs: str) -> None:
        super().__init__(scope, id)
        uploads = PrivateBucket(self, "bucket", site=site, thing="uploads", key_arn=key_arn, access_logs=access_logs)
        self.outputs = UploadsOutputs(uploads_bucket_name=uploads.name, uploads_bucket_arn=uploads.arn)
