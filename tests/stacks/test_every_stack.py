"""What holds for every resource of every stack of every environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from functions.catalogue import functions_with
from stacks.catalogue import spec_of
from tests.stacks.conftest import Synthesized

CONFIGS = sorted(path.name for path in Path("config").glob("*.toml"))
EXPECTED_TAGS = {"Environment", "Region", "CostCenter", "Owner", "Project", "ManagedBy", "Layer"}

# Attributes by which resources are named; what is named by its parent or by AWS is not here.
NAMES = {
    "aws_api_gateway_rest_api": "name",
    "aws_autoscaling_group": "name",
    "aws_athena_named_query": "name",
    "aws_athena_workgroup": "name",
    "aws_cloudtrail": "name",
    "aws_cloudfront_origin_access_control": "name",
    "aws_cloudfront_response_headers_policy": "name",
    "aws_cloudwatch_dashboard": "dashboard_name",
    "aws_cloudwatch_event_bus": "name",
    "aws_cloudwatch_log_delivery_destination": "name",
    "aws_cloudwatch_log_delivery_source": "name",
    "aws_cloudwatch_log_group": "name",
    "aws_cloudwatch_log_metric_filter": "name",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    "aws_db_subnet_group": "name",
    "aws_dynamodb_table": "name",
    # With underscores: hyphens would have to be quoted in queries.
    "aws_glue_catalog_database": "name",
    "aws_iam_instance_profile": "name",
    "aws_iam_role": "name",
    "aws_kms_alias": "name",
    "aws_lambda_function": "function_name",
    "aws_rds_cluster": "cluster_identifier",
    "aws_rds_cluster_instance": "identifier",
    "aws_rds_cluster_parameter_group": "name",
    "aws_rds_global_cluster": "global_cluster_identifier",
    "aws_launch_template": "name",
    "aws_lb": "name",
    "aws_lb_target_group": "name",
    "aws_s3_bucket": "bucket",
    "aws_security_group": "name",
    "aws_sfn_state_machine": "name",
    "aws_sns_topic": "name",
    "aws_sqs_queue": "name",
}


@pytest.fixture(params=CONFIGS)
def synthesized(request: pytest.FixtureRequest, synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis(request.param)


def test_every_layer_in_every_region(synthesized: Synthesized) -> None:
    """PAY-01, LAY-01: separate stacks per layer and region, from one command."""
    layers = ("network", "data", "compute", "edge", "observability")
    wanted = {f"{layer}-{region}" for layer in layers for region in synthesized.environment.regions}
    assert wanted <= set(synthesized.stacks)


def test_every_name_carries_the_suffix(synthesized: Synthesized) -> None:
    """PAY-15: every name carries the environment suffix."""
    suffix = synthesized.environment.suffix
    named = 0
    for stack, type, name, resource in synthesized.everything():
        if type in NAMES:
            value = resource[NAMES[type]].replace("_", "-")
            carried = value.endswith(f"-{suffix}") or f"-{suffix}/" in value
            assert carried or value.startswith("${"), f"{stack}/{type}.{name}: {value}"
            named += 1
    assert named > 100


def test_provider_tags_everything(synthesized: Synthesized) -> None:
    """PAY-14: Environment, Region, CostCenter (and Owner, Project, ManagedBy, Layer)."""
    for stack in synthesized.stacks:
        (provider,) = synthesized.stack(stack)["provider"]["aws"]
        (default,) = provider["default_tags"]
        assert set(default["tags"]) >= EXPECTED_TAGS
        region = default["tags"]["Region"]
        assert default["tags"]["Layer"] == spec_of(stack.removesuffix(f"-{region}")).layer


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
        if type in ("aws_rds_cluster", "aws_rds_global_cluster"):
            assert resource["deletion_protection"] is kept, where
        if type == "aws_rds_cluster":
            assert resource["skip_final_snapshot"] is not kept, where
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
        deployed = functions_with(synthesized.environment.capabilities)
        assert set(found) == {spec.name.replace("_", "-") for spec in deployed}
        for spec in deployed:
            reserved = found[spec.name.replace("_", "-")]["reserved_concurrent_executions"]
            assert reserved == settings.functions.concurrency_of(spec.name)
            assert synthesized.environment.protection.production or 1 <= reserved <= 5


def test_data_stores_are_encrypted_with_the_regions_key(synthesized: Synthesized) -> None:
    """PAY-19: encryption at rest with KMS for tables, queues, topics, logs, clusters."""
    key = {
        "aws_cloudtrail": "kms_key_id",
        "aws_cloudwatch_log_group": "kms_key_id",
        "aws_sqs_queue": "kms_master_key_id",
        "aws_sns_topic": "kms_master_key_id",
        "aws_dynamodb_table_replica": "kms_key_arn",
        "aws_cloudwatch_event_bus": "kms_key_identifier",
        "aws_lambda_function": "kms_key_arn",
        "aws_rds_cluster": "kms_key_id",
        "aws_rds_cluster_instance": "performance_insights_kms_key_id",
    }
    for stack, type, name, resource in synthesized.everything():
        if type in key:
            assert "key" in resource[key[type]], f"{stack}/{type}.{name}"
        if type == "aws_cloudwatch_log_group":
            assert resource["retention_in_days"] > 0, f"{stack}/{type}.{name}"


def test_no_secret_is_created_and_none_is_in_the_stacks(synthesized: Synthesized) -> None:
    """PAY-18: secrets come from existing Secrets Manager entries."""
    for stack in synthesized.stacks:
        document = synthesized.stack(stack)
        for kind in ("resource", "data"):
            assert not [type for type in document.get(kind, {}) if type.startswith("aws_secretsmanager")], stack
        # What is read of an entry is gone after the run, and is named by nothing but the entry's name.
        for type, entries in document.get("ephemeral", {}).items():
            assert type == "aws_secretsmanager_secret_version", stack
            assert all(set(entry) == {"secret_id"} for entry in entries.values()), stack
        for path, value in leaves({**document, "ephemeral": {}}):
            assert may_stand(path, value), f"{stack}: {'.'.join(path)}"


# A secret comes into a resource only by reference to what is ephemeral, through an argument that is never stored.
EPHEMERAL = r"ephemeral\.aws_secretsmanager_secret_version\.\w+\.secret_string"
REFERENCE = re.compile(rf'^\$\{{(try\(jsondecode\({EPHEMERAL}\)\["password"\], )?{EPHEMERAL}\)?\}}$')
SECRET = re.compile(r"password|secret_string|private_key|ephemeral\.", re.IGNORECASE)


def leaves(document: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of everything in a stack that is not a table or a list; of the remarks ("//") nothing."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key != "//":
                yield from leaves(value, (*path, key))
    elif isinstance(document, list):
        for number, value in enumerate(document):
            yield from leaves(value, (*path, str(number)))
    else:
        yield path, document


def may_stand(path: tuple[str, ...], value: Any) -> bool:
    """Whether a value is neither a secret nor meant to be one. The name of an entry is not secret."""
    name = path[-1]
    if name.endswith("_wo"):
        return REFERENCE.match(str(value)) is not None
    if name.endswith("_wo_version"):
        return isinstance(value, int)
    if path == ("output", "secret_name", "value"):
        return re.fullmatch(r"[A-Za-z0-9/_+=.@-]{1,200}", str(value)) is not None
    return not SECRET.search(name) and not SECRET.search(str(value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("resource", "aws_rds_cluster", "a", "master_password"), "hunter2"),
        (("resource", "aws_rds_cluster", "a", "master_password"), "${var.password}"),
        (("resource", "aws_rds_cluster", "a", "master_password_wo"), "hunter2"),
        (("resource", "aws_rds_cluster", "a", "master_password_wo"), "${var.password}"),
        (("resource", "aws_rds_cluster", "a", "master_password_wo_version"), "hunter2"),
        (("resource", "aws_lambda_function", "a", "environment", "variables", "DB_PASSWORD"), "hunter2"),
        (("resource", "aws_lambda_function", "a", "description"), "the password is hunter2"),
        (("output", "a", "value"), "${ephemeral.aws_secretsmanager_secret_version.a.secret_string}"),
        (("output", "secret_name", "value"), "${data.aws_secretsmanager_secret_version.a.secret_string}"),
        (("resource", "aws_ssm_parameter", "a", "value"), "${data.aws_secretsmanager_secret_version.a.secret_string}"),
    ],
)
def test_what_would_be_a_secret_is_found(path: tuple[str, ...], value: str) -> None:
    """PAY-18: the rule above sees what it is there to see."""
    assert not may_stand(path, value)
