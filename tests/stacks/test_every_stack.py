"""What holds for every resource of every stack of every environment."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.catalogue import FUNCTIONS
from tests.stacks.conftest import Synthesized

CONFIGS = sorted(path.name for path in Path("config").glob("*.toml"))
EXPECTED_TAGS = {"Environment", "Region", "CostCenter", "Owner", "Project", "ManagedBy", "Layer"}

# Attributes by which resources are named; what is named by its parent or by AWS is not here.
NAMES = {
    "aws_api_gateway_rest_api": "name",
    "aws_cloudwatch_dashboard": "dashboard_name",
    "aws_cloudwatch_event_bus": "name",
    "aws_cloudwatch_log_group": "name",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    "aws_dynamodb_table": "name",
    "aws_iam_role": "name",
    "aws_kms_alias": "name",
    "aws_lambda_function": "function_name",
    "aws_s3_bucket": "bucket",
    "aws_security_group": "name",
    "aws_sfn_state_machine": "name",
    "aws_sns_topic": "name",
    "aws_sqs_queue": "name",
}

# IAM actions without resource-level permissions (Service Authorization Reference).
ACCOUNT_WIDE = re.compile(
    r"^(cloudwatch:GetMetricData|xray:Put(TraceSegments|TelemetryRecords)|ec2:.*|logs:(CreateLogDelivery|DeleteLogDelivery|DescribeLogGroups"
    r"|DescribeResourcePolicies|GetLogDelivery|ListLogDeliveries|PutResourcePolicy|UpdateLogDelivery))$"
)


@pytest.fixture(params=CONFIGS)
def synthesized(request: pytest.FixtureRequest, synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis(request.param)


def statements(found: Synthesized) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(where, kind, statement) of every policy document."""
    for stack, type, name, resource in found.everything():
        for key in ("policy", "assume_role_policy"):
            if isinstance(resource.get(key), str):
                for statement in json.loads(resource[key])["Statement"]:
                    yield f"{stack}/{type}.{name}", type, statement


def test_every_layer_in_every_region(synthesized: Synthesized) -> None:
    """PAY-01, LAY-01: separate stacks per layer and region, from one command."""
    layers = ("network", "data", "compute", "edge", "observability")
    wanted = {f"{layer}-{region}" for layer in layers for region in synthesized.environment.regions}
    assert wanted <= set(synthesized.stacks)


def test_no_allowed_action_is_a_wildcard(synthesized: Synthesized) -> None:
    """PAY-13: no wildcard actions anywhere."""
    for where, _, statement in statements(synthesized):
        if statement["Effect"] == "Allow":
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [action for action in actions if "*" in action], where


def test_no_resource_is_a_wildcard_where_the_service_can_name_it(synthesized: Synthesized) -> None:
    """PAY-13: no wildcard resources where the service supports resource-level permission."""
    for where, type, statement in statements(synthesized):
        if type == "aws_iam_role_policy" and "*" in statement["Resource"]:
            assert all(ACCOUNT_WIDE.match(action) for action in statement["Action"]), where


def test_services_are_trusted_for_this_account_only(synthesized: Synthesized) -> None:
    """PAY-13: no confused deputy: a trusted service principal always comes with a condition."""
    for where, _, statement in statements(synthesized):
        if "Service" in statement.get("Principal", {}):
            assert statement.get("Condition"), where


def test_every_name_carries_the_suffix(synthesized: Synthesized) -> None:
    """PAY-15: every name carries the environment suffix."""
    suffix = synthesized.environment.suffix
    named = 0
    for stack, type, name, resource in synthesized.everything():
        if type in NAMES:
            value = resource[NAMES[type]]
            assert value.endswith(f"-{suffix}") or value.startswith("${"), f"{stack}/{type}.{name}: {value}"
            named += 1
    assert named > 100


def test_provider_tags_everything(synthesized: Synthesized) -> None:
    """PAY-14: Environment, Region, CostCenter (and Owner, Project, ManagedBy, Layer)."""
    for stack in synthesized.stacks:
        (provider,) = synthesized.stack(stack)["provider"]["aws"]
        (default,) = provider["default_tags"]
        assert set(default["tags"]) >= EXPECTED_TAGS
        assert stack == f"{default['tags']['Layer']}-{default['tags']['Region']}" or "-links-" in stack


def test_state_is_locked_encrypted_and_in_the_stacks_own_region(synthesized: Synthesized) -> None:
    """LAY-06: S3 state with native lock files, encrypted, one bucket per region."""
    for stack in synthesized.stacks:
        backend = synthesized.stack(stack)["terraform"]["backend"]["s3"]
        assert backend["use_lockfile"] is True
        assert backend["encrypt"] is True
        assert stack.endswith(backend["region"])
        assert backend["region"] in backend["bucket"]


def test_what_holds_data_is_kept_in_production_and_nothing_elsewhere(synthesized: Synthesized) -> None:
    """PAY-16: everything can be destroyed in non-production; production turns protection on by configuration."""
    protection = synthesized.environment.protection
    kept = protection.production
    for stack, type, name, resource in synthesized.everything():
        where = f"{stack}/{type}.{name}"
        if type in ("aws_dynamodb_table", "aws_dynamodb_table_replica"):
            assert bool(resource.get("deletion_protection_enabled")) is kept, where
        if type in ("aws_s3_bucket", "aws_route53_zone"):
            assert bool(resource.get("force_destroy")) is not kept, where
        if type == "aws_kms_key":
            assert resource["deletion_window_in_days"] == protection.kms_deletion_window_days, where
        assert kept or not resource.get("lifecycle", {}).get("prevent_destroy"), where


def test_functions_reserve_what_the_configuration_says(synthesized: Synthesized) -> None:
    """PAY-03: reserved concurrency is always set, 1 to 5 outside production; PAY-21: from the capacity model in it."""
    for region, settings in synthesized.environment.regions.items():
        found = {
            one["function_name"].removeprefix("tripoint-").removesuffix(f"-{synthesized.environment.suffix}"): one
            for one in synthesized.resources(f"compute-{region}", "aws_lambda_function").values()
        }
        assert set(found) == {spec.name.replace("_", "-") for spec in FUNCTIONS}
        for spec in FUNCTIONS:
            reserved = found[spec.name.replace("_", "-")]["reserved_concurrent_executions"]
            assert reserved == settings.functions.concurrency_of(spec.name)
            assert synthesized.environment.protection.production or 1 <= reserved <= 5


def test_data_stores_are_encrypted_with_the_regions_key(synthesized: Synthesized) -> None:
    """PAY-19: encryption at rest with KMS for tables, queues, topics, logs."""
    key = {
        "aws_cloudwatch_log_group": "kms_key_id",
        "aws_sqs_queue": "kms_master_key_id",
        "aws_sns_topic": "kms_master_key_id",
        "aws_dynamodb_table_replica": "kms_key_arn",
        "aws_cloudwatch_event_bus": "kms_key_identifier",
        "aws_lambda_function": "kms_key_arn",
    }
    for stack, type, name, resource in synthesized.everything():
        if type in key:
            assert "key" in resource[key[type]], f"{stack}/{type}.{name}"
        if type == "aws_cloudwatch_log_group":
            assert resource["retention_in_days"] > 0, f"{stack}/{type}.{name}"


def test_no_secret_is_created_and_none_is_in_the_stacks(synthesized: Synthesized) -> None:
    """PAY-18: secrets come from existing Secrets Manager entries."""
    for stack, type, _, resource in synthesized.everything():
        assert not type.startswith("aws_secretsmanager"), stack
        assert "password" not in json.dumps(resource).lower(), stack
