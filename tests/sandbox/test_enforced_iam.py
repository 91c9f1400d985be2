"""With IAM enforced, services do what their roles, and the policies of what they reach, allow; nothing without."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from rollout.sandbox import Sandbox
from tests.ports import free_port
from tests.sandbox.clients import ACCOUNT, AWAY, HOME, Clients, eventually

ANSWERS = "def handler(event, context): return {'statusCode': 200, 'body': 'fine'}"
LAMBDA = "lambda.amazonaws.com"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clients]:
    home = tmp_path_factory.mktemp("enforced")
    with Sandbox(f"http://127.0.0.1:{free_port()}", home, enforce_iam=True) as running:
        yield Clients(running.endpoint)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def role(aws: Clients, name: str, service: str, source: str = "*") -> str:
    """A role that a service may assume for a resource; it may do nothing."""
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": ACCOUNT}, "ArnLike": {"aws:SourceArn": source}},
    }
    found: str = aws("iam").create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    return found


def grant(aws: Clients, name: str, *actions: str, resource: str = "*") -> None:
    allowed = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    aws("iam").put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(allowed))


def revoke(aws: Clients, name: str) -> None:
    aws("iam").delete_role_policy(RoleName=name, PolicyName="p")


def function(aws: Clients, name: str, source: str = ANSWERS, *, region: str = HOME, **settings: Any) -> str:
    """A function whose role only trusts Lambda."""
    role(aws, name, LAMBDA)
    arn: str = aws.function(name, source, region=region, **settings)["FunctionArn"]
    return arn


def admit(aws: Clients, name: str, service: str, source: str) -> None:
    aws("lambda").add_permission(
        FunctionName=name, StatementId="s", Action="lambda:InvokeFunction", Principal=service, SourceArn=source
    )


def queue_policy(arn: str, service: str, source: str) -> str:
    return document(
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": source}},
        }
    )


def asked(aws: Clients, action: str, **wanted: Any) -> list[dict[str, Any]]:
    """The recorded calls of an action."""
    calls = httpx.get(f"{aws.endpoint}/_ministack/iam", timeout=60).json()["calls"]
    return [call for call in calls if call["action"] == action and wanted.items() <= call.items()]


# -- Step Functions -------------------------------------------------------------------------------


def test_state_machine_invokes_what_its_role_allows(strict: Clients) -> None:
    step = function(strict, "step")
    machine = f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:runs"
    runs = role(strict, "runs", "states.amazonaws.com", machine)
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": step},
        "End": True,
    }
    definition = json.dumps({"StartAt": "Call", "States": {"Call": task}})
    states = strict("stepfunctions")
    states.create_state_machine(name="runs", definition=definition, roleArn=runs)

    def execute() -> dict[str, Any]:
        started = states.start_execution(stateMachineArn=machine)["executionArn"]
        return eventually(
            lambda: states.describe_execution(executionArn=started), lambda run: run["status"] != "RUNNING"
        )

    refused = execute()
    assert refused["status"] == "FAILED"
    assert refused["error"] == "Lambda.AWSLambdaException"
    assert "not authorized to perform: lambda:InvokeFunction" in refused["cause"]
    grant(strict, "runs", "lambda:InvokeFunction", resource=step)
    assert execute()["status"] == "SUCCEEDED"
    (allowed,) = asked(strict, "lambda:InvokeFunction", principal=runs, allowed=True)
    assert (allowed["resource"], allowed["via"]) == (step, "states.amazonaws.com")


def test_state_machine_whose_role_trusts_another_one_is_refused(strict: Clients) -> None:
    other = f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:other"
    theirs = role(strict, "theirs", "states.amazonaws.com", other)
    definition = json.dumps({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}})
    with pytest.raises(ClientError, match="authorized to assume the provided role"):
        strict("stepfunctions").create_state_machine(name="mine", definition=definition, roleArn=theirs)


def test_state_machine_logs_only_if_its_role_may_deliver_logs(strict: Clients) -> None:
    logs = role(strict, "logs", "states.amazonaws.com")
    definition = json.dumps({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "End": True}}})
    settings = {"name": "logs", "definition": definition, "roleArn": logs, "loggingConfiguration": {"level": "ALL"}}
    with pytest.raises(ClientError, match="not authorized to access the Log Destination"):
        strict("stepfunctions").create_state_machine(**settings)
    delivery = [f"logs:{verb}LogDelivery" for verb in ("Create", "Get", "Update", "Delete")]
    others = ("ListLogDeliveries", "PutResourcePolicy", "DescribeResourcePolicies", "DescribeLogGroups")
    grant(strict, "logs", *delivery, *(f"logs:{name}" for name in others))
    strict("stepfunctions").create_state_machine(**settings)


# -- EventBridge ----------------------------------------------------------------------------------


class Route:
    """A rule of a bus of its own, its target, and the queue of what it could not deliver."""

    def __init__(self, aws: Clients, name: str) -> None:
        self.aws, self.name = aws, name
        aws("events").create_event_bus(Name=name)
        self.rule = f"arn:aws:events:{HOME}:{ACCOUNT}:rule/{name}/{name}"
        self.dead, self.dead_arn = aws.queue(f"{name}-dead")
        admitted = queue_policy(self.dead_arn, "events.amazonaws.com", self.rule)
        aws("sqs").set_queue_attributes(QueueUrl=self.dead, Attributes={"Policy": admitted})
        aws("events").put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["s"]}')

    def to(self, target: str, **settings: Any) -> None:
        settings = {"DeadLetterConfig": {"Arn": self.dead_arn}, **settings}
        self.aws("events").put_targets(
            Rule=self.name, EventBusName=self.name, Targets=[{"Id": "t", "Arn": target, **settings}]
        )

    def send(self) -> None:
        self.aws("events").put_events(
            Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}", "EventBusName": self.name}]
        )

    def undelivered(self) -> str:
        """The error code with which the event was kept; empty when none was."""
        found = (
            self.aws("sqs")
            .receive_message(QueueUrl=self.dead, MessageAttributeNames=["All"], WaitTimeSeconds=1)
            .get("Messages", [])
        )
        for message in found:
            self.aws("sqs").delete_message(QueueUrl=self.dead, ReceiptHandle=message["ReceiptHandle"])
        return str(found[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"]) if found else ""


def test_event_reaches_another_regions_bus_as_the_targets_role_allows(strict: Clients) -> None:
    route = Route(strict, "far")
    forwards = role(strict, "forwards", "events.amazonaws.com", route.rule)
    there = strict("events", AWAY).create_event_bus(Name="there")["EventBusArn"]
    route.to(there, RoleArn=forwards)
    route.send()
    assert route.undelivered() == "NO_PERMISSIONS"
    grant(strict, "forwards", "events:PutEvents", resource=there)
    route.send()
    assert route.undelivered() == ""
    assert asked(strict, "events:PutEvents", principal=forwards, allowed=True)


def test_role_that_trusts_another_rule_forwards_nothing(strict: Clients) -> None:
    route = Route(strict, "deputy")
    confused = role(strict, "confused", "events.amazonaws.com", route.rule + "-other")
    there = strict("events", AWAY).create_event_bus(Name="there-too")["EventBusArn"]
    grant(strict, "confused", "events:PutEvents", resource=there)
    route.to(there, RoleArn=confused)
    route.send()
    assert route.undelivered() == "NO_PERMISSIONS"


def test_rule_invokes_a_function_as_the_functions_policy_allows(strict: Clients) -> None:
    route = Route(strict, "calls")
    target = function(strict, "called")
    route.to(target)
    route.send()
    assert route.undelivered() == "NO_PERMISSIONS"
    admit(strict, "called", "events.amazonaws.com", route.rule)
    route.send()
    assert route.undelivered() == ""


def test_event_is_lost_when_the_dead_letter_queue_does_not_admit_the_rule(strict: Clients) -> None:
    route = Route(strict, "lost")
    route.to(function(strict, "unreached"))
    strict("sqs").set_queue_attributes(
        QueueUrl=route.dead,
        Attributes={"Policy": queue_policy(route.dead_arn, "events.amazonaws.com", route.rule + "-other")},
    )
    route.send()
    assert route.undelivered() == ""
    assert asked(strict, "sqs:SendMessage", resource=route.dead_arn, allowed=False)


def test_rule_sends_to_an_encrypted_queue_as_its_keys_policy_allows(strict: Clients) -> None:
    kms, route = strict("kms"), Route(strict, "sealed")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    url = strict("sqs").create_queue(QueueName="sealed", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    arn = f"arn:aws:sqs:{HOME}:{ACCOUNT}:sealed"
    admitted = queue_policy(arn, "events.amazonaws.com", route.rule)
    strict("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": admitted})
    route.to(arn)
    route.send()
    assert route.undelivered() == "NO_PERMISSIONS"
    use = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": "*"}
    kms.put_key_policy(KeyId=key, Policy=document({**use, "Action": ["kms:GenerateDataKey", "kms:Decrypt"]}))
    route.send()
    assert route.undelivered() == ""


def test_rule_writes_to_a_log_group_as_the_regions_resource_policy_allows(strict: Clients) -> None:
    logs, route = strict("logs"), Route(strict, "noted")
    group = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/aws/events/noted"
    logs.create_log_group(logGroupName="/aws/events/noted")
    route.to(group)
    admitted = {"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Resource": f"{group}:*"}
    create = {**admitted, "Action": "logs:CreateLogStream"}
    for rule in ("", route.rule + "-other"):
        condition = {"ArnEquals": {"aws:SourceArn": rule}}
        writes = [{**admitted, "Action": "logs:PutLogEvents", "Condition": condition}] if rule else []
        logs.put_resource_policy(policyName="noted", policyDocument=document(create, *writes))
        route.send()
        assert route.undelivered() == "NO_PERMISSIONS"
    writes = [{**admitted, "Action": "logs:PutLogEvents", "Condition": {"ArnEquals": {"aws:SourceArn": route.rule}}}]
    logs.put_resource_policy(policyName="noted", policyDocument=document(create, *writes))
    route.send()
    assert route.undelivered() == ""
    assert len(logs.filter_log_events(logGroupName="/aws/events/noted")["events"]) == 1


def test_bus_takes_a_key_only_if_the_keys_policy_admits_eventbridge(strict: Clients) -> None:
    key = strict("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match=r"events\.amazonaws\.com is not authorized to perform: kms:DescribeKey"):
        strict("events").create_event_bus(Name="sealed-bus", KmsKeyIdentifier=key)
    bus = f"arn:aws:events:{HOME}:{ACCOUNT}:event-bus/sealed-bus"
    use = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["kms:DescribeKey", "kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:EncryptionContext:aws:events:event-bus:arn": bus}},
    }
    strict("kms").put_key_policy(KeyId=key, Policy=document(use))
    strict("events").create_event_bus(Name="sealed-bus", KmsKeyIdentifier=key)


# -- Lambda ---------------------------------------------------------------------------------------


def test_function_whose_role_does_not_trust_lambda_is_refused(strict: Clients) -> None:
    role(strict, "stranger", "states.amazonaws.com")
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        strict.function("stranger", ANSWERS)


def test_function_in_a_vpc_needs_a_role_for_its_interfaces(strict: Clients) -> None:
    role(strict, "inside", LAMBDA)
    vpc = {"SubnetIds": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    with pytest.raises(ClientError, match="permissions to call CreateNetworkInterface on EC2"):
        strict.function("inside", ANSWERS, VpcConfig=vpc)


def test_function_opens_its_environment_only_with_its_key(strict: Clients) -> None:
    key = strict("kms").create_key()["KeyMetadata"]["Arn"]
    function(strict, "sealed-env", Environment={"Variables": {"A": "1"}}, KMSKeyArn=key)
    assert strict.invoke("sealed-env")["payload"]["errorType"] == "KMSAccessDeniedException"
    grant(strict, "sealed-env", "kms:Decrypt", resource=key)
    assert not strict.invoke("sealed-env")["error"]


def test_function_logs_only_if_its_role_may_write_logs(strict: Clients) -> None:
    function(strict, "speaks", "def handler(e, c): print('said')")
    strict.invoke("speaks")
    logs = strict("logs")
    groups = [group["logGroupName"] for group in logs.describe_log_groups()["logGroups"]]
    assert "/aws/lambda/speaks" not in groups
    grant(strict, "speaks", "logs:CreateLogStream", "logs:PutLogEvents")
    strict.invoke("speaks")
    assert "said" in json.dumps(logs.filter_log_events(logGroupName="/aws/lambda/speaks")["events"])


def test_call_needs_the_key_of_what_it_reaches(strict: Clients) -> None:
    """A role with s3:PutObject alone can't write under a customer managed key."""
    key = strict("kms").create_key()["KeyMetadata"]["Arn"]
    strict("s3").create_bucket(Bucket="vaulted")
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    strict("s3").put_bucket_encryption(Bucket="vaulted", ServerSideEncryptionConfiguration={"Rules": [default]})
    put = "import boto3\ndef handler(e, c): boto3.client('s3').put_object(Bucket='vaulted', Key='k', Body=b'')"
    function(strict, "archives", put)
    grant(strict, "archives", "s3:PutObject")
    assert strict.invoke("archives")["error"]
    assert asked(strict, "kms:GenerateDataKey", resource=key, allowed=False)
    grant(strict, "archives", "s3:PutObject", "kms:GenerateDataKey")
    assert not strict.invoke("archives")["error"]


