"""The observability layer's promises, on the synthesized stacks."""

from __future__ import annotations

import json

import pytest

from functions.catalogue import METRICS, SERVICE_NAME
from stacks.observability import metrics
from tests.stacks.conftest import Synthesized


def test_metrics_are_those_that_the_functions_write() -> None:
    """PAY-12: alarm and functions speak of the same metrics."""
    assert {metrics.RECEIVED, *metrics.FINAL.values()} == set(METRICS)
    assert metrics.SERVICE == SERVICE_NAME


def test_failure_alarm_is_a_ratio_over_a_tenth_of_a_percent(sandbox: Synthesized) -> None:
    """PAY-12: alarm on transaction failures above 0.1 % by metric math, notifying the topic."""
    for region in sandbox.environment.regions:
        alarm = sandbox.only(f"observability-{region}", "aws_cloudwatch_metric_alarm")
        (topic,) = sandbox.resources(f"observability-{region}", "aws_sns_topic")
        assert alarm["threshold"] == pytest.approx(0.1)
        assert alarm["comparison_operator"] == "GreaterThanThreshold"
        assert alarm["treat_missing_data"] == "notBreaching"
        assert alarm["alarm_actions"] == [f"${{aws_sns_topic.{topic}.arn}}"]
        rate, *inputs = alarm["metric_query"]
        assert rate["return_data"] is True
        assert {query["id"] for query in inputs} == set(metrics.FINAL)
        for id in metrics.FINAL:
            assert f"FILL({id}, 0)" in rate["expression"]


def test_topic_and_queue_are_encrypted_and_admit_only_each_other(sandbox: Synthesized) -> None:
    """PAY-07: SNS alert topic in every region, encrypted, to the on-call queue; PAY-19."""
    stack = "observability-eu-west-1"
    assert "data-eu-west-1" in sandbox.only(stack, "aws_sns_topic")["kms_master_key_id"]
    assert "data-eu-west-1" in sandbox.only(stack, "aws_sqs_queue")["kms_master_key_id"]
    (statement,) = json.loads(sandbox.only(stack, "aws_sqs_queue_policy")["policy"])["Statement"]
    (topic,) = sandbox.resources(stack, "aws_sns_topic")
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": f"${{aws_sns_topic.{topic}.arn}}"}}


def test_dashboard_of_each_region_shows_all_regions(sandbox: Synthesized) -> None:
    """PAY-09: dashboards that aggregate the metrics of all regions."""
    for region in sandbox.environment.regions:
        body = json.loads(sandbox.only(f"observability-{region}", "aws_cloudwatch_dashboard")["dashboard_body"])
        for widget in body["widgets"]:
            shown = {line[-1]["region"] for line in widget["properties"]["metrics"] if isinstance(line[-1], dict)}
            assert shown == set(sandbox.environment.regions), widget["properties"]["title"]


def test_flow_logs_of_all_traffic(sandbox: Synthesized) -> None:
    """PAY-17: flow logs."""
    assert sandbox.only("observability-us-east-1", "aws_flow_log")["traffic_type"] == "ALL"
