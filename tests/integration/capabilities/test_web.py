"""The deployed web tier (OPT-02): what is there, and the function that keeps its targets."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from rollout.dns import choose, latency_records, nearest_first
from tests.integration.conftest import Deployment

Eventually = Callable[..., Any]


def listeners(full: Deployment, region: str) -> dict[str, dict[str, Any]]:
    arn = full.output("edge", region, "load_balancer_arn")
    found = full.client("elbv2", region).describe_listeners(LoadBalancerArn=arn)["Listeners"]
    return {one["Protocol"]: one for one in found}


def group(full: Deployment, region: str) -> dict[str, Any]:
    name = full.output("compute", region, "web_auto_scaling_group_name")
    (found,) = full.client("autoscaling", region).describe_auto_scaling_groups(AutoScalingGroupNames=[name])[
        "AutoScalingGroups"
    ]
    return dict(found)


def members(full: Deployment, region: str) -> list[dict[str, Any]]:
    """The group's instances, as EC2 knows them."""
    ids = [one["InstanceId"] for one in group(full, region)["Instances"]]
    found = full.client("ec2", region).describe_instances(Filters=[{"Name": "instance-id", "Values": ids}])
    return [one for part in found["Reservations"] for one in part["Instances"]]


def registered(full: Deployment, region: str) -> dict[str, str]:
    arn = full.output("compute", region, "web_target_group_arn")
    found = full.client("elbv2", region).describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}


def reconcile(full: Deployment, region: str) -> dict[str, list[str]]:
    name = full.output("compute", region, "register_targets_function_name")
    answer = full.client("lambda", region).invoke(FunctionName=name, Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
    changes: dict[str, list[str]] = json.loads(answer["Payload"].read())
    return changes


def test_https_is_served_with_an_issued_certificate_and_http_redirected(full: Deployment) -> None:
    """OPT-02: TLS 1.2 and up, DNS-validated certificate of the name, 301."""
    for region in full.regions:
        found = listeners(full, region)
        https, http = found["HTTPS"], found["HTTP"]
        assert https["Port"] == 443
        assert https["SslPolicy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
        assert https["DefaultActions"][0]["TargetGroupArn"] == full.output("compute", region, "web_target_group_arn")
        (presented,) = https["Certificates"]
        arn = full.output("edge", region, "web_certificate_arn")
        assert presented["CertificateArn"] == arn
        certificate = full.client("acm", region).describe_certificate(CertificateArn=arn)["Certificate"]
        assert certificate["Status"] == "ISSUED"
        assert certificate["DomainName"] == full.output("edge", region, "web_domain_name")
        redirect = http["DefaultActions"][0]["RedirectConfig"]
        assert (redirect["Protocol"], redirect["Port"], redirect["StatusCode"]) == ("HTTPS", "443", "HTTP_301")
        attributes = full.client("elbv2", region).describe_listener_attributes(ListenerArn=https["ListenerArn"])
        values = {one["Key"]: one["Value"] for one in attributes["Attributes"]}
        assert values["routing.http.response.strict_transport_security.header_value"] == "max-age=31536000"


def test_the_load_balancer_is_public_and_logged(full: Deployment) -> None:
    """OPT-02: in public subnets, which lead to the internet; invalid headers dropped; access log to its bucket."""
    for region in full.regions:
        client = full.client("elbv2", region)
        arn = full.output("edge", region, "load_balancer_arn")
        (balancer,) = client.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
        assert balancer["Scheme"] == "internet-facing"
        assert {zone["SubnetId"] for zone in balancer["AvailabilityZones"]} == set(
            full.output("network", region, "public_subnet_ids")
        )
        found = client.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        attributes = {one["Key"]: one["Value"] for one in found}
        assert attributes["routing.http.drop_invalid_header_fields.enabled"] == "true"
        assert attributes["access_logs.s3.enabled"] == "true"
        policy = full.client("s3", region).get_bucket_policy(Bucket=attributes["access_logs.s3.bucket"])["Policy"]
        assert "logdelivery.elasticloadbalancing.amazonaws.com" in policy
        encryption = full.client("s3", region).get_bucket_encryption(Bucket=attributes["access_logs.s3.bucket"])
        (rule,) = encryption["ServerSideEncryptionConfiguration"]["Rules"]
        assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"


def test_the_security_groups_are_chained_by_reference(full: Deployment) -> None:
    """OPT-02: anybody to the load balancer, only the load balancer to the instances, by 8080."""
    for region in full.regions:
        balancer = full.output("network", region, "load_balancer_security_group_id")
        application = full.output("network", region, "application_security_group_id")
        ec2 = full.client("ec2", region)
        rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [application, balancer]}])
        entering = [rule for rule in rules["SecurityGroupRules"] if not rule["IsEgress"]]
        (into,) = (rule for rule in entering if rule["GroupId"] == application)
        assert into["ReferencedGroupInfo"]["GroupId"] == balancer
        assert (into["FromPort"], into["ToPort"]) == (8080, 8080)
        assert "CidrIpv4" not in into
        ports = {rule["FromPort"] for rule in entering if rule["GroupId"] == balancer}
        assert ports == {80, 443}
        (one,) = full.client("elbv2", region).describe_load_balancers(
            LoadBalancerArns=[full.output("edge", region, "load_balancer_arn")]
        )["LoadBalancers"]
        assert one["SecurityGroups"] == [balancer]


