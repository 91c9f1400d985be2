"""The web tier: a load balancer in front of an Auto Scaling group."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.catalogue import LAUNCH_HOOK, TERMINATE_HOOK
from shared.config import Environment, load, parse
from shared.errors import UsageError
from shared.site import Site
from stacks.compute.contract import WebComputeOutputs
from stacks.compute.web.app import PORT
from stacks.compute.web.user_data import user_data
from stacks.edge.contract import WebOutputs
from stacks.network.tiers import APPLICATION_PORT
from stacks.observability.capabilities.readings import Readings
from stacks.observability.capabilities.web import web_alarms, web_widgets
from stacks.observability.metrics import Metric
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized
from tests.stacks.test_observability import AWS_METRICS, STATISTICS

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-1")
READ = Readings(
    WebComputeOutputs(
        web_target_group_arn="arn",
        web_target_group_dimension="targetgroup/web/1",
        web_auto_scaling_group_name="web",
        web_launch_template_id="lt-1",
        register_targets_function_name="register-targets",
    ),
    WebOutputs(
        web_domain_name="www",
        web_url="https://www",
        web_certificate_arn="arn",
        load_balancer_arn="arn",
        load_balancer_dimension="app/web/1",
        load_balancer_dns_name="dns",
    ),
)


@pytest.fixture
def full(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox-full.toml")


@pytest.fixture(scope="session")
def failover(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """The edge layer with failover routing and production's protection, of an instance type with Arm processors."""
    raw = environment().model_dump()
    for region in raw["regions"].values():
        region["web"] |= {"routing": "failover", "instance_type": "t4g.small"}
    raw["protection"] |= {"production": True}
    found = parse(raw, source="test")
    out = tmp_path_factory.mktemp("failover")
    only = [f"{layer}-{region}" for layer in ("compute", "edge") for region in REGIONS]
    synthesize(found, out=out, functions=Path(".tripoint/functions"), only=only)
    return Synthesized(found, out)


def environment() -> Environment:
    return load(Path("config/sandbox-full.toml"))


def of_path(found: Synthesized, stack: str, type: str, part: str) -> dict[str, Any]:
    """The one resource of a type in a construct of the web tier."""
    (one,) = (
        resource
        for resource in found.resources(stack, type).values()
        if part in resource["//"]["metadata"]["path"].split("/", 1)[1]
    )
    return one


def template(found: Synthesized, region: str) -> dict[str, Any]:
    return found.only(f"compute-{region}", "aws_launch_template")


# -- the instances ---------------------------------------------------------------------------------


def test_targets_are_addresses_that_are_checked(full: Synthesized) -> None:
    """OPT-02: an ip target group with a health check, in the VPC."""
    for region in REGIONS:
        group = full.only(f"compute-{region}", "aws_lb_target_group")
        assert (group["target_type"], group["protocol"], group["port"]) == ("ip", "HTTP", APPLICATION_PORT)
        assert group["health_check"]["path"] == "/health"
        assert group["health_check"]["timeout"] < group["health_check"]["interval"]
        assert "outputs.vpc_id" in group["vpc_id"]
        assert group["deregistration_delay"] == "30"


def test_instances_have_no_key_pair_a_closed_metadata_service_and_encrypted_gp3_volumes(full: Synthesized) -> None:
    """OPT-02: encrypted gp3 with the region's key, IMDSv2, a security group by reference."""
    for region in REGIONS:
        found = template(full, region)
        assert found["metadata_options"] == {
            "http_endpoint": "enabled",
            "http_put_response_hop_limit": 1,
            "http_tokens": "required",
        }
        (device,) = found["block_device_mappings"]
        ebs = device["ebs"]
        assert (ebs["volume_type"], ebs["encrypted"], ebs["delete_on_termination"]) == ("gp3", "true", "true")
        assert "outputs.key_arn" in ebs["kms_key_id"]
        assert "key_name" not in found
        (group,) = found["vpc_security_group_ids"]
        assert "outputs.application_security_group_id" in group
        assert "network_interfaces" not in found


def test_the_image_is_looked_up_at_launch(full: Synthesized, failover: Synthesized) -> None:
    """OPT-02: a plan doesn't change when AWS publishes an image; instances follow the newest by their age."""
    base = "resolve:ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-"
    assert template(full, "us-east-1")["image_id"] == f"{base}x86_64"
    assert template(failover, "us-east-1")["image_id"] == f"{base}arm64"
    group = full.only("compute-us-east-1", "aws_autoscaling_group")
    assert group["max_instance_lifetime"] == 14 * 86_400


