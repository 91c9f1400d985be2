"""Unusual activity, on the deployed resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from tests.integration.conftest import Deployment


@pytest.fixture
def impatient(full: Deployment) -> Any:
    """The deployed alarm on requests to receipts, with a threshold that a test can reach, and put back afterwards."""
    region = full.regions[0]
    cloudwatch = full.client("cloudwatch", region)
    name = next(name for name in full.output("observability", region, "alarm_names") if "receipts-activity" in name)
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    shape = boto3.client("cloudwatch", region_name=region).meta.service_model.operation_model("PutMetricAlarm")
    kept = {key: value for key, value in alarm.items() if key in shape.input_shape.members and value not in ("", [])}
    cloudwatch.put_metric_alarm(**{**kept, "Threshold": 2.0, "DatapointsToAlarm": 1})
    yield region, name
    cloudwatch.put_metric_alarm(**kept)


def test_many_requests_for_receipts_raise_the_alarm(
    full: Deployment, impatient: tuple[str, str], eventually: Callable[..., Any]
) -> None:
    """OPT-08: S3 counts the requests of the deployed bucket, and the deployed alarm sees them."""
    region, name = impatient
    s3, cloudwatch = full.client("s3", region), full.client("cloudwatch", region)
    bucket = full.output("data", region, "receipts_bucket_name")
    for _ in range(5):
        s3.list_objects_v2(Bucket=bucket)
    state = eventually(
        lambda: [
            alarm
            for alarm in cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
            if alarm["StateValue"] == "ALARM"
        ]
    )
    assert state[0]["AlarmActions"] == [full.output("observability", region, "alert_topic_arn")]


def test_every_region_counts_requests_to_its_receipts(full: Deployment) -> None:
    """OPT-08."""
    for region in full.regions:
        bucket = full.output("data", region, "receipts_bucket_name")
        found = full.client("s3", region).get_bucket_metrics_configuration(Bucket=bucket, Id="EntireBucket")
        assert found["MetricsConfiguration"]["Id"] == "EntireBucket"
        assert "Filter" not in found["MetricsConfiguration"]
