"""Where the functions' zips lie for Lambda to fetch.

From a bucket and not from the plan: the provider creates functions that it uploads itself one after the other, each
with its wait ("Grab an exclusive lock so that we're only reading one function into memory at a time"), and those it
points at an object all at once.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cdktf import AssetType, TerraformAsset
from cdktf_cdktf_provider_aws.s3_object import S3Object
from constructs import Construct

from shared.bucket import PrivateBucket
from shared.site import Site


@dataclass(frozen=True)
class FunctionCode:
    """One function's zip in the bucket; ``hash`` is what Lambda calls CodeSha256 (base64)."""

    bucket: str
    key: str
    hash: str


class FunctionCodes(Construct):
    """The region's zips, each under its own digest: another content is another object."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, zips: Mapping[str, Path], key_arn: str, access_logs: str
    ) -> None:
        super().__init__(scope, id)
        self._bucket = PrivateBucket(self, "bucket", site=site, thing="code", key_arn=key_arn, access_logs=access_logs)
        self._zips = zips

    def of(self, function: str) -> FunctionCode:
        """Upload one function's zip."""
        zip = self._zips[function]
        digest = hashlib.sha256(zip.read_bytes()).digest()
        uploaded = S3Object(
            self,
            function,
            bucket=self._bucket.name,
            key=f"{function}/{digest.hex()}.zip",
            source=TerraformAsset(self, f"{function}-zip", path=str(zip.resolve()), type=AssetType.FILE).path,
            source_hash=digest.hex(),
            # Encryption and versions are the bucket's own.
            depends_on=[self._bucket.versioning, self._bucket.encryption],
        )
        return FunctionCode(uploaded.bucket, uploaded.key, base64.b64encode(digest).decode())
