"""Uploads and their summaries in this region's bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from functions.payments import aws
from functions.uploads import summary_key
from functions.uploads.errors import SummaryConflictError, UploadsUnavailableError
from functions.uploads.summary import Summary

_CHUNK_BYTES = 256 * 1024


class Found(NamedTuple):
    """The newest version of an upload; `lines` come from S3 as they are read."""

    version: str
    size: int
    uploaded_at: str
    lines: Iterator[bytes]


class Uploads(Protocol):
    """What the logic asks of the bucket."""

    def version(self, key: str) -> str | None:
        """The newest version of an upload, None when there is none."""
        ...

    def open(self, key: str) -> Found | None:
        """The newest version of an upload, to be read, None when there is none."""
        ...

    def summary_tag(self, key: str) -> str | None:
        """What tells the present summary of an upload from any other, None when it has none."""
        ...

    def put_summary(self, key: str, summary: Summary, *, instead_of: str | None) -> None:
        """Write the summary of an upload in place of the one with a tag, or the first one.

        Raises
        ------
        SummaryConflictError
            When another one is there.
        """
        ...


class S3Uploads:
    """The uploads bucket."""

    def __init__(self, client: Any, bucket: str, key_arn: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key_arn = key_arn

    def version(self, key: str) -> str | None:
        """See `Uploads.version`."""
        head = self._head(key)
        return str(head["VersionId"]) if head else None

    def open(self, key: str) -> Found | None:
        """See `Uploads.open`."""
        from botocore.exceptions import ClientError

        try:
            with _translated():
                found = self._client.get_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if aws.error_code(error) != "NoSuchKey":
                raise
            return None
        uploaded_at = found["LastModified"].strftime("%Y-%m-%dT%H:%M:%SZ")
        return Found(found["VersionId"], found["ContentLength"], uploaded_at, _lines(found["Body"]))

    def summary_tag(self, key: str) -> str | None:
        """See `Uploads.summary_tag`."""
        head = self._head(summary_key(key))
        return str(head["ETag"]) if head else None

    def put_summary(self, key: str, summary: Summary, *, instead_of: str | None) -> None:
        """See `Uploads.put_summary`."""
        from botocore.exceptions import ClientError

        try:
            with _translated():
                self._client.put_object(
                    Bucket=self._bucket,
                    Key=summary_key(key),
                    Body=summary.to_json().encode(),
                    ContentType="application/json",
                    ServerSideEncryption="aws:kms",
                    SSEKMSKeyId=self._key_arn,
                    **({"IfNoneMatch": "*"} if instead_of is None else {"IfMatch": instead_of}),
                )
        except ClientError as error:
            code = aws.error_code(error)
            # NoSuchKey: the one to be replaced has gone.
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"):
                raise SummaryConflictError(code) from error
            raise

    def _head(self, key: str) -> dict[str, Any] | None:
        from botocore.exceptions import ClientError

        try:
            with _translated():
                head: dict[str, Any] = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if aws.error_code(error) != "404":
                raise
            return None
        return head


def _lines(body: Any) -> Iterator[bytes]:
    from botocore.exceptions import IncompleteReadError

    try:
        with _translated():
            yield from body.iter_lines(chunk_size=_CHUNK_BYTES)
    except IncompleteReadError as error:
        raise UploadsUnavailableError("the object ended early") from error
    finally:
        body.close()


def _translated() -> Any:
    return aws.translated(throttled=UploadsUnavailableError, unavailable=UploadsUnavailableError)
