"""The catalogue says what the code really reads and calls."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest

import functions
from functions import catalogue
from functions.aggregate_outcomes import logic as aggregation
from functions.catalogue import EVERY_FUNCTION, FUNCTIONS, Env, FunctionSpec, Grant
from functions.payments.errors import SettingsError
from functions.payments.open_payments import INDEX
from functions.payments.settings import (
    FailoverSettings,
    HeartbeatSettings,
    LedgerSettings,
    VaultSettings,
    WorkflowSettings,
    read,
)
from functions.payments.telemetry import Metric
from functions.process_object.counts import UploadMetric
from functions.processor.settings import ProcessorSettings
from functions.sessions.settings import SessionSettings
from functions.sweep_payments.counts import SweepMetric

ROOT = Path(functions.__file__).parent
SPECS = pytest.mark.parametrize("spec", EVERY_FUNCTION, ids=lambda spec: spec.name)
SETTINGS = [import_module(f"functions.{path.parent.name}.settings") for path in ROOT.glob("*/settings.py")]
TELEMETRY = {"LOG_LEVEL", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE"}

# The adapters that a function's modules import, and the grants their calls take.
CALLS = {
    "put_item": "dynamodb:PutItem",
    "get_item": "dynamodb:GetItem",
    "batch_get_item": "dynamodb:BatchGetItem",
    "query": "dynamodb:Query",
    "update_item": "dynamodb:UpdateItem",
    "put_object": "s3:PutObject",
    "start_execution": "states:StartExecution",
    "put_events": "events:PutEvents",
    "get_object": "s3:GetObject",
    "head_object": "s3:GetObject",
    "list_objects_v2": "s3:ListBucket",
    "publish": "sns:Publish",
    "get_metric_data": "cloudwatch:GetMetricData",
    "get_secret_value": "secretsmanager:GetSecretValue",
    "describe_auto_scaling_groups": "autoscaling:DescribeAutoScalingGroups",
    "complete_lifecycle_action": "autoscaling:CompleteLifecycleAction",
    "set_instance_health": "autoscaling:SetInstanceHealth",
    "describe_instances": "ec2:DescribeInstances",
    "describe_target_health": "elasticloadbalancing:DescribeTargetHealth",
    "register_targets": "elasticloadbalancing:RegisterTargets",
    "deregister_targets": "elasticloadbalancing:DeregisterTargets",
}
NOT_CALLED_BY_CODE = {Grant.LEDGER_STREAM, Grant.LEDGER_FIND_STREAM, Grant.RECEIPTS_ENCRYPT, Grant.TRACES_PUT}


def names_in(folder: str) -> set[str]:
    """Every name and attribute in a function's own folder."""
    found: set[str] = set()
    for path in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
    return found


def settings_read_by(spec: FunctionSpec) -> set[str]:
    used = names_in(spec.name)
    kinds = {
        kind for module in SETTINGS for name, kind in vars(module).items() if name in used and name.endswith("Settings")
    }
    if "container" in used:
        made = {
            "ledger": LedgerSettings,
            "workflow": WorkflowSettings,
            "open_payments": LedgerSettings,
            "region_items": HeartbeatSettings,
            "vault": VaultSettings,
            "sessions": SessionSettings,
        }
        kinds |= {kind for name, kind in made.items() if name in used}
    return {field.name.upper() for kind in kinds for field in fields(kind)} - {"AWS_REGION"}


@SPECS
def test_a_function_is_given_the_variables_that_it_reads_and_no_others(spec: FunctionSpec) -> None:
    """PAY-13."""
    assert {str(name) for name in spec.env} == settings_read_by(spec)
    assert spec.talks_to_processor == ("processor" in names_in(spec.name))
    assert spec.counts == ("count" in names_in(spec.name))


def test_each_kind_of_processor_is_given_exactly_what_it_needs() -> None:
    """PAY-18."""
    for kind in ("simulator", "http"):
        given = {str(name): "1000" if "_MS" in name else "https://x" for name in catalogue.PROCESSOR_ENV[kind]}
        full = given | {"PROCESSOR_KIND": kind, "AWS_REGION": "r"}
        read(ProcessorSettings, full)
        for name in given.keys() - {"PROCESSOR_TIMEOUT_MS"}:
            with pytest.raises(SettingsError, match=name):
                read(ProcessorSettings, full | {name: ""})


