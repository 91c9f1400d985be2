"""Object processing on the synthesized stacks."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.catalogue import CAPABILITY_FUNCTIONS, UPLOAD_METRICS
from functions.process_object.logic import CLAIM_S
from functions.uploads import INCOMING, PROCESSED
from shared.capabilities.processing import ProcessingSettings
from shared.config import parse
from shared.site import Site
from stacks.edge.api import PROCESS_UPLOAD, ROUTES, UPLOADS
from stacks.network.endpoints import GATEWAY_ACTIONS
from stacks.observability.alarms.queues import queue_alarms
from stacks.observability.metrics import dead_letter_queues
from tests.stacks.conftest import Synthesized

SPECS = [spec for spec in CAPABILITY_FUNCTIONS if spec.capability == "processing"]


@pytest.fixture(scope="session")
def full(synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis("sandbox-full.toml")


@pytest.fixture(params=["us-east-1", "eu-west-1", "ap-southeast-1"])
def region(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def named(resources: dict[str, dict[str, Any]], start: str) -> dict[str, Any]:
    (found,) = [resource for name, resource in resources.items() if name.startswith(start)]
    return found


def statements(full: Synthesized, region: str, function: str) -> dict[str, dict[str, Any]]:
    """The statements of a function's own policy, by their names."""
    policy = named(full.resources(f"compute-{region}", "aws_iam_role_policy"), f"functions_{function}_")
    return {statement["Sid"]: statement for statement in json.loads(policy["policy"])["Statement"]}


# -- the bucket -----------------------------------------------------------------------------------


def test_uploads_have_a_bucket_of_their_region_like_every_bucket(full: Synthesized, region: str) -> None:
    """OPT-06, PAY-19: the region's key, TLS only, not public, versioned, access logged with the audit trail."""
    stack = f"data-{region}"
    assert named(full.resources(stack, "aws_s3_bucket"), "uploads_")["bucket"] == Site(
        full.environment, region
    ).bucket_name("uploads")
    encryption = named(full.resources(stack, "aws_s3_bucket_server_side_encryption_configuration"), "uploads_")
    assert "${aws_kms_key." in encryption["rule"][0]["apply_server_side_encryption_by_default"]["kms_master_key_id"]
    versioning = named(full.resources(stack, "aws_s3_bucket_versioning"), "uploads_")
    assert versioning["versioning_configuration"]["status"] == "Enabled"
    assert "TlsOnly" in named(full.resources(stack, "aws_s3_bucket_policy"), "uploads_")["policy"]
    assert named(full.resources(stack, "aws_s3_bucket_public_access_block"), "uploads_")["restrict_public_buckets"]
    assert named(full.resources(stack, "aws_s3_bucket_logging"), "uploads_")["target_prefix"] == "uploads/"


def test_uploads_and_their_old_versions_expire_when_configured(full: Synthesized, region: str) -> None:
    """OPT-09: 90 days each by default, and configurable."""
    lifecycle = named(full.resources(f"data-links-{region}", "aws_s3_bucket_lifecycle_configuration"), "uploads-")
    (rule,) = lifecycle["rule"]
    assert rule["expiration"] == [{"days": 90}]
    assert rule["noncurrent_version_expiration"] == [{"noncurrent_days": 90}]
    assert "uploads_bucket_name" in lifecycle["bucket"]
    raw = tomllib.loads(Path("config/sandbox.toml").read_text())
    raw["processing"] = {"enabled": True, "expire_days": 7, "noncurrent_days": 3}
    settings = parse(raw, source="test").regions["us-east-1"].processing
    assert (settings.expire_days, settings.noncurrent_days) == (7, 3)


# -- notifications --------------------------------------------------------------------------------


def test_s3_tells_of_uploads_and_of_failed_replication(full: Synthesized, region: str) -> None:
    """OPT-06."""
    notifications = full.resources(f"compute-{region}", "aws_s3_bucket_notification")
    (uploads,) = named(notifications, "processing_uploads_")["lambda_function"]
    assert uploads["events"] == ["s3:ObjectCreated:*"]
    # Without the prefix the summaries would be uploads themselves, for ever.
    assert uploads["filter_prefix"] == INCOMING != PROCESSED
    assert "functions_process_object_" in uploads["lambda_function_arn"]
    (replication,) = named(notifications, "processing_replication_")["lambda_function"]
    assert replication["events"] == [
        "s3:Replication:OperationFailedReplication",
        "s3:Replication:OperationMissedThreshold",
    ]
    assert "functions_monitor_replication_" in replication["lambda_function_arn"]
    assert "receipts_bucket_name" in named(notifications, "processing_replication_")["bucket"]


def test_every_bucket_has_one_notification(full: Synthesized, region: str) -> None:
    """A bucket has one configuration of notifications: a second resource would overwrite the first."""
    found = [
        resource["bucket"]
        for stack, type, _, resource in full.everything()
        if type == "aws_s3_bucket_notification" and stack.endswith(region)
    ]
    assert len(set(found)) == len(found) >= 2


