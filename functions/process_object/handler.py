"""Uploads are processed as S3 tells of them, and one at a time over HTTP."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from functions.payments import aws
from functions.payments.settings import load
from functions.payments.telemetry import instrumented, logger
from functions.process_object import API_BASE_PATH, answers, incoming
from functions.process_object.counts import count
from functions.process_object.logic import Upload, process
from functions.process_object.storage import S3Uploads
from functions.sessions import container
from functions.uploads.errors import UploadSupersededError
from functions.uploads.settings import UploadSettings
from functions.uploads.summary import Summary

# Behind the custom domain the path starts with the base path; on the API's own host it does not.
app = APIGatewayRestResolver(strip_prefixes=[f"/{API_BASE_PATH}"])
app.exception_handler(Exception)(answers.failed)
app.not_found(answers.no_such_resource)


@app.post("/process")
def post_process() -> Response[str]:
    upload = incoming.asked(app.current_event, load(UploadSettings).uploads_bucket)
    return answers.summarized(upload.key, _process(upload))


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    if "Records" not in event:
        return app.resolve(event, context)
    summaries = []
    for upload in incoming.notified(event):
        try:
            summaries.append(json.loads(_process(upload).to_json()))
        except UploadSupersededError:  # the newer version's own event comes, or has come
            logger.info("superseded", version=upload.version)
    return {"summaries": summaries}


def _process(upload: Upload) -> Summary:
    settings = load(UploadSettings)
    uploads = S3Uploads(aws.client("s3", settings.aws_region), settings.uploads_bucket, settings.uploads_key_arn)
    summary, fresh = process(upload, uploads=uploads, sessions=container.sessions(), max_bytes=settings.max_bytes)
    logger.info("upload", version=summary.version, status=summary.status, reason=summary.reason, fresh=fresh)
    if fresh:
        count(summary)
    return summary
