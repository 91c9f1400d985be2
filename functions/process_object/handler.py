"""Uploads are processed as S3 tells of them, and one at a time over HTTP."""

from __future__ import annotations

import json
from typing import Any

from functions.payments import aws
from functions.payments.gateway import Answer, Event, Routes
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

routes = Routes(API_BASE_PATH)


@routes.on("POST", "/process")
def post_process(event: Event) -> Answer:
    upload = incoming.asked(event, load(UploadSettings).uploads_bucket)
    return answers.summarized(upload.key, _process(upload))


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    if "Records" not in event:
        return _answered(event)
    summaries = []
    for upload in incoming.notified(event):
        try:
            summaries.append(json.loads(_process(upload).to_json()))
        except UploadSupersededError:  # the newer version's own event comes, or has come
            logger.info("superseded", version=upload.version)
    return {"summaries": summaries}


def _answered(event: Event) -> Answer:
    route = routes.find(event)
    try:
        return route() if route else answers.no_such_resource()
    except Exception as error:
        return answers.failed(error)


def _process(upload: Upload) -> Summary:
    settings = load(UploadSettings)
    uploads = S3Uploads(aws.client("s3", settings.aws_region), settings.uploads_bucket, settings.uploads_key_arn)
    summary, fresh = process(upload, uploads=uploads, sessions=container.sessions(), max_bytes=settings.max_bytes)
    logger.info("upload", version=summary.version, status=summary.status, reason=summary.reason, fresh=fresh)
    if fresh:
        count(summary)
    return summary
