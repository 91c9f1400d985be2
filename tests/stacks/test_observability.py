"""The observability layer's promises: on plain data where they are plain, else on the synthesized stacks."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.catalogue import (
    ALL_REGIONS_SERVICE_NAME,
    HANDED_OVER_METRIC,
    METRICS,
    SERVICE_NAME,
    SWEEP_METRICS,
    UNREADABLE_METRIC,
)
from rollout.sandbox.alarm_rules import ALARM, OK, Rule, next_state
from rollout.sandbox.metric_math import Request, Series, Window
from shared.config import Environment, parse
from shared.site import Site
from stacks.observability import metrics
from stacks.observability.alarms.alarm import AlarmSpec, Missing
from stacks.observability.alarms.region import region_alarms
from stacks.observability.dashboards.all_regions import all_regions
from stacks.observability.dashboards.one_region import one_region
from stacks.observability.delivery import delivers, is_opt_in, sns_principals
from stacks.observability.metrics import Formula, Metric
from tests.stacks.conftest import Synthesized

# Metrics that AWS publishes, with the dimensions we address them by, and where that is written.
LAMBDA = ("FunctionName",)
API = ("ApiName",)
ROUTE = ("ApiName", "Stage", "Resource", "Method")
MACHINE = ("StateMachineArn",)
TABLE = ("TableName",)
OPERATION = ("TableName", "Operation")
REQUESTS = ("AllRequests", "GetRequests", "PutRequests", "4xxErrors")
RULE = ("SourceBucket", "DestinationBucket", "RuleId")
AWS_METRICS: dict[tuple[str, str], set[tuple[str, ...]]] = {
    # Lambda Developer Guide, "Types of metrics for Lambda functions"
    **{
        ("AWS/Lambda", name): {LAMBDA}
        for name in ("Invocations", "Errors", "Throttles", "Duration", "ConcurrentExecutions", "IteratorAge")
    },
    # API Gateway Developer Guide, "Amazon API Gateway dimensions and metrics" (per route: detailed metrics on)
    **{("AWS/ApiGateway", name): {API, ROUTE} for name in ("Count", "Latency", "4XXError", "5XXError")},
    # Step Functions Developer Guide, "Monitoring Step Functions metrics using Amazon CloudWatch"
    **{
        ("AWS/States", name): {MACHINE}
        for name in (
            "ExecutionsStarted",
            "ExecutionsSucceeded",
            "ExecutionsFailed",
            "ExecutionsTimedOut",
            "ExecutionsAborted",
            "ExecutionThrottled",
            "ExecutionTime",
            "ExpressExecutionBilledDuration",
        )
    },
    ("AWS/States", "ConsumedCapacity"): {("ServiceMetric",)},
    # DynamoDB Developer Guide, "DynamoDB metrics and dimensions"
    **{
        ("AWS/DynamoDB", name): {TABLE}
        for name in (
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
            "ReadThrottleEvents",
            "WriteThrottleEvents",
        )
    },
    **{("AWS/DynamoDB", name): {OPERATION} for name in ("SuccessfulRequestLatency", "SystemErrors")},
    ("AWS/DynamoDB", "ReplicationLatency"): {("TableName", "ReceivingRegion")},
    # S3 User Guide, "Amazon S3 metrics and dimensions", S3 Replication metrics
    **{
        ("AWS/S3", name): {RULE}
        for name in (
            "ReplicationLatency",
            "OperationsFailedReplication",
            "OperationsPendingReplication",
            "BytesPendingReplication",
        )
    },
    # S3 User Guide, "Amazon S3 CloudWatch request metrics"
    **{("AWS/S3", name): {("BucketName", "FilterId")} for name in REQUESTS},
    # SQS Developer Guide, "Available CloudWatch metrics for Amazon SQS"
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): {("QueueName",)},
    # SNS Developer Guide, "Monitoring Amazon SNS topics using CloudWatch"
    ("AWS/SNS", "PublishSize"): {("TopicName",)},
    # EventBridge User Guide, "Monitoring Amazon EventBridge": rules of a custom bus have both dimensions
    **{
        ("AWS/Events", name): {("EventBusName", "RuleName")}
        for name in ("FailedInvocations", "InvocationsFailedToBeSentToDlq", "Invocations")
    },
    # Aurora User Guide, "Amazon CloudWatch metrics for Amazon Aurora" and "... dimensions for Aurora"
    **{
        ("AWS/RDS", name): {("DBClusterIdentifier",)}
        for name in ("CPUUtilization", "DatabaseConnections", "ServerlessDatabaseCapacity", "ACUUtilization")
    },
    ("AWS/RDS", "AuroraGlobalDBReplicationLag"): {("DBClusterIdentifier",), ("SourceRegion",)},
    # User Guide for Application Load Balancers, "CloudWatch metrics for your Application Load Balancer"
    **{
        ("AWS/ApplicationELB", name): {("TargetGroup", "LoadBalancer")}
        for name in (
            "HealthyHostCount",
            "UnHealthyHostCount",
            "RequestCount",
            "HTTPCode_Target_5XX_Count",
            "TargetResponseTime",
        )
    },
    # Route 53 Developer Guide, "Monitoring health checks using CloudWatch"
    ("AWS/Route53", "HealthCheckStatus"): {("HealthCheckId",)},
    # CloudFront Developer Guide, "Values for CloudFront distribution metrics"
    **{
        ("AWS/CloudFront", name): {("DistributionId", "Region")}
        for name in ("5xxErrorRate", "4xxErrorRate", "Requests")
    },
}
OWN_METRICS = {*METRICS, *SWEEP_METRICS, HANDED_OVER_METRIC, UNREADABLE_METRIC}
STATISTICS = {"Sum", "Average", "Minimum", "Maximum", "SampleCount", "p50", "p90", "p99"}

REGION_SETS = {
    1: ("ap-southeast-1",),
    2: ("eu-west-1", "us-east-1"),
    3: ("us-east-1", "us-east-2", "eu-west-1"),
    8: (
        "us-east-1",
        "us-west-2",
        "eu-west-1",
        "eu-central-1",
        "ap-southeast-1",
        "ap-northeast-1",
        "sa-east-1",
        "af-south-1",
    ),
}


def environment(regions: tuple[str, ...], **sections: Any) -> Environment:
    """An environment like the sandbox, in other regions."""
    raw = tomllib.loads(Path("config/sandbox.toml").read_text())
    raw["regions"] = {
        region: {"primary": number == 0, "cidr": f"10.{number + 10}.0.0/16"} for number, region in enumerate(regions)
    }
    return parse({**raw, **sections}, source="test")


@pytest.fixture(params=REGION_SETS.values(), ids=REGION_SETS)
def many(request: pytest.FixtureRequest) -> Environment:
    return environment(request.param)


def sites(found: Environment) -> Iterator[Site]:
    return (Site(found, region) for region in found.regions)


def measured(what: Metric | Formula) -> list[Metric]:
    return [what] if isinstance(what, Metric) else list(what.inputs.values())


def alarm(thing: str, found: Environment | None = None) -> AlarmSpec:
    """An alarm of the first region."""
    site = next(sites(found or environment(REGION_SETS[3])))
    return next(spec for spec in region_alarms(site) if spec.thing == thing)


def shown(body: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """(widget, entry) of every metric and expression of a dashboard."""
    return ((widget, entry) for widget in body["widgets"] for entry in widget["properties"].get("metrics", ()))


# -- what is measured -----------------------------------------------------------------------------


def test_metrics_are_those_that_the_functions_write() -> None:
    """PAY-12: alarm and functions speak of the same metrics."""
    assert {metrics.RECEIVED, *metrics.FINAL.values()} == set(METRICS)
    assert metrics.SERVICE == SERVICE_NAME


def test_every_alarm_watches_a_metric_that_exists(many: Environment) -> None:
    """PAY-12: no alarm waits for a metric or dimension that AWS does not publish, nor the functions."""
    for site in sites(many):
        for spec in region_alarms(site):
            for metric in measured(spec.what):
                assert metric.stat in STATISTICS, spec.thing
                if metric.namespace == site.metrics_namespace:
                    assert metric.name in OWN_METRICS, spec.thing
                    assert set(metric.dimensions) == {"service"}, spec.thing
                else:
                    assert tuple(metric.dimensions) in AWS_METRICS[metric.namespace, metric.name], spec.thing


def test_every_graph_shows_metrics_that_exist(many: Environment) -> None:
    """PAY-09: the same of the dashboards."""
    site = next(sites(many))
    for body in (all_regions(site), one_region(site, [], "check")):
        for widget, entry in shown(body):
            if len(entry) > 1:
                namespace, name, *rest = entry
                if namespace == site.metrics_namespace:
                    assert name in OWN_METRICS, widget["properties"]["title"]
                else:
                    assert tuple(rest[:-1:2]) in AWS_METRICS[namespace, name], widget["properties"]["title"]


def test_things_have_the_names_that_the_layers_give_them(sandbox: Synthesized) -> None:
    """PAY-12: functions, API, workflow, table, buckets and queues are watched under their real names."""
    for region in sandbox.environment.regions:
        site = Site(sandbox.environment, region)
        watched: dict[str, set[str]] = {}
        for spec in region_alarms(site):
            for metric in measured(spec.what):
                for dimension, value in metric.dimensions.items():
                    watched.setdefault(dimension, set()).add(value)
        functions = sandbox.resources(f"compute-{region}", "aws_lambda_function").values()
        assert watched["FunctionName"] == {function["function_name"] for function in functions}
        machine = sandbox.only(f"compute-{region}", "aws_sfn_state_machine")
        assert watched["StateMachineArn"] == {site.arn("states", f"stateMachine:{machine['name']}")}
        api = sandbox.only(f"edge-{region}", "aws_api_gateway_rest_api")
        assert watched["ApiName"] == {api["name"]}
        assert watched["Stage"] == {sandbox.only(f"edge-{region}", "aws_api_gateway_stage")["stage_name"]}
        tables = sandbox.resources(f"data-{sandbox.environment.primary}", "aws_dynamodb_table").values()
        assert watched["TableName"] == {table["name"] for table in tables}
        rules = [
            *sandbox.resources(f"compute-{region}", "aws_cloudwatch_event_rule").values(),
            *sandbox.resources(f"compute-links-{region}", "aws_cloudwatch_event_rule").values(),
        ]
        assert watched["RuleName"] == {rule["name"] for rule in rules if "event_bus_name" in rule}
        assert watched["EventBusName"] == {sandbox.only(f"compute-{region}", "aws_cloudwatch_event_bus")["name"]}
        buckets = {
            bucket["bucket"]
            for other in sandbox.environment.regions
            for bucket in sandbox.resources(f"data-{other}", "aws_s3_bucket").values()
        }
        assert watched["SourceBucket"] | watched["DestinationBucket"] <= buckets


def test_every_dead_letter_queue_is_watched(sandbox: Synthesized) -> None:
    """PAY-12: DLQ depth, of every dead-letter queue that a layer makes."""
    for region in sandbox.environment.regions:
        site = Site(sandbox.environment, region)
        made = {
            queue["name"]
            for stack in sandbox.stacks
            if stack.endswith(region)
            for queue in sandbox.resources(stack, "aws_sqs_queue").values()
        }
        watched = {site.name(thing) for thing in metrics.dead_letter_queues(site)}
        assert made - {site.name(metrics.ALERTS_QUEUE)} == watched


def test_replication_rules_are_watched_by_their_ids(sandbox: Synthesized) -> None:
    """PAY-11, PAY-12: replication of receipts in all directions, each rule by its own id, metrics on."""
    for region in sandbox.environment.regions:
        site = Site(sandbox.environment, region)
        configuration = sandbox.only(f"data-links-{region}", "aws_s3_bucket_replication_configuration")
        rules = {rule["id"] for rule in configuration["rule"]}
        watched = {
            metric.dimensions["RuleId"]
            for spec in region_alarms(site)
            for metric in measured(spec.what)
            if metric.name == "OperationsFailedReplication"
        }
        assert watched == rules


# -- alarms ---------------------------------------------------------------------------------------


def test_there_is_an_alarm_for_every_item(many: Environment) -> None:
    """PAY-12: failures per region and over all, throttles, errors, latency, DLQ depth, replication lag, stream age."""
    for site in sites(many):
        things = {spec.thing for spec in region_alarms(site)}
        assert things >= {
            "failure-rate",
            "failure-rate-all-regions",
            "api-errors",
            "api-latency",
            "workflow-failures",
            "workflow-timeouts",
            "workflow-throttles",
            "steps-errors",
            "steps-throttles",
            "steps-duration",
            "payments-api-errors",
            "publish-changes-errors",
            "changes-dlq-depth",
            "table-errors",
            "table-throttles",
            "stream-age",
            "arrivals-failed",
            "journal-failed",
            "all-regions-unreadable",
        }
        for other in site.other_regions:
            assert things >= {
                f"table-lag-to-{other}",
                f"table-silent-to-{other}",
                f"receipts-failed-to-{other}",
                f"receipts-lag-from-{other}",
                f"route-to-{other}-failed",
            }


def test_every_function_is_watched_for_errors_throttles_and_duration() -> None:
    """PAY-12: throttles, errors, latency of every function."""
    site = next(sites(environment(REGION_SETS[2])))
    for name in ("Errors", "Throttles", "Duration"):
        watched = {
            metric.dimensions["FunctionName"]
            for spec in region_alarms(site)
            for metric in measured(spec.what)
            if metric.name == name
        }
        assert watched == {site.name(spec.name.replace("_", "-")) for spec in metrics.FUNCTIONS}


def test_expressions_stay_within_what_an_alarm_takes(many: Environment) -> None:
    """PAY-12: at most ten metrics in an alarm's expression (CloudWatch quotas), 1024 characters of description."""
    for site in sites(many):
        for spec in region_alarms(site):
            assert len(measured(spec.what)) <= 10, spec.thing
            assert len(spec.says) < 900
            assert len(site.name(spec.thing)) <= 255


