"""Alarms on unusual activity of the stores."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.stacks.conftest import Synthesized

ALARMS = {"table-read-activity", "table-written-activity", "receipts-activity"}


@pytest.fixture
def full(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox-full.toml")


def test_reads_writes_and_requests_above_the_configured_numbers_are_alarming(full: Synthesized) -> None:
    """OPT-08: DynamoDB read and write activity, S3 activity, in every region."""
    for region, settings in full.environment.regions.items():
        alarms = {
            alarm["alarm_name"].removeprefix("tripoint-").removesuffix("-full"): alarm
            for alarm in full.resources(f"observability-{region}", "aws_cloudwatch_metric_alarm").values()
        }
        assert set(alarms) >= ALARMS
        assert alarms["table-read-activity"]["threshold"] == settings.activity.table_reads_per_period
        assert alarms["table-written-activity"]["threshold"] == settings.activity.table_writes_per_period
        assert alarms["receipts-activity"]["threshold"] == settings.activity.bucket_requests_per_period
        watched = {
            query["metric"]["dimensions"]["TableName"]
            for query in alarms["table-read-activity"]["metric_query"]
            if "metric" in query
        }
        assert watched == {f"tripoint-{thing}-full" for thing in ("payments", "sessions", "vault", "processor")}


def test_the_requests_that_are_watched_are_those_that_s3_counts(full: Synthesized) -> None:
    """OPT-08: request metrics are paid for, so they are on only with the capability, and carry the alarm's filter."""
    for region in full.environment.regions:
        (counted,) = (
            found
            for found in full.resources(f"observability-{region}", "aws_s3_bucket_metric").values()
            if "receipts_bucket_name" in found["bucket"]
        )
        (alarm,) = (
            alarm
            for alarm in full.resources(f"observability-{region}", "aws_cloudwatch_metric_alarm").values()
            if alarm["alarm_name"] == "tripoint-receipts-activity-full"
        )
        assert alarm["dimensions"]["FilterId"] == counted["name"]
        assert alarm["dimensions"]["BucketName"] == f"tripoint-receipts-000000000000-{region}-full"


def test_the_dashboard_shows_the_activity(full: Synthesized) -> None:
    """OPT-08, PAY-09."""
    for region in full.environment.regions:
        bodies = [
            json.loads(dashboard["dashboard_body"])
            for dashboard in full.resources(f"observability-{region}", "aws_cloudwatch_dashboard").values()
            if "-region-" in dashboard["dashboard_name"]
        ]
        titles = {widget["properties"].get("title") for body in bodies for widget in body["widgets"]}
        assert {"Units read, by table", "Units written, by table", "Requests to the receipts bucket"} <= titles
