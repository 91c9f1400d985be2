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


@dataclass(frozen=True)
class StoredFile:
    """A file in the bucket; what reads it depends on ``stored``. ``sha256`` is hexadecimal."""

    key: str
    sha256: str
    stored: S3Object


class FunctionCodes(Construct):
    """The region's zips and other code, each under its own digest: another content is another object."""

    def __init__(
        self, scope: Construct, id: str, *, site: Site, zips: Mapping[str, Path], key_arn: str, access_logs: str
    ) -> None:
        super().__init__(scope, id)
        self._bucket = PrivateBucket(self, "bucket", site=site, thing="code", key_arn=key_arn, access_logs=access_logs)
        self.bucket_name = self._bucket.name
        self._zips = zips

    def of(self, function: str) -> FunctionCode:
        """Upload one function's zip."""
        zip = self.put(function, self._zips[function])
        code_hash = base64.b64encode(bytes.fromhex(zip.sha256)).decode()
        return FunctionCode(zip.stored.bucket, zip.stored.key, code_hash)

    def put(self, name: str, file: Path) -> StoredFile:
        """Upload a file; its key begins with ``name``."""
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        key = f"{name}/{digest}{file.suffix}"
        stored = S3Object(
            self,
            name,
            bucket=self._bucket.name,
            key=key,
            source=TerraformAsset(
                self, f"{name}-{file.suffix.removeprefix('.')}", path=str(file.resolve()), type=AssetType.FILE
            ).path,
            source_hash=digest,
            # Encryption and versions are the bucket's own.
            depends_on=[self._bucket.versioning, self._bucket.encryption],
        )
        return StoredFile(key, digest, stored)
