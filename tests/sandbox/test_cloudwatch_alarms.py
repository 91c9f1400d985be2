"""Alarms on metrics and metric math change state, notify, and read back as they were made."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.clients import AWAY, HOME, Clients, eventually

NAMESPACE = "Tripoint/Test"


def stat(name: str, identity: str, *, namespace: str = NAMESPACE, **dimensions: str) -> dict[str, Any]:
    return {
        "Id": identity,
        "ReturnData": False,
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": name,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": 60,
            "Stat": "Sum",
        },
    }


def failure_rate(name: str, *actions: str, **settings: Any) -> dict[str, Any]:
    """An alarm on the share of failed payments, in percent."""
    return {
        "AlarmName": name,
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": 1,
        "Threshold": 0.1,
        "TreatMissingData": "notBreaching",
        "AlarmActions": list(actions),
        "Metrics": [
            stat("Failed", "failed", Service=name),
            stat("Total", "total", Service=name),
            {"Id": "rate", "Expression": "100 * FILL(failed, 0) / total", "Label": "failure rate"},
        ],
        **settings,
    }


def publish(aws: Clients, service: str, region: str = HOME, **values: float) -> None:
    dimensions = [{"Name": "Service", "Value": service}]
    aws("cloudwatch", region).put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {"MetricName": metric, "Value": value, "Dimensions": dimensions, "Unit": "Count"}
            for metric, value in values.items()
        ],
    )


def described(aws: Clients, name: str, region: str = HOME) -> dict[str, Any]:
    (alarm,) = aws("cloudwatch", region).describe_alarms(AlarmNames=[name])["MetricAlarms"]
    found: dict[str, Any] = alarm
    return found


def state(aws: Clients, name: str, expected: str, region: str = HOME) -> str:
    found = eventually(lambda: described(aws, name, region)["StateValue"], lambda value: value == expected)
    return str(found)


def topic_with_queue(aws: Clients, name: str, region: str = HOME) -> tuple[str, str]:
    topic = aws("sns", region).create_topic(Name=name)["TopicArn"]
    url, arn = aws.queue(name, region=region)
    aws("sns", region).subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return topic, url


def test_a_failure_rate_over_the_threshold_alarms_and_notifies(aws: Clients) -> None:
    topic, url = topic_with_queue(aws, "alerts")
    aws("cloudwatch").put_metric_alarm(**failure_rate("pay-rate", topic))
    publish(aws, "pay-rate", Failed=1, Total=1000)
    assert state(aws, "pay-rate", "OK") == "OK"  # exactly 0.1 %
    publish(aws, "pay-rate", Failed=1, Total=1)
    assert state(aws, "pay-rate", "ALARM") == "ALARM"
    (message,) = [json.loads(json.loads(body)["Message"]) for body in aws.receive(url)]
    assert (message["AlarmName"], message["NewStateValue"]) == ("pay-rate", "ALARM")
    assert message["Region"] == HOME


def test_upstream_still_does_not_evaluate_metric_math(plain_aws: Clients) -> None:
    plain_aws("cloudwatch").put_metric_alarm(**failure_rate("pay-rate"))
    publish(plain_aws, "pay-rate", Failed=1, Total=1)
    assert described(plain_aws, "pay-rate")["StateValue"] == "INSUFFICIENT_DATA"


def test_an_alarm_sees_the_metrics_of_its_own_dimensions_and_region_only(aws: Clients) -> None:
    aws("cloudwatch").put_metric_alarm(**failure_rate("mine"))
    publish(aws, "another", Failed=1, Total=1)
    publish(aws, "mine", AWAY, Failed=1, Total=1)
    publish(aws, "mine", Total=10)
    assert state(aws, "mine", "OK") == "OK"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [("breaching", "ALARM"), ("notBreaching", "OK"), ("missing", "INSUFFICIENT_DATA")],
)
def test_missing_data_is_treated_as_the_alarm_says(aws: Clients, missing: str, expected: str) -> None:
    name = f"silent-{missing}"
    aws("cloudwatch").put_metric_alarm(**failure_rate(name, TreatMissingData=missing))
    assert state(aws, name, expected) == expected


def test_an_alarm_on_a_dynamodb_metric_ignores_missing_data_whatever_it_says(aws: Clients) -> None:
    aws("cloudwatch").put_metric_alarm(
        AlarmName="replication",
        Namespace="AWS/DynamoDB",
        MetricName="ReplicationLatency",
        Dimensions=[{"Name": "TableName", "Value": "none"}],
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="breaching",
    )
    # Made after it, so once this one is evaluated the other has been too.
    aws("cloudwatch").put_metric_alarm(**failure_rate("after-replication", TreatMissingData="breaching"))
    assert state(aws, "after-replication", "ALARM") == "ALARM"
    assert described(aws, "replication")["StateValue"] == "INSUFFICIENT_DATA"


def test_a_percentile_alarm_is_evaluated_on_the_percentile(aws: Clients) -> None:
    aws("cloudwatch").put_metric_alarm(
        AlarmName="slow",
        Namespace=NAMESPACE,
        MetricName="Latency",
        Dimensions=[{"Name": "Service", "Value": "slow"}],
        ExtendedStatistic="p99",
        Period=60,
        EvaluationPeriods=1,
        Threshold=500.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    for latency in (10, 20, 30, 900):
        publish(aws, "slow", Latency=latency)
    assert state(aws, "slow", "ALARM") == "ALARM"
    assert "Statistic" not in described(aws, "slow")


def test_a_composite_alarm_follows_its_children(aws: Clients) -> None:
    cloudwatch = aws("cloudwatch")
    cloudwatch.put_metric_alarm(**failure_rate("child"))
    cloudwatch.put_composite_alarm(AlarmName="parent", AlarmRule='ALARM("child")')
    publish(aws, "child", Failed=5, Total=5)
    found = eventually(
        lambda: cloudwatch.describe_alarms(AlarmNames=["parent"], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0],
        lambda alarm: alarm["StateValue"] == "ALARM",
    )
    assert found["StateValue"] == "ALARM"


def test_expressions_answer_in_get_metric_data(aws: Clients) -> None:
    publish(aws, "graph", Failed=1, Total=4)
    now = datetime.now(UTC)
    results = aws("cloudwatch").get_metric_data(
        StartTime=now - timedelta(minutes=5),
        EndTime=now + timedelta(minutes=1),
        MetricDataQueries=[
            stat("Failed", "failed", Service="graph"),
            stat("Total", "total", Service="graph"),
            {"Id": "rate", "Expression": "100 * failed / total", "Label": "rate"},
        ],
    )["MetricDataResults"]
    assert [(result["Id"], result["Values"]) for result in results] == [("rate", [25.0])]


EMBEDDED = """
import json, time
def handler(event, context):
    print(json.dumps({
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [{
            "Namespace": "Tripoint/Embedded",
            "Dimensions": [["Service"], ["Service", "Region"]],
            "Metrics": [{"Name": "Settled", "Unit": "Count"}, {"Name": "Took", "Unit": "Milliseconds"}]}]},
        "Service": "payments", "Region": "us-east-1", "Settled": 1, "Took": [5, 7], "level": "INFO"}))
