"""Requests and queues leave the metrics and log lines that alarms and dashboards are built on."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.sandbox.clients import ACCOUNT, HOME, Clients, eventually


def metrics(aws: Clients, namespace: str, name: str, value: str) -> set[str]:
    found = aws("cloudwatch").list_metrics(Namespace=namespace, Dimensions=[{"Name": name, "Value": value}])
    return {metric["MetricName"] for metric in found["Metrics"]}


def deploy_api(aws: Clients, name: str) -> str:
    """A stage with an access log and one resource that a function answers; the URL of the stage."""
    gateway = aws("apigateway")
    arn = aws.function(name, "def handler(e, c): return {'statusCode': 200, 'body': '{}'}")["FunctionArn"]
    aws("logs").create_log_group(logGroupName=f"/api/{name}")
    api = gateway.create_rest_api(name=name)
    resource = gateway.create_resource(restApiId=api["id"], parentId=api["rootResourceId"], pathPart="health")
    where = {"restApiId": api["id"], "resourceId": resource["id"], "httpMethod": "GET"}
    gateway.put_method(**where, authorizationType="NONE")
    uri = f"arn:aws:apigateway:{HOME}:lambda:path/2015-03-31/functions/{arn}/invocations"
    gateway.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    deployment = gateway.create_deployment(restApiId=api["id"])["id"]
    gateway.create_stage(restApiId=api["id"], stageName="live", deploymentId=deployment)
    line = json.dumps({"path": "$context.resourcePath", "status": "$context.status", "error": "$context.error.message"})
    group = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/api/{name}"
    gateway.update_stage(
        restApiId=api["id"],
        stageName="live",
        patchOperations=[
            {"op": "replace", "path": "/accessLogSettings/destinationArn", "value": group},
            {"op": "replace", "path": "/accessLogSettings/format", "value": line},
        ],
    )
    return f"{aws.endpoint}/restapis/{api['id']}/live/_user_request_"


def access_log(aws: Clients, name: str) -> list[dict[str, Any]]:
    found = aws("logs").filter_log_events(logGroupName=f"/api/{name}")["events"]
    return [json.loads(event["message"]) for event in found]


def test_requests_are_counted_and_written_to_the_access_log(aws: Clients) -> None:
    url = deploy_api(aws, "counted-api")
    assert httpx.get(f"{url}/health", timeout=60).status_code == 200
    assert httpx.get(f"{url}/nowhere", timeout=60).status_code == 403
    assert access_log(aws, "counted-api") == [
        {"path": "/health", "status": "200", "error": "-"},
        {"path": "", "status": "403", "error": "Missing Authentication Token"},
    ]
    expected = {"Count", "4XXError", "5XXError", "Latency", "IntegrationLatency"}
    assert metrics(aws, "AWS/ApiGateway", "ApiName", "counted-api") == expected


def test_upstream_still_neither_logs_nor_counts_requests(plain_aws: Clients) -> None:
    url = deploy_api(plain_aws, "counted-api")
    assert httpx.get(f"{url}/health", timeout=60).status_code == 200
    assert access_log(plain_aws, "counted-api") == []
    assert metrics(plain_aws, "AWS/ApiGateway", "ApiName", "counted-api") == set()


@pytest.mark.parametrize("fixture", ["aws", "plain_aws"])
def test_an_alarm_sees_what_waits_in_a_dead_letter_queue(request: pytest.FixtureRequest, fixture: str) -> None:
    clients: Clients = request.getfixturevalue(fixture)
    url, _ = clients.queue("dead-letters")
    clients("cloudwatch").put_metric_alarm(
        AlarmName="dead-letters",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "dead-letters"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    clients("sqs").send_message(QueueUrl=url, MessageBody="failed")

    def state() -> str:
        (alarm,) = clients("cloudwatch").describe_alarms(AlarmNames=["dead-letters"])["MetricAlarms"]
        return str(alarm["StateValue"])

    expected = "ALARM" if fixture == "aws" else "INSUFFICIENT_DATA"
    assert eventually(state, lambda value: value == "ALARM", wait_s=60.0 if fixture == "aws" else 1.0) == expected


def use_table(aws: Clients) -> set[str]:
    aws("dynamodb").create_table(
        TableName="measured-table",
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
    )
    aws("dynamodb").put_item(TableName="measured-table", Item={"id": {"S": "1"}})
    aws("dynamodb").get_item(TableName="measured-table", Key={"id": {"S": "1"}})
    return metrics(aws, "AWS/DynamoDB", "TableName", "measured-table")


def test_requests_to_tables_are_measured(aws: Clients) -> None:
    expected = {"SuccessfulRequestLatency", "ConsumedWriteCapacityUnits", "ConsumedReadCapacityUnits"}
    assert use_table(aws) == expected


def test_upstream_still_measures_no_tables(plain_aws: Clients) -> None:
    assert use_table(plain_aws) == set()


def test_requests_to_a_bucket_with_a_metrics_configuration_are_counted(aws: Clients) -> None:
    """OPT-08: AllRequests and its parts, by bucket and filter; none without a configuration."""
    s3 = aws("s3")
    for bucket in ("counted-bucket", "uncounted-bucket"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_metrics_configuration(Bucket="counted-bucket", Id="All", MetricsConfiguration={"Id": "All"})
    assert s3.get_bucket_metrics_configuration(Bucket="counted-bucket", Id="All")["MetricsConfiguration"]["Id"] == "All"
    listed = s3.list_bucket_metrics_configurations(Bucket="counted-bucket")["MetricsConfigurationList"]
    assert [found["Id"] for found in listed] == ["All"]
    for bucket in ("counted-bucket", "uncounted-bucket"):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        s3.get_object(Bucket=bucket, Key="k")
        with pytest.raises(s3.exceptions.ClientError):
            s3.get_object(Bucket=bucket, Key="none")
    expected = {"AllRequests", "GetRequests", "PutRequests", "4xxErrors"}
    assert metrics(aws, "AWS/S3", "BucketName", "counted-bucket") == expected
    assert metrics(aws, "AWS/S3", "BucketName", "uncounted-bucket") == set()
    s3.delete_bucket_metrics_configuration(Bucket="counted-bucket", Id="All")
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchConfiguration"):
        s3.get_bucket_metrics_configuration(Bucket="counted-bucket", Id="All")