def test_missing_data_means_what_it_means() -> None:
    """PAY-12: counters of trouble are silent when all is well; DynamoDB's own alarms ignore missing data on AWS."""
    for spec in region_alarms(next(sites(environment(REGION_SETS[3])))):
        of_the_table = any(metric.namespace == "AWS/DynamoDB" for metric in measured(spec.what))
        # Written every minute; its silence is what it is there to tell.
        heartbeat = spec.thing in ("all-regions-unreadable", "open-payments")
        quiet = Missing.IS_BAD if heartbeat else Missing.IS_GOOD
        assert spec.missing is (Missing.SAYS_NOTHING if of_the_table else quiet), spec.thing


@pytest.mark.parametrize("period_s", [60, 300])
def test_a_sum_over_all_regions_that_is_written_twice_counts_once(period_s: int) -> None:
    """PAY-12: a schedule's event may come twice, and then the function writes the minute's one value again."""
    found = environment(REGION_SETS[3], alarms={"period_s": period_s})
    spec = alarm("failure-rate-all-regions", found)
    assert {metric.stat for metric in measured(spec.what)} == {"Maximum"}
    assert spec.period_s == 60  # the highest of several minutes would be no sum
    everywhere = [entry for _, entry in shown(all_regions(next(sites(found)))) if ALL_REGIONS_SERVICE_NAME in entry]
    assert len(everywhere) == 2 * len(metrics.FINAL)
    assert {entry[-1]["stat"] for entry in everywhere} == {"Maximum"}
    assert {metric.stat for metric in measured(alarm("failure-rate", found).what)} == {"Sum"}


