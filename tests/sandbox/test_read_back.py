"""What is applied reads back as applied: each of these was a difference in Terraform's second plan.

Every probe runs against the sandbox, where it must hold, and against the emulator as shipped, where it
must not: when one holds there too, upstream has closed the gap and the addition can go.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.clients import ACCOUNT, AWAY, HOME, Clients

Probe = Callable[[Clients], bool]
ROLE = f"arn:aws:iam::{ACCOUNT}:role/some"
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})


def network(aws: Clients) -> tuple[str, str, str]:
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName=f"g-{vpc}", Description="d", VpcId=vpc)["GroupId"]
    return vpc, subnet, group


def interface_endpoint(aws: Clients) -> dict[str, Any]:
    vpc, subnet, group = network(aws)
    made = aws("ec2").create_vpc_endpoint(
        VpcId=vpc,
        ServiceName=f"com.amazonaws.{HOME}.sqs",
        VpcEndpointType="Interface",
        SubnetIds=[subnet],
        SecurityGroupIds=[group],
        PrivateDnsEnabled=True,
    )["VpcEndpoint"]
    (found,) = aws("ec2").describe_vpc_endpoints(VpcEndpointIds=[made["VpcEndpointId"]])["VpcEndpoints"]
    return found | {"expected_group": group, "expected_subnet": subnet}


def endpoint_groups(aws: Clients) -> bool:
    found = interface_endpoint(aws)
    return [group["GroupId"] for group in found.get("Groups", [])] == [found["expected_group"]]


def endpoint_private_dns(aws: Clients) -> bool:
    found = interface_endpoint(aws)
    return bool(found["PrivateDnsEnabled"]) and f"sqs.{HOME}.amazonaws.com" in [
        entry["DnsName"] for entry in found["DnsEntries"]
    ]


def endpoint_interfaces(aws: Clients) -> bool:
    found = interface_endpoint(aws)
    interfaces = aws("ec2").describe_network_interfaces(NetworkInterfaceIds=found["NetworkInterfaceIds"])
    return [entry["SubnetId"] for entry in interfaces["NetworkInterfaces"]] == [found["expected_subnet"]]


def endpoint_policy(aws: Clients) -> bool:
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    vpc, _, _ = network(aws)
    made = aws("ec2").create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{HOME}.s3", PolicyDocument=policy)
    return str(made["VpcEndpoint"].get("PolicyDocument")) == policy


def flow_log(aws: Clients) -> bool:
    vpc, _, _ = network(aws)
    (name,) = aws("ec2").create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="cloud-watch-logs",
        LogDestination=f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/flow",
        DeliverLogsPermissionArn=ROLE,
        MaxAggregationInterval=60,
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": [{"Key": "Layer", "Value": "network"}]}],
    )["FlowLogIds"]
    (found,) = aws("ec2").describe_flow_logs(FlowLogIds=[name])["FlowLogs"]
    return (
        found.get("DeliverLogsPermissionArn") == ROLE
        and found["MaxAggregationInterval"] == 60
        and found["LogGroupName"] == "/flow"
        and found["Tags"] == [{"Key": "Layer", "Value": "network"}]
    )


def flow_log_options(aws: Clients) -> bool:
    vpc, _, _ = network(aws)
    options = {"FileFormat": "parquet", "HiveCompatiblePartitions": True, "PerHourPartition": True}
    (name,) = aws("ec2").create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogDestinationType="s3",
        LogDestination="arn:aws:s3:::flow-logs",
        DestinationOptions=options,
    )["FlowLogIds"]
    (found,) = aws("ec2").describe_flow_logs(FlowLogIds=[name])["FlowLogs"]
    return bool(found.get("DestinationOptions") == options)


def prefix_list_rule(aws: Clients) -> bool:
    _, _, group = network(aws)
    ec2 = aws("ec2")
    name = ec2.describe_prefix_lists(
        Filters=[{"Name": "prefix-list-name", "Values": [f"com.amazonaws.{HOME}.dynamodb"]}]
    )["PrefixLists"][0]["PrefixListId"]
    (made,) = ec2.authorize_security_group_egress(
        GroupId=group,
        IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "PrefixListIds": [{"PrefixListId": name}]}
        ],
    )["SecurityGroupRules"]
    (found,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[made["SecurityGroupRuleId"]])[
        "SecurityGroupRules"
    ]
    return bool(found.get("PrefixListId") == name)


def revoked_way_out(aws: Clients) -> bool:
    """As Terraform's provider revokes it: with ports, which mean nothing for every protocol."""
    _, _, group = network(aws)
    everywhere = {"IpProtocol": "-1", "FromPort": 0, "ToPort": 0, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    aws("ec2").revoke_security_group_egress(GroupId=group, IpPermissions=[everywhere])
    (found,) = aws("ec2").describe_security_groups(GroupIds=[group])["SecurityGroups"]
    return not found["IpPermissionsEgress"]


def domain_name(aws: Clients, **settings: Any) -> tuple[Any, str]:
    gateway, name = aws("apigateway"), f"{uuid.uuid4().hex[:8]}.example.com"
    gateway.create_domain_name(
        domainName=name, endpointConfiguration={"types": ["REGIONAL"]}, securityPolicy="TLS_1_2", **settings
    )
    return gateway, name


def domain_without_mutual_tls(aws: Clients) -> bool:
    gateway, name = domain_name(aws)
    return "mutualTlsAuthentication" not in gateway.get_domain_name(domainName=name)


def domain_update(aws: Clients) -> bool:
    gateway, name = domain_name(aws)
    arn = f"arn:aws:acm:{HOME}:{ACCOUNT}:certificate/new"
    gateway.update_domain_name(
        domainName=name, patchOperations=[{"op": "replace", "path": "/regionalCertificateArn", "value": arn}]
    )
    return bool(gateway.get_domain_name(domainName=name)["regionalCertificateArn"] == arn)


def empty_base_path(aws: Clients) -> bool:
    gateway, name = domain_name(aws)
    api = gateway.create_rest_api(name="a")["id"]
    gateway.create_base_path_mapping(domainName=name, basePath="", restApiId=api, stage="live")
    found = gateway.get_base_path_mapping(domainName=name, basePath="(none)")
    return bool(found["restApiId"] == api)


def mock_integration(aws: Clients) -> bool:
    gateway = aws("apigateway")
    api = gateway.create_rest_api(name="a")
    where = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
    gateway.put_method(**where, authorizationType="NONE")
    gateway.put_integration(**where, type="MOCK")
    return "httpMethod" not in gateway.get_integration(**where)


def usage_plan_update(aws: Clients) -> bool:
    gateway = aws("apigateway")
    api = gateway.create_rest_api(name="a")["id"]
    deployment = gateway.create_deployment(restApiId=api, stageName="live")["id"]
    gateway.create_stage(restApiId=api, stageName="next", deploymentId=deployment)
    plan = gateway.create_usage_plan(
        name="p", apiStages=[{"apiId": api, "stage": "live"}], throttle={"burstLimit": 1, "rateLimit": 1.0}
    )["id"]
    found = gateway.update_usage_plan(
        usagePlanId=plan,
        patchOperations=[
            {"op": "replace", "path": "/throttle/burstLimit", "value": "20"},
            {"op": "add", "path": "/apiStages", "value": f"{api}:next"},
        ],
    )
    return found["throttle"]["burstLimit"] == 20 and [entry["stage"] for entry in found["apiStages"]] == [
        "live",
        "next",
    ]


def method_model_update(aws: Clients) -> bool:
    gateway = aws("apigateway")
    api = gateway.create_rest_api(name="a")
    where = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "POST"}
    gateway.put_method(**where, authorizationType="NONE", apiKeyRequired=False)
    gateway.update_method(
        **where,
        patchOperations=[
            {"op": "replace", "path": "/apiKeyRequired", "value": "true"},
            {"op": "add", "path": "/requestModels/application~1json", "value": "Payment"},
        ],
    )
    found = gateway.get_method(**where)
    return found["apiKeyRequired"] is True and found["requestModels"] == {"application/json": "Payment"}