def test_instances_are_as_the_template_says(full: Deployment) -> None:
    """OPT-02: IMDSv2, encrypted gp3 volume under the region's key, no key pair, the application's security group."""
    for region in full.regions:
        id = full.output("compute", region, "web_launch_template_id")
        (version,) = full.client("ec2", region).describe_launch_template_versions(
            LaunchTemplateId=id, Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        data = version["LaunchTemplateData"]
        options = data["MetadataOptions"]
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1)
        (device,) = data["BlockDeviceMappings"]
        volume = device["Ebs"]
        assert (volume["VolumeType"], volume["Encrypted"]) == ("gp3", True)
        assert volume["KmsKeyId"] == full.output("data", region, "key_arn")
        assert "KeyName" not in data
        assert data["SecurityGroupIds"] == [full.output("network", region, "application_security_group_id")]
        tagged = {spec["ResourceType"]: {tag["Key"] for tag in spec["Tags"]} for spec in data["TagSpecifications"]}
        assert all({"Environment", "Region", "CostCenter"} <= keys for keys in tagged.values())
        assert {"instance", "volume"} <= set(tagged)


def test_the_application_lies_where_the_start_script_fetches_it(full: Deployment) -> None:
    """OPT-02: the object is there, encrypted with the region's key, and is what the script checks."""
    for region in full.regions:
        id = full.output("compute", region, "web_launch_template_id")
        (version,) = full.client("ec2", region).describe_launch_template_versions(
            LaunchTemplateId=id, Versions=["$Latest"]
        )["LaunchTemplateVersions"]
        script = base64.b64decode(version["LaunchTemplateData"]["UserData"]).decode()
        source = next(word for word in script.split() if word.startswith("s3://"))
        bucket, _, key = source.removeprefix("s3://").partition("/")
        found = full.client("s3", region).get_object(Bucket=bucket, Key=key)
        assert b"ThreadingHTTPServer" in found["Body"].read()
        assert found["ServerSideEncryption"] == "aws:kms"
        assert found["SSEKMSKeyId"] == full.output("data", region, "key_arn")
        assert f"{key.partition('/')[2].removesuffix('.py')}  /opt/web/app.py" in script