def test_no_alarm_looks_at_the_newest_minute_alone() -> None:
    """PAY-12: metrics come late; FILL would make a 0 of a minute that isn't in yet."""
    for spec in region_alarms(next(sites(environment(REGION_SETS[2])))):
        assert 1 <= spec.patience.datapoints <= spec.patience.periods, spec.thing
        assert spec.patience.periods >= 3, spec.thing


def test_thresholds_come_from_the_regions_configuration() -> None:
    """PAY-01, PAY-12: a region's own thresholds."""
    found = environment(REGION_SETS[2], alarms={"failure_rate_percent": 0.5, "stream_age_ms": 7})
    assert alarm("failure-rate", found).above == 0.5
    assert alarm("stream-age", found).above == 7


# -- alarms, evaluated ----------------------------------------------------------------------------

MINUTES = (0.0, 60.0, 120.0, 180.0, 240.0)


def state(spec: AlarmSpec, data: dict[str, Series], before: str = OK) -> str:
    """The state that follows when its inputs have these data points over five minutes."""
    assert isinstance(spec.what, Formula)
    series = {id: data.get(id, {}) for id in spec.what.inputs}
    request = Request(Window(MINUTES, 60.0), series, {"result": spec.what.expression})
    (result,) = request.series("result")
    rule = Rule(
        comparison="GreaterThanThreshold",
        threshold=spec.above,
        periods=spec.patience.periods,
        datapoints=spec.patience.datapoints,
        missing=spec.missing.value,
    )
    return next_state(rule, [result.get(at) for at in MINUTES], before)