def test_only_the_bucket_of_the_account_invokes(full: Synthesized, region: str) -> None:
    """PAY-13: no confused deputy."""
    permissions = full.resources(f"compute-{region}", "aws_lambda_permission")
    of_s3 = {name: found for name, found in permissions.items() if found["principal"] == "s3.amazonaws.com"}
    assert len(of_s3) == 2
    for found in of_s3.values():
        assert found["source_account"] == "000000000000"
        assert "_bucket_arn" in found["source_arn"]
    notification = named(full.resources(f"compute-{region}", "aws_s3_bucket_notification"), "processing_uploads_")
    assert [name for name in notification["depends_on"] if "aws_lambda_permission.processing_uploads_" in name]


def test_events_are_retried_and_kept_when_they_fail(full: Synthesized, region: str) -> None:
    """OPT-06: retries, maximum age, and a dead-letter queue that is watched."""
    queue = named(full.resources(f"compute-{region}", "aws_sqs_queue"), "processing_")
    for function in ("uploads", "replication"):
        failures = named(
            full.resources(f"compute-{region}", "aws_lambda_function_event_invoke_config"), f"processing_{function}_"
        )
        assert (failures["maximum_retry_attempts"], failures["maximum_event_age_in_seconds"]) == (2, 3600)
        assert "processing_dlq_" in failures["destination_config"]["on_failure"]["destination"]
    site = Site(full.environment, region)
    assert queue["name"] in {site.name(thing) for thing in dead_letter_queues(site)}
    assert f"{queue['name'].removeprefix('tripoint-').removesuffix('-full')}-depth" in {
        spec.thing for spec in queue_alarms(site)
    }


def test_a_claim_has_expired_when_the_first_retry_comes() -> None:
    """OPT-06: Lambda retries an asynchronous event after a minute, so that is when a crash is made good."""
    assert CLAIM_S < 60
    assert ProcessingSettings().retries >= 1


# -- grants ---------------------------------------------------------------------------------------


def test_functions_reach_their_part_of_the_bucket_only(full: Synthesized, region: str) -> None:
    """PAY-13."""
    process, analyze = (statements(full, region, name) for name in ("process_object", "analyze_uploads"))
    assert process["UploadsRead"]["Resource"][0].endswith(f"/{INCOMING}*")
    assert process["SummariesPut"]["Resource"][0].endswith(f"/{PROCESSED}*")
    assert analyze["SummariesRead"]["Resource"][0].endswith(f"/{PROCESSED}*")
    assert analyze["SummariesList"]["Condition"] == {"StringLike": {"s3:prefix": f"{PROCESSED}*"}}
    assert "sessions_table_arn" in process["SessionsCreate"]["Resource"][0]


def test_the_analytics_functions_role_is_read_only(full: Synthesized, region: str) -> None:
    """OPT-06: beside its own logs, traces and network interfaces it holds verbs that read; nothing that encrypts."""
    own = {"WriteLogs", "TracesPut", "AttachToVpc", "KeepNetworkInterfaces", "FindNetworkInterfaces"}
    found = statements(full, region, "analyze_uploads")
    assert own < set(found)
    actions = {action for sid, statement in found.items() if sid not in own for action in statement["Action"]}
    assert actions == {"s3:GetObject", "s3:ListBucket", "kms:Decrypt"}


def test_the_monitor_may_publish_to_the_regions_alert_topic_only(full: Synthesized, region: str) -> None:
    """PAY-13, PAY-17: it touches no payment and the VPC has no way to SNS."""
    found = statements(full, region, "monitor_replication")
    topic = f"arn:aws:sns:{region}:000000000000:tripoint-alerts-full"
    assert found["AlertsPublish"]["Resource"] == [topic]
    assert (
        named(full.resources(f"observability-{region}", "aws_sns_topic"), "alerts_")["name"] == topic.rpartition(":")[2]
    )
    functions = full.resources(f"compute-{region}", "aws_lambda_function")
    monitor = named(functions, "functions_monitor_replication_")
    assert "vpc_config" not in monitor
    assert monitor["environment"]["variables"]["ALERT_TOPIC_ARN"] == topic
    for spec in SPECS:
        assert ("vpc_config" in named(functions, f"functions_{spec.name}_")) == spec.in_vpc


def test_each_function_is_told_and_granted_what_the_catalogue_says(full: Synthesized, region: str) -> None:
    """PAY-13."""
    every = {"logs:CreateLogStream", "logs:PutLogEvents", "kms:Decrypt"}
    for spec in SPECS:
        function = named(full.resources(f"compute-{region}", "aws_lambda_function"), f"functions_{spec.name}_")
        assert set(function["environment"]["variables"]) == set(spec.env_for("simulator"))
        found = statements(full, region, spec.name)
        allowed = {action for statement in found.values() for action in statement["Action"]}
        own = {action for grant in spec.grants_for("simulator") for action in grant.actions}
        own |= set() if spec.read_only else {"kms:GenerateDataKey"}
        own |= {"sqs:SendMessage"} if spec.trigger == "object" else set()
        own |= {action for action in allowed if action.startswith("ec2:")} if spec.in_vpc else set()
        assert allowed == every | own