def test_failed_event_is_kept_only_if_the_role_may_send(strict: Clients) -> None:
    url, arn = strict.queue("kept")
    name, settings = "drops", {"DeadLetterConfig": {"TargetArn": arn}}
    role(strict, name, LAMBDA)
    with pytest.raises(ClientError, match="permissions to call SendMessage on SQS"):
        strict.function(name, "def handler(e, c): raise ValueError", **settings)
    grant(strict, name, "sqs:SendMessage", resource=arn)
    strict.function(name, "def handler(e, c): raise ValueError", **settings)
    strict("lambda").put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    strict("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    assert strict.receive(url)
    revoke(strict, name)
    strict("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    assert strict.receive(url, wait_s=1.0) == []


# -- DynamoDB streams -----------------------------------------------------------------------------


def table_with_stream(aws: Clients, name: str) -> str:
    made = aws("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    )["TableDescription"]
    return str(made["LatestStreamArn"])


def test_mapping_reads_its_stream_with_the_functions_role(strict: Clients) -> None:
    stream = table_with_stream(strict, "followed")
    seen, seen_arn = strict.queue("seen")
    tells = (
        "import boto3\n"
        f"def handler(e, c): boto3.client('sqs').send_message(QueueUrl='{seen}', MessageBody=str(len(e['Records'])))"
    )
    function(strict, "follows", tells)
    mapping = {"FunctionName": "follows", "EventSourceArn": stream, "StartingPosition": "TRIM_HORIZON"}
    with pytest.raises(ClientError, match="Please ensure the role can perform the GetRecords"):
        strict("lambda").create_event_source_mapping(**mapping)
    reads = [f"dynamodb:{name}" for name in ("GetRecords", "GetShardIterator", "DescribeStream", "ListStreams")]
    grant(strict, "follows", *reads, "sqs:SendMessage")
    strict("lambda").create_event_source_mapping(**mapping)
    strict("dynamodb").put_item(TableName="followed", Item={"id": {"S": "1"}})
    assert strict.receive(seen)
    grant(strict, "follows", "sqs:SendMessage", resource=seen_arn)
    strict("dynamodb").put_item(TableName="followed", Item={"id": {"S": "2"}})
    assert strict.receive(seen, wait_s=1.5) == []
    grant(strict, "follows", *reads, "sqs:SendMessage")
    strict("dynamodb").put_item(TableName="followed", Item={"id": {"S": "3"}})
    assert strict.receive(seen)


def test_given_up_batch_is_described_only_if_the_role_may_send(strict: Clients) -> None:
    stream = table_with_stream(strict, "poisoned")
    failed, failed_arn = strict.queue("given-up")
    function(strict, "fails", "def handler(e, c): raise ValueError")
    reads = [f"dynamodb:{name}" for name in ("GetRecords", "GetShardIterator", "DescribeStream", "ListStreams")]
    grant(strict, "fails", *reads)
    mapping = {
        "FunctionName": "fails",
        "EventSourceArn": stream,
        "StartingPosition": "TRIM_HORIZON",
        "MaximumRetryAttempts": 0,
        "DestinationConfig": {"OnFailure": {"Destination": failed_arn}},
    }
    with pytest.raises(ClientError, match="permissions to call SendMessage on SQS"):
        strict("lambda").create_event_source_mapping(**mapping)
    grant(strict, "fails", *reads, "sqs:SendMessage")
    strict("lambda").create_event_source_mapping(**mapping)
    strict("dynamodb").put_item(TableName="poisoned", Item={"id": {"S": "1"}})
    assert strict.receive(failed)
    grant(strict, "fails", *reads)
    strict("dynamodb").put_item(TableName="poisoned", Item={"id": {"S": "2"}})
    assert strict.receive(failed, wait_s=2.0) == []


# -- S3 -------------------------------------------------------------------------------------------


REPLICATION = (
    "s3:GetReplicationConfiguration",
    "s3:ListBucket",
    "s3:GetObjectVersionForReplication",
    "s3:GetObjectVersionAcl",
    "s3:ReplicateObject",
    "s3:ReplicateDelete",
    "kms:Decrypt",
    "kms:Encrypt",
)


def replicated(aws: Clients, name: str) -> str:
    """Two encrypted buckets, the first replicating to the second; the role's name."""
    keys = {region: aws("kms", region).create_key()["KeyMetadata"]["Arn"] for region in (HOME, AWAY)}
    for region in (HOME, AWAY):
        place = {} if region == HOME else {"CreateBucketConfiguration": {"LocationConstraint": region}}
        storage, bucket = aws("s3", region), f"{name}-{region}"
        storage.create_bucket(Bucket=bucket, **place)
        storage.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": keys[region]}}
        storage.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [default]})
    rule = {
        "ID": "r",
        "Priority": 1,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "DeleteMarkerReplication": {"Status": "Enabled"},
        "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
        "Destination": {
            "Bucket": f"arn:aws:s3:::{name}-{AWAY}",
            "EncryptionConfiguration": {"ReplicaKmsKeyID": keys[AWAY]},
        },
    }
    arn = role(aws, name, "s3.amazonaws.com", f"arn:aws:s3:::{name}-{HOME}")
    aws("s3").put_bucket_replication(Bucket=f"{name}-{HOME}", ReplicationConfiguration={"Role": arn, "Rules": [rule]})
    return name


def replication_status(aws: Clients, name: str) -> str:
    key = uuid.uuid4().hex
    aws("s3").put_object(Bucket=f"{name}-{HOME}", Key=key, Body=b"x")
    return str(aws("s3").head_object(Bucket=f"{name}-{HOME}", Key=key)["ReplicationStatus"])


@pytest.mark.parametrize("lacking", sorted(set(REPLICATION) - {"s3:ReplicateDelete"}))
def test_object_is_replicated_only_with_every_permission(strict: Clients, lacking: str) -> None:
    name = replicated(strict, f"repl-{lacking.replace(':', '-').lower()[:30]}")
    grant(strict, name, *(action for action in REPLICATION if action != lacking))
    assert replication_status(strict, name) == "FAILED"
    assert asked(strict, lacking, principal=f"arn:aws:iam::{ACCOUNT}:role/{name}", allowed=False)
    grant(strict, name, *REPLICATION)
    assert replication_status(strict, name) == "COMPLETED"


def test_delete_marker_is_replicated_only_with_its_permission(strict: Clients) -> None:
    name = replicated(strict, "markers")
    grant(strict, name, *REPLICATION)
    for key in ("first", "second"):
        strict("s3").put_object(Bucket=f"{name}-{HOME}", Key=key, Body=b"x")
    grant(strict, name, *(action for action in REPLICATION if action != "s3:ReplicateDelete"))
    strict("s3").delete_object(Bucket=f"{name}-{HOME}", Key="first")
    grant(strict, name, *REPLICATION)
    strict("s3").delete_object(Bucket=f"{name}-{HOME}", Key="second")
    left = [found["Key"] for found in strict("s3", AWAY).list_objects_v2(Bucket=f"{name}-{AWAY}")["Contents"]]
    assert left == ["first"]


# -- CloudWatch, SNS, API Gateway -----------------------------------------------------------------


def test_alarm_rings_as_the_topics_and_its_keys_policies_allow(strict: Clients) -> None:
    kms, topics = strict("kms"), strict("sns")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    topic = topics.create_topic(Name="rings", Attributes={"KmsMasterKeyId": key})["TopicArn"]
    url, arn = strict.queue("oncall")
    strict("sqs").set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": queue_policy(arn, "sns.amazonaws.com", topic)}
    )
    topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    strict("cloudwatch").put_metric_alarm(
        AlarmName="rings",
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[topic],
    )

    def heard() -> bool:
        for state in ("OK", "ALARM"):
            strict("cloudwatch").set_alarm_state(AlarmName="rings", StateValue=state, StateReason="test")
        return bool(strict.receive(url, wait_s=1.0))

    publisher = {"Effect": "Allow", "Principal": {"Service": "cloudwatch.amazonaws.com"}}
    mine = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    theirs = {"StringEquals": {"aws:SourceAccount": "999999999999"}}
    publish = {**publisher, "Action": "sns:Publish", "Resource": topic}
    use = {**publisher, "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*", "Condition": mine}

    topics.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=document({**publish, "Condition": mine})
    )
    assert not heard()  # the key's policy doesn't know CloudWatch
    kms.put_key_policy(KeyId=key, Policy=document(use))
    assert heard()
    topics.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=document({**publish, "Condition": theirs})
    )
    assert not heard()