def empty_api_key_value(aws: Clients) -> bool:
    return len(aws("apigateway").create_api_key(name="k", value="")["value"]) >= 20


def workflow_tracing(aws: Clients) -> bool:
    states = aws("stepfunctions")
    arn = states.create_state_machine(
        name=f"traced-{uuid.uuid4().hex[:8]}",
        definition=PASS,
        roleArn=ROLE,
        tracingConfiguration={"enabled": True},
    )["stateMachineArn"]
    return bool(states.describe_state_machine(stateMachineArn=arn).get("tracingConfiguration", {}).get("enabled"))


def mapping_settings(aws: Clients) -> bool:
    name = f"mapped-{uuid.uuid4().hex[:8]}"
    aws.function(name, "def handler(e, c): pass")
    _, queue = aws.queue(name)
    key = f"arn:aws:kms:{HOME}:{ACCOUNT}:key/k"
    made = aws("lambda").create_event_source_mapping(
        FunctionName=name, EventSourceArn=queue, KMSKeyArn=key, MetricsConfig={"Metrics": ["EventCount"]}
    )
    found = aws("lambda").get_event_source_mapping(UUID=made["UUID"])
    return found.get("KMSKeyArn") == key and found.get("MetricsConfig") == {"Metrics": ["EventCount"]}