"""


def sums(aws: Clients, namespace: str, metric: str, **dimensions: str) -> list[float]:
    now = datetime.now(UTC)
    query = stat(metric, "m", namespace=namespace, **dimensions) | {"ReturnData": True}
    results = aws("cloudwatch").get_metric_data(
        StartTime=now - timedelta(minutes=5), EndTime=now + timedelta(minutes=1), MetricDataQueries=[query]
    )["MetricDataResults"]
    return [sum(result["Values"]) for result in results]


def test_embedded_metrics_of_a_function_become_metrics(aws: Clients) -> None:
    aws.function("embeds", EMBEDDED)
    aws.invoke("embeds")
    aws.invoke("embeds")
    assert sums(aws, "Tripoint/Embedded", "Settled", Service="payments") == [2.0]
    assert sums(aws, "Tripoint/Embedded", "Settled", Service="payments", Region="us-east-1") == [2.0]
    assert sums(aws, "Tripoint/Embedded", "Took", Service="payments") == [24.0]


def test_upstream_still_makes_no_metrics_of_embedded_ones(plain_aws: Clients) -> None:
    plain_aws.function("embeds", EMBEDDED)
    plain_aws.invoke("embeds")
    listed = plain_aws("cloudwatch").list_metrics(Namespace="Tripoint/Embedded")["Metrics"]
    assert listed == []


@pytest.mark.parametrize(
    ("pattern", "line", "expected"),
    [
        ('{ $.level = "ERROR" }', '{"level": "ERROR"}', 1.0),
        ('{ $.level = "ERROR" }', '{"level": "INFO"}', 0.0),
        ('{ ($.level = "ERR*") && ($.detail.amount >= 100) }', '{"level": "ERROR", "detail": {"amount": 100}}', 1.0),
        ("{ $.error IS NULL }", '{"error": null}', 1.0),
        ("{ $.error IS NULL }", '{"level": "INFO"}', 0.0),
        ("{ $.error NOT EXISTS }", '{"level": "INFO"}', 1.0),
        ("ERROR -ignored", "an ERROR here", 1.0),
        ("ERROR -ignored", "an ERROR ignored", 0.0),
    ],
)
def test_a_metric_filter_counts_what_its_pattern_matches(
    aws: Clients, pattern: str, line: str, expected: float
) -> None:
    logs, group = aws("logs"), f"/filtered/{abs(hash((pattern, line)))}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    made = {"metricName": group, "metricNamespace": "Tripoint/Filtered", "metricValue": "1", "defaultValue": 0.0}
    logs.put_metric_filter(logGroupName=group, filterName="f", filterPattern=pattern, metricTransformations=[made])
    stamp = int(datetime.now(UTC).timestamp() * 1000)
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=[{"timestamp": stamp, "message": line}])
    assert sums(aws, "Tripoint/Filtered", group) == [expected]


def test_the_query_protocol_describes_alarms_in_full(aws: Clients) -> None:
    """Terraform's provider speaks this protocol: what it can't read back, it plans to change."""
    import httpx

    aws("cloudwatch").put_metric_alarm(**failure_rate("in-full", AlarmDescription="a < b"))
    answer = httpx.post(
        aws.endpoint,
        data={"Action": "DescribeAlarms", "Version": "2010-08-01", "AlarmNames.member.1": "in-full"},
        headers={
            "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/monitoring/aws4_request, "
            "SignedHeaders=host, Signature=0"
        },
        timeout=60,
    ).text
    for part in (
        "<Expression>100 * FILL(failed, 0) / total</Expression>",
        "<TreatMissingData>notBreaching</TreatMissingData>",
        "<ReturnData>false</ReturnData>",
        "<AlarmDescription>a &lt; b</AlarmDescription>",
    ):
        assert part in answer