def test_every_variable_of_the_contract_is_given_to_some_function() -> None:
    given = {str(name) for spec in EVERY_FUNCTION for kind in ("simulator", "http") for name in spec.env_for(kind)}
    assert given == {str(name) for name in Env}
    for spec in EVERY_FUNCTION:
        assert len(set(spec.env_for("http"))) == len(spec.env_for("http"))
        assert {"LOG_LEVEL", "POWERTOOLS_SERVICE_NAME"} <= {str(name) for name in spec.env_for("http")}


def test_no_grant_is_a_wildcard_and_every_grant_is_used() -> None:
    """PAY-13."""
    used = {grant for spec in EVERY_FUNCTION for kind in ("simulator", "http") for grant in spec.grants_for(kind)}
    assert used == set(Grant)
    assert not [action for grant in Grant for action in grant.actions if "*" in action]


def test_the_granted_actions_are_those_that_the_code_calls() -> None:
    """PAY-13."""
    called = {
        CALLS[node.attr]
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in CALLS
    }
    granted = {action for grant in set(Grant) - NOT_CALLED_BY_CODE for action in grant.actions}
    assert granted == called


@pytest.mark.parametrize(
    ("grant", "holders"),
    [
        (Grant.LEDGER_CREATE, ["payments_api"]),
        (Grant.LEDGER_READ, ["payments_api", "take_over"]),
        (Grant.LEDGER_READ_MANY, ["hand_over", "sweep_payments"]),
        (Grant.LEDGER_LIST_OPEN, ["sweep_payments"]),
        (Grant.WORKFLOW_START, ["payments_api", "take_over", "sweep_payments"]),
        (Grant.VAULT_PUT, ["payments_api"]),
        (Grant.VAULT_READ, ["payments_api"]),
        (Grant.METRICS_READ, ["aggregate_outcomes"]),
        (Grant.UPLOADS_READ, ["process_object"]),
        (Grant.SUMMARIES_PUT, ["process_object"]),
        (Grant.SUMMARIES_READ, ["analyze_uploads"]),
        (Grant.ALERTS_PUBLISH, ["monitor_replication"]),
        (Grant.WEB_INSTANCES, ["register_targets"]),
        (Grant.WEB_TARGETS, ["register_targets"]),
    ],
)
def test_only_who_must_creates_reads_and_starts(grant: Grant, holders: list[str]) -> None:
    """PAY-13, PAY-22: nobody but the API comes near personal data."""
    assert [spec.name for spec in EVERY_FUNCTION if grant in spec.grants] == holders


def test_the_trigger_and_the_place_of_every_function_are_told() -> None:
    """PAY-17: in the VPC runs everything that touches a payment."""
    by_trigger: dict[str, list[str]] = {}
    for spec in FUNCTIONS:
        by_trigger.setdefault(spec.trigger, []).append(spec.name)
    assert set(by_trigger.pop("workflow")) == set(catalogue.WORKFLOW_FUNCTIONS)
    assert by_trigger == {
        "api": ["payments_api"],
        "stream": ["publish_changes"],
        "event": ["take_over"],
        "schedule": ["sweep_payments", "aggregate_outcomes"],
    }
    optional: dict[str, list[str]] = {}
    for spec in catalogue.CAPABILITY_FUNCTIONS:
        optional.setdefault(spec.trigger, []).append(spec.name)
    assert optional == {
        "schedule": ["register_targets"],
        "object": ["process_object", "monitor_replication"],
        "call": ["analyze_uploads"],
    }
    outside = ["aggregate_outcomes", "register_targets", "monitor_replication"]
    assert [spec.name for spec in EVERY_FUNCTION if not spec.in_vpc] == outside
    assert set(catalogue.function("aggregate_outcomes").grants) == {Grant.METRICS_READ}