@pytest.mark.parametrize(
    ("instance_type", "architecture"),
    [
        *((name, "x86_64") for name in ("t3.micro", "g4dn.xlarge", "g6.xlarge", "m5zn.large", "u-6tb1.112xlarge")),
        *(
            (name, "arm64")
            for name in ("t4g.small", "m7gd.large", "c7gn.large", "g5g.xlarge", "im4gn.large", "a1.large")
        ),
    ],
)
def test_the_processor_follows_the_instance_type(instance_type: str, architecture: str) -> None:
    """OPT-02."""
    settings = environment().regions["us-east-1"].web
    assert settings.model_copy(update={"instance_type": instance_type}).architecture == architecture


def test_what_is_launched_carries_the_tags(full: Synthesized) -> None:
    """PAY-14, OPT-10: the provider's default tags reach neither instances and volumes nor the group."""
    site = Site(full.environment, "eu-west-1")
    wanted = site.tags("compute")
    found = template(full, "eu-west-1")
    kinds = {spec["resource_type"]: spec["tags"] for spec in found["tag_specifications"]}
    assert set(kinds) == {"instance", "volume", "network-interface"}
    assert all(wanted.items() <= tags.items() for tags in kinds.values())
    group = full.only("compute-eu-west-1", "aws_autoscaling_group")
    assert wanted.items() <= {tag["key"]: tag["value"] for tag in group["tag"]}.items()


def test_the_group_has_one_to_three_instances_in_private_subnets(full: Synthesized) -> None:
    """OPT-02: 1-3, by CPU; another template rolls through."""
    for region in REGIONS:
        group = full.only(f"compute-{region}", "aws_autoscaling_group")
        assert (group["min_size"], group["max_size"]) == (1, 3)
        assert "desired_capacity" not in group
        assert "outputs.private_subnet_ids" in json.dumps(group["vpc_zone_identifier"])
        assert group["instance_refresh"]["strategy"] == "Rolling"
        assert group["instance_refresh"]["preferences"] == group["instance_maintenance_policy"]
        assert "latest_version" in group["launch_template"]["version"]
        policy = full.only(f"compute-{region}", "aws_autoscaling_policy")["target_tracking_configuration"]
        assert policy["predefined_metric_specification"]["predefined_metric_type"] == "ASGAverageCPUUtilization"
        assert policy["target_value"] == 60


def test_an_instance_waits_for_its_target_at_both_ends(full: Synthesized) -> None:
    """OPT-02: given up when it does not come up, gone in the end when it does not drain."""
    group = full.only("compute-us-east-1", "aws_autoscaling_group")
    hooks = {hook["name"]: hook for hook in group["initial_lifecycle_hook"]}
    assert hooks[LAUNCH_HOOK]["default_result"] == "ABANDON"
    assert hooks[TERMINATE_HOOK]["default_result"] == "CONTINUE"
    settings = full.environment.regions["us-east-1"].web
    # Two runs of the function after the last request.
    assert hooks[TERMINATE_HOOK]["heartbeat_timeout"] >= settings.deregistration_delay_s + 120


def test_the_function_is_there_before_the_first_instance(full: Synthesized) -> None:
    """OPT-02: Terraform waits for the group's instance, which waits for the function."""
    group = full.only("compute-us-east-1", "aws_autoscaling_group")
    needed = [
        part for part in group["depends_on"] if part.startswith(("aws_lambda_permission", "aws_cloudwatch_event"))
    ]
    assert len(needed) == 4


def test_the_function_hears_of_this_group_alone(full: Synthesized) -> None:
    """OPT-02, PAY-13: lifecycle actions of exactly this group, and the function's rights on exactly these resources."""
    rule = of_path(full, "compute-us-east-1", "aws_cloudwatch_event_rule", "web/registration/rule")
    assert json.loads(rule["event_pattern"]) == {
        "source": ["aws.autoscaling"],
        "detail-type": ["EC2 Instance-launch Lifecycle Action", "EC2 Instance-terminate Lifecycle Action"],
        "detail": {"AutoScalingGroupName": ["tripoint-web-full"]},
    }
    assert "event_bus_name" not in rule
    policy = of_path(full, "compute-us-east-1", "aws_iam_role_policy", "functions/register_targets/policy")
    allowed = {s["Sid"]: s for s in json.loads(policy["policy"])["Statement"]}
    assert allowed["WebInstances"]["Resource"] == [
        "arn:aws:autoscaling:us-east-1:000000000000:autoScalingGroup:*:autoScalingGroupName/tripoint-web-full"
    ]
    assert "aws_lb_target_group" in allowed["WebTargets"]["Resource"][0]


