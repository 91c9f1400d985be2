"""What is paid for by the hour or the month, counted in the synthesized stacks of a region."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rollout.capacity.facts import Facts
from rollout.capacity.plan import StandingPart
from rollout.capacity.standing import TARGET_TRACKING_ALARMS
from tests.stacks.conftest import Synthesized

Resource = Mapping[str, Any]
ZONES = 3


def declared(parts: Iterable[StandingPart], region: str) -> Counter[str]:
    """What these parts say that they keep in a region, by price; without what no resource stands for."""
    found: Counter[str] = Counter()
    for part in parts:
        for cost in part.costs:
            if cost.region == region and cost.price not in UNSEEN:
                found[cost.price] += round(cost.count)
    return found


# Secrets that exist already, data, requests.
UNSEEN = {"secrets.secret", "aurora.storage_gb", "api_gateway.request", "lambda.request"}


def counted(found: Synthesized, region: str, facts: Facts) -> Counter[str]:
    """What the stacks of a region make, by price."""
    hours = round(facts.assume("standing.hours"))
    total = Counter(buckets=0, instances=0)
    for stack, type, _, resource in found.everything():
        if stack.endswith(f"-{region}") and type in COUNTS:
            for price, count in COUNTS[type](resource):
                total[price] += count * (hours if price.endswith("hour") else 1)
    for stack in found.stacks:
        if stack.endswith(f"-{region}"):
            total.update(_fleet(found, stack, hours) + _relational(found, stack, hours))
    total["cloudwatch.metric"] += total.pop("buckets") * round(facts.assume("s3.request_metrics")) + total.pop(
        "instances"
    ) * round(facts.assume("ec2.detailed_metrics"))
    return +total


def _one(price: str) -> Callable[[Resource], list[tuple[str, int]]]:
    return lambda _: [(price, 1)]


def _alarm(alarm: Resource) -> list[tuple[str, int]]:
    """An alarm on metric math is paid for each metric in it."""
    return [("cloudwatch.alarm_metric", sum("metric" in query for query in alarm.get("metric_query", [])) or 1)]


def _endpoint(endpoint: Resource) -> list[tuple[str, int]]:
    zones = len(endpoint["subnet_ids"]) if endpoint["vpc_endpoint_type"] == "Interface" else 0
    return [("vpc.endpoint_hour", zones)]


def _balancer(balancer: Resource) -> list[tuple[str, int]]:
    """Each subnet's node of a balancer on the internet has an address."""
    addresses = 0 if balancer.get("internal") else ZONES
    return [("elb.alb_hour", 1), ("vpc.ipv4_hour", addresses)]


def _health_check(check: Resource) -> list[tuple[str, int]]:
    options = [check["type"].startswith("HTTPS"), bool(check.get("measure_latency")), check["request_interval"] == 10]
    return [("route53.health_check", 1), ("route53.health_check_option", sum(options))]


def _fleet(found: Synthesized, stack: str, hours: int) -> Counter[str]:
    """The least instances of each Auto Scaling group, by its launch template, and their volumes."""
    total: Counter[str] = Counter()
    for group, template in zip(
        found.resources(stack, "aws_autoscaling_group").values(),
        found.resources(stack, "aws_launch_template").values(),
        strict=True,
    ):
        total["instances"] += group["min_size"] * template["monitoring"]["enabled"]
        total[f"ec2.{template['instance_type']}"] += group["min_size"] * hours
        for device in template["block_device_mappings"]:
            total["ebs.gp3_gb"] += group["min_size"] * device["ebs"]["volume_size"]
    return total


def _relational(found: Synthesized, stack: str, hours: int) -> Counter[str]:
    """Instances of a Serverless v2 cluster, each at the cluster's minimum."""
    clusters = list(found.resources(stack, "aws_rds_cluster").values())
    instances = found.resources(stack, "aws_rds_cluster_instance")
    if not clusters:
        return Counter()
    (cluster,) = clusters
    minimum = cluster["serverlessv2_scaling_configuration"]["min_capacity"]
    return Counter({"aurora.acu_hour": round(len(instances) * minimum * hours)})


COUNTS: Mapping[str, Callable[[Resource], list[tuple[str, int]]]] = {
    "aws_kms_key": _one("kms.key"),
    "aws_kms_replica_key": _one("kms.key"),
    "aws_vpc_endpoint": _endpoint,
    "aws_nat_gateway": _one("nat.hour"),
    "aws_eip": _one("vpc.ipv4_hour"),
    "aws_lb": _balancer,
    "aws_cloudwatch_metric_alarm": _alarm,
    "aws_cloudwatch_composite_alarm": _one("cloudwatch.composite_alarm"),
    "aws_cloudwatch_dashboard": _one("cloudwatch.dashboard"),
    "aws_s3_bucket_metric": _one("buckets"),
    "aws_route53_zone": _one("route53.zone"),
    "aws_route53_health_check": _health_check,
    "aws_wafv2_web_acl": lambda acl: [("waf.acl", 1), ("waf.rule", len(acl["rule"]))],
    "aws_autoscaling_policy": lambda policy: [
        ("cloudwatch.alarm_metric", TARGET_TRACKING_ALARMS * ("target_tracking_configuration" in policy))
    ],
}