@SPECS
def test_every_function_has_a_folder_and_a_handler_of_under_sixty_lines(spec: FunctionSpec) -> None:
    source = (ROOT / spec.name / "handler.py").read_text()
    assert spec.handler == f"functions.{spec.name}.handler.handler"
    assert "\ndef handler(event: dict[str, Any], context: Any)" in source
    assert len(source.splitlines()) < 60
    assert spec.description


def test_every_folder_with_a_handler_is_in_the_catalogue() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/handler.py")}
    assert folders == {spec.name for spec in EVERY_FUNCTION} == {catalogue.function(name).name for name in folders}


def test_the_metrics_in_the_catalogue_are_those_that_are_counted() -> None:
    """PAY-12."""
    assert {*catalogue.METRICS, catalogue.HANDED_OVER_METRIC} == {metric.value for metric in Metric}
    assert catalogue.OPEN_PAYMENTS_INDEX == INDEX
    assert set(catalogue.SWEEP_METRICS) == {metric.value for metric in SweepMetric}
    assert set(catalogue.UPLOAD_METRICS) == {metric.value for metric in UploadMetric}
    names = (catalogue.ALL_REGIONS_SERVICE_NAME, catalogue.UNREADABLE_METRIC)
    assert names == (aggregation.SERVICE, aggregation.UNREADABLE)
    assert aggregation._COUNTED_AS == catalogue.SERVICE_NAME


def test_a_function_that_only_reads_is_granted_reading_only() -> None:
    """OPT-06: the analytics function's role is read-only."""
    readers = [spec for spec in EVERY_FUNCTION if spec.read_only]
    assert [spec.name for spec in readers] == ["analyze_uploads"]
    for spec in readers:
        verbs = {action.partition(":")[2] for grant in spec.grants for action in grant.actions}
        assert all(verb.startswith(("Get", "List")) for verb in verbs)


@SPECS
def test_a_zip_holds_the_libraries_that_its_function_imports(spec: FunctionSpec) -> None:
    """PAY-03: and what those import."""
    libraries = {"sessions", "uploads"}
    imported: set[str] = set()
    waiting = {spec.name}
    while waiting:
        folder = waiting.pop()
        found = {
            node.module.split(".")[1]
            for path in (ROOT / folder).glob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("functions.")
        } & libraries
        waiting |= found - imported
        imported |= found
    assert set(spec.uses) == imported


def test_the_catalogue_is_pure_data() -> None:
    """The infrastructure imports it during synthesis."""
    code = "import functions.catalogue, sys; print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True, check=True)
    assert not {"boto3", "botocore", "aws_lambda_powertools"} & set(result.stdout.split())


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({}, "AWS_REGION: missing"),
        ({"AWS_REGION": "r", "PAYMENTS_TABLE": ""}, "PAYMENTS_TABLE: missing"),
    ],
)
def test_a_missing_setting_is_named(environment: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        read(LedgerSettings, environment)


@pytest.mark.parametrize("order", ["a,,b", "a,b,a", ","])
def test_a_list_of_regions_names_each_once(order: str) -> None:
    """PAY-05."""
    assert read(FailoverSettings, {"AWS_REGION": "r", "FAILOVER_ORDER": "a, b"}).regions == ("a", "b")
    with pytest.raises(SettingsError, match="FAILOVER_ORDER"):
        read(FailoverSettings, {"AWS_REGION": "r", "FAILOVER_ORDER": order}).regions  # noqa: B018


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"PROCESSOR_KIND": "visa"}, "PROCESSOR_KIND: 'visa' is not allowed; allowed: simulator, http"),
        ({"PROCESSOR_TIMEOUT_MS": "soon"}, "PROCESSOR_TIMEOUT_MS: 'soon' is not allowed"),
        ({"PROCESSOR_TIMEOUT_MS": "90000"}, "PROCESSOR_TIMEOUT_MS: 90000 is not allowed; allowed: 100 to 5000"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(changes: dict[str, str], complaint: str) -> None:
    good = {"AWS_REGION": "r", "PROCESSOR_KIND": "simulator", "PROCESSOR_TABLE": "t"}
    with pytest.raises(SettingsError, match=complaint):
        read(ProcessorSettings, good | changes)