def test_api_invokes_a_function_as_the_functions_policy_allows(strict: Clients) -> None:
    gateway, target = strict("apigateway"), function(strict, "fronted")
    api = gateway.create_rest_api(name="front")["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    gateway.put_method(restApiId=api, resourceId=root, httpMethod="GET", authorizationType="NONE")
    uri = f"arn:aws:apigateway:{HOME}:lambda:path/2015-03-31/functions/{target}/invocations"
    gateway.put_integration(
        restApiId=api, resourceId=root, httpMethod="GET", type="AWS_PROXY", integrationHttpMethod="POST", uri=uri
    )
    gateway.create_deployment(restApiId=api, stageName="live")
    url = f"{strict.endpoint}/restapis/{api}/live/_user_request_/"
    assert httpx.get(url, timeout=60).status_code == 500
    admit(strict, "fronted", "apigateway.amazonaws.com", f"arn:aws:execute-api:{HOME}:{ACCOUNT}:{api}/live/GET/")
    assert httpx.get(url, timeout=60).text == "fine"


def test_log_group_takes_a_key_only_if_the_keys_policy_admits_the_logs(strict: Clients) -> None:
    key = strict("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="not allowed to be used with LogGroup"):
        strict("logs").create_log_group(logGroupName="sealed", kmsKeyId=key)
    use = [f"kms:{name}" for name in ("Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey")]
    logs = {
        "Effect": "Allow",
        "Principal": {"Service": f"logs.{HOME}.amazonaws.com"},
        "Action": [*use, "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:*"}},
    }
    strict("kms").put_key_policy(KeyId=key, Policy=document(logs))
    strict("logs").create_log_group(logGroupName="sealed", kmsKeyId=key)


def test_flow_log_tells_that_its_role_may_not_write(strict: Clients) -> None:
    network, group = strict("ec2"), f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:flows"
    strict("logs").create_log_group(logGroupName="flows")
    vpc = network.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]

    def flow_log(role_arn: str) -> str:
        made = network.create_flow_logs(
            ResourceIds=[vpc],
            ResourceType="VPC",
            TrafficType="ALL",
            LogDestinationType="cloud-watch-logs",
            LogDestination=group,
            DeliverLogsPermissionArn=role_arn,
        )
        return str(made["FlowLogIds"][0])

    def status(name: str) -> str:
        return str(network.describe_flow_logs(FlowLogIds=[name])["FlowLogs"][0]["DeliverLogsStatus"])

    service = "vpc-flow-logs.amazonaws.com"
    idle = flow_log(role(strict, "flows-idle", service))
    writer = role(strict, "flows-writing", service)
    grant(strict, "flows-writing", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams")
    writing = flow_log(writer)
    assert eventually(lambda: status(idle), lambda found: found == "FAILED") == "FAILED"
    assert status(writing) == "SUCCESS"


# -- what was asked -------------------------------------------------------------------------------


def test_calls_are_recorded_with_the_scenario_they_came_in(strict: Clients) -> None:
    function(strict, "recorded")
    httpx.put(f"{strict.endpoint}/_ministack/iam/scenario/a-payment", timeout=60)
    strict.invoke("recorded")
    (call,) = asked(strict, "logs:CreateLogStream", principal=f"arn:aws:iam::{ACCOUNT}:role/recorded")
    assert (call["allowed"], call["decided_by"], call["scenarios"]) == (False, "identity", ["a-payment"])
    policies = httpx.get(f"{strict.endpoint}/_ministack/iam", timeout=60).json()["roles"]
    assert policies[f"arn:aws:iam::{ACCOUNT}:role/recorded"]["trust"]["Statement"]


def test_nothing_is_asked_when_iam_is_not_enforced(aws: Clients) -> None:
    aws.function("unasked", ANSWERS)
    assert not aws.invoke("unasked")["error"]
    assert httpx.get(f"{aws.endpoint}/_ministack/iam", timeout=60).json()["calls"] == []


def test_a_refused_caller_gets_the_apis_own_answer_and_nobody_is_asked_about_a_path_that_is_not_there(
    strict: Clients,
) -> None:
    """PAY-13: no ARN of caller or method in an answer; unknown paths are the same to everybody."""
    gateway, name = strict("apigateway"), "refusing-api"
    arn = function(strict, name)
    admit(strict, name, "apigateway.amazonaws.com", "*")
    api = gateway.create_rest_api(name=name)["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    resource = gateway.create_resource(restApiId=api, parentId=root, pathPart="things")["id"]
    where = {"restApiId": api, "resourceId": resource, "httpMethod": "GET"}
    gateway.put_method(**where, authorizationType="AWS_IAM")
    uri = f"arn:aws:apigateway:{HOME}:lambda:path/2015-03-31/functions/{arn}/invocations"
    gateway.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    for kind, status in {"ACCESS_DENIED": "403", "MISSING_AUTHENTICATION_TOKEN": "404"}.items():
        templates = {"application/json": json.dumps({"code": kind})}
        gateway.put_gateway_response(restApiId=api, responseType=kind, statusCode=status, responseTemplates=templates)
    gateway.create_stage(restApiId=api, stageName="v1", deploymentId=gateway.create_deployment(restApiId=api)["id"])
    url = f"{strict.endpoint}/restapis/{api}/v1/_user_request_"

    strict("iam").create_user(UserName=name)
    key = strict("iam").create_access_key(UserName=name)["AccessKey"]
    by = Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def get(path: str) -> httpx.Response:
        request = AWSRequest("GET", f"{url}{path}")
        SigV4Auth(by, "execute-api", HOME).add_auth(request)
        return httpx.get(request.url, headers=dict(request.headers), timeout=60)

    assert (get("/things").status_code, get("/things").json()) == (403, {"code": "ACCESS_DENIED"})
    assert get("/nothing").status_code == 404
    allowed = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": f"arn:aws:execute-api:{HOME}:*:{api}/*"}
    strict("iam").put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document(allowed))
    assert (get("/things").status_code, get("/things").text) == (200, "fine")