@pytest.mark.parametrize("thing", ["failure-rate", "failure-rate-all-regions"])
def test_exactly_a_tenth_of_a_percent_is_no_alarm(thing: str) -> None:
    """PAY-12: above 0.1 %, so 1 of 1,000 is not yet one."""
    assert state(alarm(thing), {"settled": {240.0: 999.0}, "failed": {240.0: 1.0}}) == OK


@pytest.mark.parametrize("thing", ["failure-rate", "failure-rate-all-regions"])
@pytest.mark.parametrize("kind", ["failed", "refunded"])
def test_more_than_a_tenth_of_a_percent_is_an_alarm(thing: str, kind: str) -> None:
    """PAY-12: alarm on transaction failures above 0.1 %."""
    assert state(alarm(thing), {"settled": {240.0: 998.0}, kind: {240.0: 1.0}}) == ALARM


def test_declines_are_answers() -> None:
    """PAY-12: a declined payment has not failed; it counts among those that ended."""
    assert state(alarm("failure-rate"), {"declined": {240.0: 50.0}}) == OK
    assert state(alarm("failure-rate"), {"declined": {240.0: 999.0}, "failed": {240.0: 1.0}}) == OK


def test_no_traffic_is_no_alarm_and_ends_one() -> None:
    """PAY-12, trap 16: without FILL the alarm would neither fire on failures alone nor clear in a quiet minute."""
    assert state(alarm("failure-rate"), {}) == OK
    assert state(alarm("failure-rate"), {}, before=ALARM) == OK
    assert state(alarm("failure-rate"), {"failed": {240.0: 1.0}}) == ALARM