def test_the_group_has_one_to_three_instances_in_private_subnets(full: Deployment) -> None:
    """OPT-02: group of 1-3 over the private subnets, scaled by CPU."""
    for region in full.regions:
        found = group(full, region)
        assert (found["MinSize"], found["MaxSize"]) == (1, 3)
        assert set(found["VPCZoneIdentifier"].split(",")) == set(full.output("network", region, "private_subnet_ids"))
        assert 1 <= len(found["Instances"]) <= 3
        policies = full.client("autoscaling", region).describe_policies(
            AutoScalingGroupName=found["AutoScalingGroupName"]
        )["ScalingPolicies"]
        assert [policy["PolicyType"] for policy in policies] == ["TargetTrackingScaling"]
        hooks = full.client("autoscaling", region).describe_lifecycle_hooks(
            AutoScalingGroupName=found["AutoScalingGroupName"]
        )["LifecycleHooks"]
        assert {hook["LifecycleHookName"] for hook in hooks} == {"serving", "drained"}


@pytest.fixture
def grown(full: Deployment) -> Any:
    """Let a region's group have two instances; one again afterwards."""
    region = full.regions[-1]
    name = full.output("compute", region, "web_auto_scaling_group_name")
    client = full.client("autoscaling", region)
    client.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=2)
    yield region
    client.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    reconcile(full, region)


def test_the_targets_follow_the_group(full: Deployment, grown: str) -> None:
    """OPT-02: the deployed function, as its own role, registers who came, drops who went, and then rests."""
    arn = full.output("compute", grown, "web_target_group_arn")
    full.client("elbv2", grown).register_targets(TargetGroupArn=arn, Targets=[{"Id": "10.255.0.9"}])
    reconcile(full, grown)
    here = {one["PrivateIpAddress"] for one in members(full, grown)}
    assert len(here) == 2
    assert registered(full, grown) == dict.fromkeys(here, "healthy")
    assert not any(reconcile(full, grown).values())
    name = full.output("compute", grown, "web_auto_scaling_group_name")
    full.client("autoscaling", grown).set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=1)
    reconcile(full, grown)
    (left,) = members(full, grown)
    assert set(registered(full, grown)) == {left["PrivateIpAddress"]}


def test_the_function_runs_by_the_minute(full: Deployment, eventually: Eventually) -> None:
    """OPT-02: without anybody's call, a target that was lost is back."""
    region = full.regions[0]
    arn = full.output("compute", region, "web_target_group_arn")
    reconcile(full, region)
    here = registered(full, region)
    assert here
    full.client("elbv2", region).deregister_targets(TargetGroupArn=arn, Targets=[{"Id": address} for address in here])
    eventually(lambda: registered(full, region) == here, timeout_s=150, every_s=2)


def test_the_name_leads_to_the_nearest_region(full: Deployment) -> None:
    """OPT-02, PAY-08: a record per region, for the region's own load balancer, evaluated by Route 53's rules."""
    primary = full.environment.primary
    name = full.output("edge", primary, "web_domain_name")
    zone = full.output("edge-zone", primary, "hosted_zone_id")
    entries = full.client("route53", primary).list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    found = latency_records(entries, name)
    assert {record.region for record in found} == set(full.regions)
    assert all(record.evaluate_target_health for record in found)
    for record in found:
        assert record.target.rstrip(".").endswith(full.output("edge", record.region, "load_balancer_dns_name"))
    for region in full.regions:
        chosen = choose(found, nearest_first(region, full.regions), lambda _: True)
        assert chosen.region == region
        elsewhere = choose(found, nearest_first(region, full.regions), lambda one, down=region: one.region != down)
        assert elsewhere.region != region


def test_the_alarms_see_the_deployed_targets(full: Deployment, eventually: Eventually) -> None:
    """OPT-08: the load balancer's own metrics reach the alarms; a healthy target quiets the one on none."""
    for region in full.regions:
        reconcile(full, region)
        client = full.client("cloudwatch", region)
        name = f"tripoint-web-no-healthy-host-{full.environment.suffix}"

        def quiet(client: Any = client, name: str = name) -> bool:
            (alarm,) = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
            return bool(alarm["StateValue"] == "OK")

        eventually(quiet, timeout_s=300, every_s=2)
