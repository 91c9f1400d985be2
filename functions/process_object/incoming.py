"""What came in, from S3 or over HTTP, as the uploads that are meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from functions.payments.gateway import Event, body_of
from functions.process_object.logic import Upload
from functions.uploads.errors import InvalidUploadRequestError

_ALLOWED = 'the body must be {"key": "incoming/..."}'


def notified(event: Mapping[str, Any]) -> list[Upload]:
    """The uploads that an event of S3 tells of; keys are URL-encoded in it ("Event message structure")."""
    return [
        Upload(
            bucket=record["s3"]["bucket"]["name"],
            key=unquote_plus(record["s3"]["object"]["key"]),
            version=record["s3"]["object"]["versionId"],
        )
        for record in event["Records"]
    ]


def asked(event: Event, bucket: str) -> Upload:
    """The upload that a request is about, or InvalidUploadRequestError."""
    try:
        body = json.loads(body_of(event) or "")
    except (ValueError, RecursionError):
        raise InvalidUploadRequestError(_ALLOWED) from None
    if not isinstance(body, dict) or body.keys() != {"key"} or not isinstance(body["key"], str):
        raise InvalidUploadRequestError(_ALLOWED)
    return Upload(bucket, body["key"])