def test_a_failure_that_arrives_a_minute_late_is_seen() -> None:
    """PAY-12: the newest minute reads 0 until its data is in."""
    late = {"settled": {180.0: 10.0}, "failed": {180.0: 1.0}}
    assert state(alarm("failure-rate"), late) == ALARM


def test_sums_of_all_regions_come_two_minutes_late() -> None:
    """PAY-12: a minute is summed up when it is over; the alarm still finds it."""
    data = {"settled": {60.0: 10.0}, "failed": {60.0: 1.0}}
    assert state(alarm("failure-rate-all-regions"), data) == ALARM


def test_rate_over_all_regions_is_weighted() -> None:
    """PAY-12: a failure in a small region counts as one payment of all, not as a third of the rate."""
    small, large = {"settled": 10.0, "failed": 1.0}, {"settled": 9_990.0, "failed": 0.0}
    both = {id: {240.0: small[id] + large[id]} for id in small}
    assert state(alarm("failure-rate"), {id: {240.0: value} for id, value in small.items()}) == ALARM
    assert state(alarm("failure-rate-all-regions"), both) == OK


def test_standing_replication_is_told_from_a_quiet_table() -> None:
    """Trap 16: writes without any replication latency, for the whole range."""
    silent = alarm("table-silent-to-us-east-2")
    writes = dict.fromkeys(MINUTES, 3.0)
    assert state(silent, {"w0": writes}) == ALARM
    assert state(silent, {"w0": writes, "latency": dict.fromkeys(MINUTES, 900.0)}) == OK
    assert state(silent, {"w0": writes, "latency": {120.0: 900.0}}) == OK
    assert state(silent, {}) == OK


def test_errors_that_retries_heal_must_last() -> None:
    """PAY-12: one error of a step is the workflow's to repeat; errors in most minutes are not."""
    work = {"whole": dict.fromkeys(MINUTES, 50.0)}
    assert state(alarm("steps-errors"), {**work, "errors0": {240.0: 5.0}}) == OK
    assert state(alarm("steps-errors"), {**work, "errors0": {0.0: 1.0, 60.0: 1.0}, "errors3": {240.0: 1.0}}) == ALARM


def test_declines_are_no_errors_of_the_steps() -> None:
    """PAY-12: a step tells the workflow of a decline by an error; a decline is an answer."""
    step = f"errors{metrics.WORKFLOW_FUNCTIONS.index('authorize')}"
    data = {"whole": dict.fromkeys(MINUTES, 50.0), step: dict.fromkeys(MINUTES, 5.0)}
    assert state(alarm("steps-errors"), data) == ALARM
    assert state(alarm("steps-errors"), {**data, "declined": dict.fromkeys(MINUTES, 5.0)}) == OK