def test_the_vpcs_way_to_s3_admits_what_the_functions_call(
    full: Synthesized, sandbox: Synthesized, region: str
) -> None:
    """PAY-17: what the capability needs passes the gateway endpoint where it is on, and only there."""

    def admitted(found: Synthesized) -> set[str]:
        endpoints = found.resources(f"network-{region}", "aws_vpc_endpoint").values()
        (s3,) = [endpoint for endpoint in endpoints if endpoint["service_name"].endswith(".s3")]
        (statement,) = json.loads(s3["policy"])["Statement"]
        return set(statement["Action"])

    called = {
        action
        for spec in SPECS
        if spec.in_vpc
        for grant in spec.grants
        for action in grant.actions
        if action.startswith("s3:")
    }
    assert called <= admitted(full)
    assert admitted(sandbox) == set(GATEWAY_ACTIONS["s3"])


# -- POST /process --------------------------------------------------------------------------------


def test_uploads_are_processed_over_http_for_principals_of_the_account(full: Synthesized, region: str) -> None:
    """OPT-06: POST /process, signed, validated, in front of its own function."""
    stack = f"edge-{region}"
    method = named(full.resources(stack, "aws_api_gateway_method"), "payments_post-process_")
    assert (method["http_method"], method["authorization"]) == ("POST", "AWS_IAM")
    assert "process-request" in method["request_models"]["application/json"]
    assert "request_validator_id" in method
    integration = named(full.resources(stack, "aws_api_gateway_integration"), "payments_post-process-function_")
    assert "process_function_invoke_arn" in integration["uri"]
    others = [
        found["uri"]
        for name, found in full.resources(stack, "aws_api_gateway_integration").items()
        if not name.startswith("payments_post-process")
    ]
    assert others
    assert all("api_function_invoke_arn" in uri for uri in others)
    permission = named(full.resources(stack, "aws_lambda_permission"), "payments_invoke-process-object_")
    assert "execution_arn" in permission["source_arn"]


def test_the_route_is_limited_and_published_like_the_others(full: Synthesized, region: str) -> None:
    """PAY-08: throttling, and a deployment that follows the definition."""
    stack = f"edge-{region}"
    settings = full.resources(stack, "aws_api_gateway_method_settings")
    limits = {found["method_path"]: found["settings"] for found in settings.values()}
    api = full.environment.regions[region].api
    assert limits["process/POST"]["throttling_rate_limit"] == api.rate_limit
    assert set(limits) == {"*/*", "payments/POST", "process/POST"}
    # One update of the stage after the other.
    assert "throttling-payments" in json.dumps(named(settings, "payments_throttling-process_")["depends_on"])
    deployment = full.only(stack, "aws_api_gateway_deployment")
    assert deployment["triggers"]["function-process-object"].endswith(".outputs.process_function_arn}")
    there = {name for name in deployment["depends_on"] if "process" in name}
    assert {name.partition(".")[0].removeprefix("aws_api_gateway_") for name in there} == {
        "model",
        "resource",
        "method",
        "integration",
    }


def test_every_route_names_a_function_and_this_one_is_off_with_its_function(sandbox: Synthesized) -> None:
    assert [route for route in ROUTES if route.function == UPLOADS] == [PROCESS_UPLOAD]
    parts = [
        resource.get("path_part")
        for resource in sandbox.resources("edge-us-east-1", "aws_api_gateway_resource").values()
    ]
    assert parts
    assert "process" not in parts


# -- watched --------------------------------------------------------------------------------------


def graphs(full: Synthesized, region: str) -> Iterator[str]:
    for dashboard in full.resources(f"observability-{region}", "aws_cloudwatch_dashboard").values():
        yield json.dumps(dashboard["dashboard_body"])


def test_the_functions_are_watched_like_every_other(full: Synthesized, region: str) -> None:
    """OPT-08: Lambda errors; PAY-12: throttles, duration."""
    alarms = full.resources(f"observability-{region}", "aws_cloudwatch_metric_alarm").values()
    names = {alarm["alarm_name"] for alarm in alarms}
    for spec in SPECS:
        for what in ("errors", "throttles", "duration"):
            assert f"tripoint-{spec.name.replace('_', '-')}-{what}-full" in names
    assert "tripoint-uploads-dlq-depth-full" in names


def test_the_dashboard_shows_what_became_of_uploads(full: Synthesized, region: str) -> None:
    assert any(all(name in body for name in UPLOAD_METRICS) for body in graphs(full, region))
