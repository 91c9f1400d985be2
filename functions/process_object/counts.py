"""Counts of uploads, in CloudWatch's embedded metric format."""

from __future__ import annotations

from enum import StrEnum

from functions.uploads.summary import Status, Summary


class UploadMetric(StrEnum):
    """The dashboard names them."""

    PROCESSED = "UploadsProcessed"
    REFUSED = "UploadsRefused"


def count(summary: Summary) -> None:
    """Count one upload by what became of it."""
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    metric = UploadMetric.PROCESSED if summary.status is Status.PROCESSED else UploadMetric.REFUSED
    metrics = EphemeralMetrics()
    metrics.add_metric(name=metric.value, unit=MetricUnit.Count, value=1)
    metrics.flush_metrics()