def health_check_regions(aws: Clients) -> bool:
    regions = ["us-east-1", "eu-west-1", "ap-southeast-1"]
    made = aws("route53").create_health_check(
        CallerReference=uuid.uuid4().hex,
        HealthCheckConfig={"Type": "HTTPS", "FullyQualifiedDomainName": "a.example", "Regions": regions},
    )["HealthCheck"]
    return bool(made["HealthCheckConfig"].get("Regions") == regions)


def bus_policy(aws: Clients) -> bool:
    events, name = aws("events"), f"bus-{uuid.uuid4().hex[:8]}"
    arn = events.create_event_bus(Name=name)["EventBusArn"]
    statement = {
        "Sid": "mine",
        "Effect": "Allow",
        "Principal": {"AWS": ROLE},
        "Action": "events:PutEvents",
        "Resource": arn,
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    events.put_permission(EventBusName=name, Policy=json.dumps(policy))
    return bool(json.loads(events.describe_event_bus(Name=name)["Policy"]) == policy)


def change_in_sync(aws: Clients) -> bool:
    dns = aws("route53")
    made = dns.create_hosted_zone(Name="sync.example.com", CallerReference=uuid.uuid4().hex)
    return bool(dns.get_change(Id=made["ChangeInfo"]["Id"])["ChangeInfo"]["Status"] == "INSYNC")


def zone_not_signed(aws: Clients) -> bool:
    dns = aws("route53")
    zone = dns.create_hosted_zone(Name="dnssec.example.com", CallerReference=uuid.uuid4().hex)["HostedZone"]["Id"]
    return bool(dns.get_dnssec(HostedZoneId=zone)["Status"]["ServeSignature"] == "NOT_SIGNING")


def domain_of_each_region(aws: Clients) -> bool:
    """One name in two regions: a request to a region's own endpoint is answered by that region's API."""
    import httpx

    name, answers = f"{uuid.uuid4().hex[:8]}.example.com", []
    for region in (HOME, AWAY):
        gateway = aws("apigateway", region)
        endpoint = gateway.create_domain_name(domainName=name, endpointConfiguration={"types": ["REGIONAL"]})
        api = gateway.create_rest_api(name=region)
        where = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
        gateway.put_method(**where, authorizationType="NONE")
        templates = {"application/json": '{"statusCode": 200}'}
        gateway.put_integration(**where, type="MOCK", requestTemplates=templates)
        gateway.put_method_response(**where, statusCode="200")
        gateway.put_integration_response(
            **where, statusCode="200", responseTemplates={"application/json": json.dumps({"region": region})}
        )
        gateway.create_deployment(restApiId=api["id"], stageName="live")
        gateway.create_base_path_mapping(domainName=name, basePath="api", restApiId=api["id"], stage="live")
        answer = httpx.get(f"{aws.endpoint}/api/", headers={"Host": endpoint["regionalDomainName"]}, timeout=60)
        answers.append(answer.json()["region"])
    return answers == [HOME, AWAY]


def web_acl_logging(aws: Clients) -> bool:
    firewall = aws("wafv2")
    shown = {"CloudWatchMetricsEnabled": True, "MetricName": "m", "SampledRequestsEnabled": True}
    arn = firewall.create_web_acl(
        Name=f"w-{uuid.uuid4().hex[:8]}", Scope="REGIONAL", DefaultAction={"Allow": {}}, VisibilityConfig=shown
    )["Summary"]["ARN"]
    to = [f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:aws-waf-logs-w"]
    firewall.put_logging_configuration(LoggingConfiguration={"ResourceArn": arn, "LogDestinationConfigs": to})
    found = firewall.get_logging_configuration(ResourceArn=arn)["LoggingConfiguration"]
    return bool(found["LogDestinationConfigs"] == to)


def headers_policy_sections(aws: Clients) -> bool:
    """No section but the one that was given."""
    given = {"FrameOptions": {"Override": True, "FrameOption": "DENY"}}
    made = aws("cloudfront").create_response_headers_policy(
        ResponseHeadersPolicyConfig={"Name": uuid.uuid4().hex, "SecurityHeadersConfig": given}
    )["ResponseHeadersPolicy"]["Id"]
    found = aws("cloudfront").get_response_headers_policy(Id=made)["ResponseHeadersPolicy"]
    sections = {name for name in found["ResponseHeadersPolicyConfig"] if name.endswith("HeadersConfig")}
    return sections == {"SecurityHeadersConfig"}


def trail_tags(aws: Clients) -> bool:
    aws("s3").create_bucket(Bucket="trail-logs")
    tags = [{"Key": "Layer", "Value": "audit"}]
    arn = aws("cloudtrail").create_trail(Name="trail", S3BucketName="trail-logs", TagsList=tags)["TrailARN"]
    return bool(aws("cloudtrail").list_tags(ResourceIdList=[arn])["ResourceTagList"][0]["TagsList"] == tags)


def trail_logs(aws: Clients) -> bool:
    aws("s3").create_bucket(Bucket="trail-logs")
    logs = {
        "CloudWatchLogsLogGroupArn": f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/trail:*",
        "CloudWatchLogsRoleArn": ROLE,
    }
    aws("cloudtrail").create_trail(Name="logged", S3BucketName="trail-logs", **logs)
    found = aws("cloudtrail").get_trail(Name="logged")["Trail"]
    return {name: found.get(name) for name in logs} == logs


def cluster_log_exports(aws: Clients) -> bool:
    aws("rds").create_db_cluster(
        DBClusterIdentifier="c",
        Engine="aurora-mysql",
        MasterUsername="admin",
        MasterUserPassword="not-a-secret",
        EnableCloudwatchLogsExports=["audit", "error"],
    )
    (found,) = aws("rds").describe_db_clusters(DBClusterIdentifier="c")["DBClusters"]
    return found.get("EnabledCloudwatchLogsExports") == ["audit", "error"]


def scaling_target_groups(aws: Clients) -> bool:
    arn = f"arn:aws:elasticloadbalancing:{HOME}:{ACCOUNT}:targetgroup/t/1"
    aws("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="g", MinSize=0, MaxSize=0, TargetGroupARNs=[arn], AvailabilityZones=[f"{HOME}a"]
    )
    (found,) = aws("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=["g"])["AutoScalingGroups"]
    return found.get("TargetGroupARNs") == [arn]


PROBES: list[Probe] = [
    web_acl_logging,
    headers_policy_sections,
    trail_tags,
    trail_logs,
    cluster_log_exports,
    scaling_target_groups,
    domain_of_each_region,
    endpoint_groups,
    endpoint_private_dns,
    endpoint_interfaces,
    endpoint_policy,
    flow_log,
    flow_log_options,
    prefix_list_rule,
    revoked_way_out,
    domain_without_mutual_tls,
    domain_update,
    empty_base_path,
    mock_integration,
    usage_plan_update,
    method_model_update,
    empty_api_key_value,
    workflow_tracing,
    mapping_settings,
    health_check_regions,
    bus_policy,
    change_in_sync,
    zone_not_signed,
]


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_the_sandbox_reads_back(aws: Clients, probe: Probe) -> None:
    assert probe(aws)


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.__name__)
def test_upstream_still_does_not(plain_aws: Clients, probe: Probe) -> None:
    try:
        holds = probe(plain_aws)
    except (ClientError, AttributeError, KeyError, IndexError, ValueError):
        holds = False
    assert not holds