def test_api_errors_are_a_share_of_requests() -> None:
    """PAY-12: 5XX over all payment routes together; none without requests."""
    spec = alarm("api-errors")
    assert state(spec, {"post_count": {240.0: 99.0}, "get_count": {240.0: 1.0}, "post_errors": {240.0: 1.0}}) == OK
    assert state(spec, {"post_count": {240.0: 50.0}, "post_errors": {240.0: 1.0}}) == ALARM
    assert state(spec, {}) == OK


@pytest.mark.parametrize("found", [environment(REGION_SETS[2])], ids=["two regions"])
def test_ratios_are_filled(found: Environment) -> None:
    """Trap 16: alarms on ratios need FILL for every input."""
    for spec in region_alarms(next(sites(found))):
        if isinstance(spec.what, Formula) and "/" in spec.what.expression:
            for id in spec.what.inputs:
                assert f"FILL({id}, 0)" in spec.what.expression, spec.thing


# -- synthesized ----------------------------------------------------------------------------------


def test_every_alarm_notifies_the_topic_when_raised_and_when_over(sandbox: Synthesized) -> None:
    """PAY-12: alarms notify the SNS topic."""
    for region in sandbox.environment.regions:
        stack = f"observability-{region}"
        (topic,) = sandbox.resources(stack, "aws_sns_topic")
        metric_alarms = sandbox.resources(stack, "aws_cloudwatch_metric_alarm").values()
        assert len(metric_alarms) == len(region_alarms(Site(sandbox.environment, region)))
        for found in (*metric_alarms, sandbox.only(stack, "aws_cloudwatch_composite_alarm")):
            assert found["alarm_actions"] == [f"${{aws_sns_topic.{topic}.arn}}"], found["alarm_name"]
            assert found["ok_actions"] == found["alarm_actions"]


def test_failure_alarm_is_a_ratio_over_a_tenth_of_a_percent(sandbox: Synthesized) -> None:
    """PAY-12: alarm on transaction failures above 0.1 % by metric math."""
    for region in sandbox.environment.regions:
        site = Site(sandbox.environment, region)
        alarms = sandbox.resources(f"observability-{region}", "aws_cloudwatch_metric_alarm").values()
        for thing, service in (("failure-rate", "payments"), ("failure-rate-all-regions", "payments-all-regions")):
            (found,) = (one for one in alarms if one["alarm_name"] == site.name(thing))
            assert found["threshold"] == pytest.approx(0.1)
            assert found["comparison_operator"] == "GreaterThanThreshold"
            assert found["treat_missing_data"] == "notBreaching"
            rate, *inputs = found["metric_query"]
            assert rate["return_data"] is True
            assert {query["id"] for query in inputs} == set(metrics.FINAL)
            assert {query["metric"]["dimensions"]["service"] for query in inputs} == {service}


def test_percentiles_are_extended_statistics(sandbox: Synthesized) -> None:
    """PAY-12: an alarm has a statistic, an extended one, or metric queries; never two of them."""
    for found in sandbox.resources("observability-us-east-1", "aws_cloudwatch_metric_alarm").values():
        assert sum(key in found for key in ("statistic", "extended_statistic", "metric_query")) == 1


def test_region_is_unwell_when_any_vital_alarm_is_raised(sandbox: Synthesized) -> None:
    """PAY-12: one alarm over those that say that payments suffer now; it is made after them."""
    stack = "observability-eu-west-1"
    composite = sandbox.only(stack, "aws_cloudwatch_composite_alarm")
    site = Site(sandbox.environment, "eu-west-1")
    vital = {spec.thing for spec in region_alarms(site) if spec.vital}
    assert "failure-rate" in vital
    assert "failure-rate-all-regions" not in vital
    assert composite["alarm_rule"] == " OR ".join(
        f'ALARM("{site.name(spec.thing)}")' for spec in region_alarms(site) if spec.vital
    )
    assert len(composite["depends_on"]) == len(vital)