def test_an_instances_role_fetches_the_application_and_nothing_else(full: Synthesized) -> None:
    """PAY-13, OPT-02, OPT-07: one object, and its key by way of S3; an hour at most."""
    policy = of_path(full, "compute-us-east-1", "aws_iam_role_policy", "web/template/policy")
    fetch, decrypt = json.loads(policy["policy"])["Statement"]
    assert fetch["Action"] == ["s3:GetObject"]
    bucket = "arn:aws:s3:::tripoint-code-000000000000-us-east-1-full"
    assert re.fullmatch(re.escape(bucket) + r"/web/[0-9a-f]{64}\.py", fetch["Resource"][0])
    assert decrypt["Action"] == ["kms:Decrypt"]
    assert decrypt["Condition"] == {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    role = of_path(full, "compute-us-east-1", "aws_iam_role", "web/template/role")
    assert role["max_session_duration"] == 3600
    (trust,) = json.loads(role["assume_role_policy"])["Statement"]
    assert trust["Principal"] == {"Service": "ec2.amazonaws.com"}
    # EC2 would not meet it: the instance would have no credentials.
    assert "Condition" not in trust


def test_the_start_script_runs_what_the_role_may_fetch(full: Synthesized) -> None:
    """OPT-02: the object's digest is checked; another application is another template."""
    script = base64.b64decode(template(full, "eu-west-1")["user_data"]).decode()
    stored = of_path(full, "compute-eu-west-1", "aws_s3_object", "codes/web")
    assert f"s3://tripoint-code-000000000000-eu-west-1-full/{stored['key']} " in script
    assert f"{stored['source_hash']}  /opt/web/app.py" in script
    assert f"ExecStart=/usr/bin/python3 /opt/web/app.py {APPLICATION_PORT}\n" in script
    assert "DynamicUser=yes" in script
    assert "set -euo pipefail" in script.splitlines()[2]
    assert PORT == APPLICATION_PORT


def test_the_start_script_is_within_what_ec2_takes() -> None:
    """OPT-02: 16 KB before encoding, and nothing left to fill in."""
    script = base64.b64decode(user_data(region="r", bucket="b", key="k", sha256="0" * 64, port=1)).decode()
    assert len(script) < 16_384
    assert "$" not in script
    assert script.startswith("#!/bin/bash\n")


def test_auto_scaling_may_use_the_key_for_volumes(full: Synthesized, sandbox: Synthesized) -> None:
    """PAY-06, OPT-02: its service-linked role only, with grants for AWS resources only; not without the web tier."""

    def statements(found: Synthesized) -> dict[str, Any]:
        for key in found.resources("data-us-east-1", "aws_kms_key").values():
            if "logs.us-east-1" in key["policy"]:
                return {one["Sid"]: one for one in json.loads(key["policy"])["Statement"]}
        raise AssertionError

    found = statements(full)
    role = "arn:aws:iam::000000000000:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    for sid in ("AutoScalingVolumes", "AutoScalingGrants"):
        assert found[sid]["Condition"]["StringEquals"] == {
            "aws:PrincipalArn": role,
            "kms:CallerAccount": "000000000000",
        }
    assert "kms:CreateGrant" not in found["AutoScalingVolumes"]["Action"]
    assert found["AutoScalingGrants"]["Condition"]["Bool"] == {"kms:GrantIsForAWSResource": "true"}
    assert not [sid for sid in statements(sandbox) if sid.startswith("AutoScaling")]


# -- the load balancer -----------------------------------------------------------------------------


def listeners(found: Synthesized, region: str) -> dict[str, dict[str, Any]]:
    return {one["protocol"]: one for one in found.resources(f"edge-{region}", "aws_lb_listener").values()}


def test_https_is_served_and_http_is_sent_there(full: Synthesized) -> None:
    """OPT-02: TLS 1.2 and up, the name's certificate, 301 from HTTP to HTTPS."""
    for region in REGIONS:
        found = listeners(full, region)
        https, http = found["HTTPS"], found["HTTP"]
        assert (https["port"], http["port"]) == (443, 80)
        assert https["ssl_policy"] == "ELBSecurityPolicy-TLS13-1-2-2021-06"
        assert "aws_acm_certificate_validation" in https["certificate_arn"]
        (action,) = https["default_action"]
        assert action["type"] == "forward"
        assert "outputs.web_target_group_arn" in action["target_group_arn"]
        (redirect,) = http["default_action"]
        assert redirect["redirect"] == {"port": "443", "protocol": "HTTPS", "status_code": "HTTP_301"}
        header = https["routing_http_response_strict_transport_security_header_value"]
        assert header == "max-age=31536000"


def test_the_load_balancer_is_public_careful_and_logged(full: Synthesized, failover: Synthesized) -> None:
    """OPT-02, PAY-16: in the public subnets; protected in production only."""
    for region in REGIONS:
        balancer = full.only(f"edge-{region}", "aws_lb")
        assert "outputs.public_subnet_ids" in json.dumps(balancer["subnets"])
        assert "outputs.load_balancer_security_group_id" in balancer["security_groups"][0]
        assert balancer["drop_invalid_header_fields"] is True
        assert balancer["access_logs"]["enabled"] is True
        assert balancer["enable_deletion_protection"] is False
        assert failover.only(f"edge-{region}", "aws_lb")["enable_deletion_protection"] is True


def test_only_the_load_balancers_of_this_account_write_the_log(full: Synthesized) -> None:
    """OPT-02, PAY-13, PAY-19: to a bucket of its own under S3's key, the only one that access logs can have."""
    policy = of_path(full, "edge-us-east-1", "aws_s3_bucket_policy", "load-balancer/logs/bucket/policy")
    (delivery,) = (s for s in json.loads(policy["policy"])["Statement"] if s["Effect"] == "Allow")
    assert delivery["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert delivery["Action"] == "s3:PutObject"
    assert delivery["Resource"].endswith("-full/AWSLogs/000000000000/*")
    assert delivery["Condition"]["StringEquals"] == {"aws:SourceAccount": "000000000000"}
    encryption = of_path(
        full,
        "edge-us-east-1",
        "aws_s3_bucket_server_side_encryption_configuration",
        "load-balancer/logs/bucket/encryption",
    )
    (rule,) = encryption["rule"]
    assert rule["apply_server_side_encryption_by_default"] == {"sse_algorithm": "AES256"}


def test_certificates_are_proved_by_one_record(full: Synthesized) -> None:
    """OPT-02: DNS validation; the record, and the primary's certificate that asked for it, are the zone's."""
    for region in REGIONS:
        stack = "edge-zone-us-east-1" if region == "us-east-1" else f"edge-{region}"
        found = full.resources(stack, "aws_acm_certificate").values()
        (certificate,) = (one for one in found if one["domain_name"] == "www.pay.tripoint.test")
        assert certificate["validation_method"] == "DNS"
    proofs = {
        stack for stack, _, _, resource in full.everything() if "/web/proof" in resource["//"]["metadata"]["path"]
    }
    assert proofs == {"edge-zone-us-east-1"}


def records(found: Synthesized) -> Iterator[tuple[str, dict[str, Any]]]:
    for region in REGIONS:
        for record in found.resources(f"edge-{region}", "aws_route53_record").values():
            if "/web/routing/" in record["//"]["metadata"]["path"]:
                yield region, record


def test_latency_routing_has_a_record_in_every_region(full: Synthesized) -> None:
    """OPT-02, PAY-08: whose targets' health decides whether it answers."""
    found = list(records(full))
    assert [(region, record["set_identifier"]) for region, record in found] == [(region, region) for region in REGIONS]
    for region, record in found:
        assert record["name"] == "www.pay.tripoint.test"
        assert record["latency_routing_policy"] == {"region": region}
        assert record["alias"]["evaluate_target_health"] is True
        assert "aws_lb." in record["alias"]["name"]


def test_failover_routing_has_the_primary_and_behind_it_the_others(failover: Synthesized) -> None:
    """OPT-02: PRIMARY in the primary region; SECONDARY leads to the nearest of the others."""
    found = {(region, record["name"]): record for region, record in records(failover)}
    name, fallback = "www.pay.tripoint.test", "fallback.www.pay.tripoint.test"
    assert set(found) == {
        ("us-east-1", name),
        ("eu-west-1", name),
        ("eu-west-1", fallback),
        ("ap-southeast-1", fallback),
    }
    assert found["us-east-1", name]["failover_routing_policy"] == {"type": "PRIMARY"}
    second = found["eu-west-1", name]
    assert second["failover_routing_policy"] == {"type": "SECONDARY"}
    assert second["alias"]["name"] == fallback
    assert len(second["depends_on"]) == 1
    for region in ("eu-west-1", "ap-southeast-1"):
        assert found[region, fallback]["latency_routing_policy"] == {"region": region}
    assert all(record["alias"]["evaluate_target_health"] is True for record in found.values())


# -- alarms and dashboard --------------------------------------------------------------------------


def test_there_is_an_alarm_for_what_goes_wrong(full: Synthesized) -> None:
    """OPT-08: unhealthy hosts, none healthy, errors of targets; errors, throttles and duration of the function."""
    for region in REGIONS:
        names = {
            alarm["alarm_name"]
            for alarm in full.resources(f"observability-{region}", "aws_cloudwatch_metric_alarm").values()
        }
        assert names >= {
            f"tripoint-{thing}-full"
            for thing in (
                "web-unhealthy-hosts",
                "web-no-healthy-host",
                "web-errors",
                "register-targets-errors",
                "register-targets-throttles",
                "register-targets-duration",
            )
        }


def test_alarms_watch_the_deployed_load_balancer_by_metrics_that_exist(full: Synthesized) -> None:
    """OPT-08: dimensions are ends of ARNs that AWS makes up; each alarm looks at three periods at least."""
    site = Site(full.environment, "us-east-1")
    for spec in web_alarms(site, READ):
        metrics = [spec.what] if isinstance(spec.what, Metric) else list(spec.what.inputs.values())
        assert len(metrics) <= 10
        assert spec.patience.periods >= 3
        for metric in metrics:
            assert tuple(metric.dimensions) in AWS_METRICS[metric.namespace, metric.name], spec.thing
            assert metric.stat in STATISTICS
    deployed = of_path(full, "observability-us-east-1", "aws_cloudwatch_metric_alarm", "web-unhealthy-hosts")
    assert "outputs.web_target_group_dimension" in deployed["dimensions"]["TargetGroup"]
    assert "outputs.load_balancer_dimension" in deployed["dimensions"]["LoadBalancer"]


def test_the_alarms_thresholds_are_the_configurations() -> None:
    """OPT-08, PAY-01."""
    raw = environment().model_dump()
    raw["regions"]["us-east-1"]["web"] |= {"unhealthy_hosts": 2, "target_5xx_percent": 7.5}
    site = Site(parse(raw, source="test"), "us-east-1")
    above = {spec.thing: spec.above for spec in web_alarms(site, READ)}
    assert (above["web-unhealthy-hosts"], above["web-errors"]) == (2, 7.5)


def test_the_dashboard_shows_targets_requests_and_the_function(full: Synthesized) -> None:
    """OPT-08, PAY-09."""
    titles = [widget["properties"].get("title") for widget in web_widgets(Site(full.environment, "us-east-1"), READ)]
    assert titles[1:] == ["Targets", "Requests to targets", "Answers of targets", "Registration of targets"]
    bodies = [
        dashboard["dashboard_body"]
        for dashboard in full.resources("observability-us-east-1", "aws_cloudwatch_dashboard").values()
    ]
    assert any("outputs.load_balancer_dimension" in body for body in bodies)


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"min_instances": 4}, "min_instances 4 must be at most max_instances 3"),
        ({"routing": "nearest"}, "web.routing"),
        ({"instance_type": "large"}, "web.instance_type"),
        ({"max_instance_age_days": 0}, "web.max_instance_age_days"),
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, Any], complaint: str) -> None:
    """OPT-02, PAY-01."""
    raw = environment().model_dump()
    raw["regions"]["us-east-1"]["web"] |= wrong
    with pytest.raises(UsageError, match=complaint):
        parse(raw, source="test")
