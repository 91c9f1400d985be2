"""The summaries in this region's bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from functions.payments import aws
from functions.uploads.errors import UploadsUnavailableError


class Listed(NamedTuple):
    """A summary by its key, and the day (UTC) on which it was written."""

    key: str
    written_on: str


class Summaries(Protocol):
    """What the logic asks of the bucket."""

    def list(self, prefix: str) -> Iterator[Listed]:
        """Every summary whose key starts like that."""
        ...

    def read(self, key: str) -> bytes | None:
        """A summary, None when it has gone."""
        ...


class S3Summaries:
    """The uploads bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Summaries.list`."""
        more: dict[str, str] = {}
        while True:
            with _translated():
                page = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)
            for found in page.get("Contents", []):
                yield Listed(found["Key"], found["LastModified"].strftime("%Y-%m-%d"))
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str) -> bytes | None:
        """See `Summaries.read`."""
        from botocore.exceptions import ClientError

        try:
            with _translated():
                body: bytes = self._client.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if aws.error_code(error) != "NoSuchKey":
                raise
            return None
        return body


def _translated() -> Any:
    return aws.translated(throttled=UploadsUnavailableError, unavailable=UploadsUnavailableError)