def test_topic_and_queues_are_encrypted(sandbox: Synthesized) -> None:
    """PAY-07, PAY-19: SNS alert topic in every region, encrypted, to encrypted queues."""
    for region in sandbox.environment.regions:
        stack = f"observability-{region}"
        assert f"data-{region}" in sandbox.only(stack, "aws_sns_topic")["kms_master_key_id"]
        for queue in sandbox.resources(stack, "aws_sqs_queue").values():
            assert f"data-{region}" in queue["kms_master_key_id"]


def test_oncall_queue_admits_the_alert_topics_of_all_regions_only(sandbox: Synthesized) -> None:
    """PAY-07, trap 20: cross-region subscriptions; the queue says which topics."""
    topics = {
        Site(sandbox.environment, region).arn("sns", f"tripoint-alerts-{sandbox.environment.suffix}")
        for region in sandbox.environment.regions
    }
    for region in sandbox.environment.regions:
        queues = sandbox.resources(f"observability-{region}", "aws_sqs_queue").values()
        admitted = {}
        for queue in queues:
            (statement,) = (one for one in json.loads(queue["policy"])["Statement"] if one["Effect"] == "Allow")
            assert statement["Principal"] == {"Service": ["sns.amazonaws.com"]}
            assert statement["Resource"] == Site(sandbox.environment, region).arn("sqs", queue["name"])
            admitted[queue["name"]] = set(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
        assert admitted[f"tripoint-oncall-{sandbox.environment.suffix}"] == topics
        assert len(admitted[f"tripoint-oncall-dlq-{sandbox.environment.suffix}"]) == 1
        # As a resource of its own the provider would wait for it half a minute more.
        assert not sandbox.resources(f"observability-{region}", "aws_sqs_queue_policy")


def test_every_oncall_queue_gets_the_alerts_of_every_region(sandbox: Synthesized) -> None:
    """PAY-07: an alert raised in any region reaches the on-call queue of every region."""
    regions = set(sandbox.environment.regions)
    for region in regions:
        local = sandbox.only(f"observability-{region}", "aws_sns_topic_subscription")
        assert "aws_sqs_queue" in local["endpoint"]
        links = sandbox.resources(f"observability-links-{region}", "aws_sns_topic_subscription").values()
        reached = set()
        for link in links:
            # The topic is here: SNS takes a subscription in the topic's region only.
            assert f"observability-{region}" in link["topic_arn"]
            reached |= {other for other in regions if f"observability-{other}." in link["endpoint"]}
            assert "deadLetterTargetArn" in link["redrive_policy"]
        assert reached == regions - {region}
        (provider,) = sandbox.stack(f"observability-links-{region}")["provider"]["aws"]
        assert provider["region"] == region


def test_opt_in_regions_deliver_as_themselves_and_not_to_each_other() -> None:
    """PAY-07: SNS Developer Guide, "Sending Amazon SNS messages to ... a different Region"."""
    assert sns_principals(["eu-west-1", "af-south-1"]) == ["sns.amazonaws.com", "sns.af-south-1.amazonaws.com"]
    assert is_opt_in("me-central-1")
    assert not is_opt_in("us-east-1")
    assert delivers("af-south-1", "eu-west-1")
    assert delivers("eu-west-1", "af-south-1")
    assert delivers("af-south-1", "af-south-1")
    assert not delivers("af-south-1", "me-central-1")


def test_flow_logs_of_all_traffic(sandbox: Synthesized) -> None:
    """PAY-17: flow logs."""
    assert sandbox.only("observability-us-east-1", "aws_flow_log")["traffic_type"] == "ALL"


# -- dashboards -----------------------------------------------------------------------------------

# Graphs of numbers that only the whole has.
OVER_ALL = {"How payments ended, all regions"}


def test_dashboard_of_each_region_shows_all_regions(many: Environment) -> None:
    """PAY-01, PAY-09: dashboards that aggregate the metrics of all regions, whatever the set of regions."""
    for site in sites(many):
        regions: dict[str, set[str]] = {}
        for widget, entry in shown(all_regions(site)):
            regions.setdefault(widget["properties"]["title"], set()).add(entry[-1]["region"])
        for title, found in regions.items():
            assert found == ({site.region} if title in OVER_ALL else set(many.regions)), title


def test_dashboard_shows_what_the_requirement_names() -> None:
    """PAY-09: traffic, failure rate, latency percentiles, replication, DLQs, throttles, cost drivers."""
    titles = " ".join(
        widget["properties"].get("title", "")
        for widget in all_regions(next(sites(environment(REGION_SETS[3]))))["widgets"]
    )
    for part in (
        "Payments received",
        "Failed payments",
        "API latency, p99",
        "Duration of the workflow, p99",
        "Replication of the payments table",
        "Replication of receipts",
        "dead-letter queues",
        "Throttled",
        "Lambda",
        "Step Functions",
        "DynamoDB",
        "Sent to other regions",
    ):
        assert part in titles


def test_expressions_use_metrics_of_their_own_graph_and_region(many: Environment) -> None:
    """PAY-09: an id stands for one metric in its graph; CloudWatch computes within one region."""
    for site in sites(many):
        for body in (all_regions(site), one_region(site, [], "check")):
            for widget in body["widgets"]:
                entries = [entry[-1] for entry in widget["properties"].get("metrics", ())]
                ids = [entry["id"] for entry in entries]
                assert len(ids) == len(set(ids))
                for entry in entries:
                    if "expression" in entry:
                        own = [
                            other["id"]
                            for other in entries
                            if other is not entry and other["region"] == entry["region"] and "visible" in other
                        ]
                        used = Request(
                            Window(MINUTES, 60.0),
                            {id: dict.fromkeys(MINUTES, 1.0) for id in own},
                            {"it": entry["expression"]},
                        )
                        assert used.series("it")


def test_dashboards_stay_within_cloudwatchs_limits(many: Environment) -> None:
    """PAY-09: 500 metrics in a graph, 2,500 on a dashboard, 100 alarms in a widget; nothing overlaps."""
    for site in sites(many):
        arns = [f"arn:{number}" for number in range(130)]
        for body in (all_regions(site), one_region(site, arns, "check")):
            counts = [len(widget["properties"].get("metrics", ())) for widget in body["widgets"]]
            assert max(counts) <= 500
            assert all(widget["properties"]["metrics"] for widget in body["widgets"] if widget["type"] == "metric")
            assert sum(counts) <= 2_500
            taken: set[tuple[int, int]] = set()
            for widget in body["widgets"]:
                assert len(widget["properties"].get("alarms", ())) <= 100
                assert widget["x"] + widget["width"] <= 24
                cells = {
                    (widget["x"] + x, widget["y"] + y) for x in range(widget["width"]) for y in range(widget["height"])
                }
                assert not cells & taken
                taken |= cells


def test_a_region_has_one_colour_in_every_graph(many: Environment) -> None:
    """PAY-09: legible over graphs."""
    seen: dict[str, set[str]] = {}
    for _, entry in shown(all_regions(next(sites(many)))):
        if entry[-1].get("label") in many.regions:
            seen.setdefault(entry[-1]["label"], set()).add(entry[-1]["color"])
    assert set(seen) == set(many.regions)
    assert all(len(found) == 1 for found in seen.values())
    assert len(set.union(*seen.values())) == len(many.regions)


def test_alarms_and_dashboards_share_their_expressions() -> None:
    """PAY-09, PAY-12: what the alarm computes is what the graph shows."""
    site = next(sites(environment(REGION_SETS[2])))
    raised = alarm("failure-rate", site.environment).what
    assert isinstance(raised, Formula)
    drawn = [entry[0]["expression"] for _, entry in shown(one_region(site, [], "check")) if len(entry) == 1]
    prefix = f"l0{site.region.replace('-', '')}_"
    assert raised.prefixed(prefix).expression in drawn


def test_dashboards_have_names_of_their_own_in_the_account(sandbox: Synthesized) -> None:
    """PAY-09, PAY-15: dashboards are global in an account."""
    names = [
        dashboard["dashboard_name"]
        for region in sandbox.environment.regions
        for dashboard in sandbox.resources(f"observability-{region}", "aws_cloudwatch_dashboard").values()
    ]
    assert len(set(names)) == len(names) == 2 * len(sandbox.environment.regions)


def test_readme_lists_every_output() -> None:
    """LAY-07: a README with the contract."""
    from stacks.observability.contract import ObservabilityLinksOutputs, ObservabilityOutputs

    readme = Path("stacks/observability/README.md").read_text()
    for outputs in (ObservabilityOutputs, ObservabilityLinksOutputs):
        for name in outputs.fields():
            assert f"`{name}`" in readme
