"""Totals of processed uploads, for who invokes the function."""

from __future__ import annotations

from typing import Any

from functions.analyze_uploads.logic import analyze, asked
from functions.analyze_uploads.storage import S3Summaries
from functions.payments import aws
from functions.payments.settings import load
from functions.payments.telemetry import instrumented
from functions.uploads.settings import SummarySettings


@instrumented
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    settings = load(SummarySettings)
    summaries = S3Summaries(aws.client("s3", settings.aws_region), settings.uploads_bucket)
    return analyze(asked(event), summaries=summaries)
