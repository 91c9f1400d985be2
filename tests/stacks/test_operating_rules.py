"""What operators rely on, of every resource of every environment: sessions, traces, logs, and what deletes itself."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.config import parse
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

CONFIGS = sorted(path.name for path in Path("config").glob("*.toml"))
HOUR_S = 3600
# CloudWatch Logs API reference, PutRetentionPolicy.
RETENTIONS = {1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653}


@pytest.fixture(params=CONFIGS)
def synthesized(request: pytest.FixtureRequest, synthesis: Callable[[str], Synthesized]) -> Synthesized:
    return synthesis(request.param)


def every(found: Synthesized, wanted: str) -> list[tuple[str, dict[str, Any]]]:
    """(where, resource) of every resource of a type; there is at least one per region."""
    made = [(f"{stack}/{type}.{name}", one) for stack, type, name, one in found.everything() if type == wanted]
    assert len(made) >= len(found.environment.regions), wanted
    return made


# -- sessions, traces, logs -----------------------------------------------------------------------


def test_no_session_of_a_role_is_longer_than_an_hour(synthesized: Synthesized) -> None:
    """OPT-07: on every role, said and not left to IAM's default."""
    for where, role in every(synthesized, "aws_iam_role"):
        assert role["max_session_duration"] <= HOUR_S, where


@pytest.mark.parametrize(
    ("type", "traces"),
    [
        ("aws_lambda_function", lambda one: one["tracing_config"]["mode"] == "Active"),
        ("aws_sfn_state_machine", lambda one: one["tracing_configuration"]["enabled"] is True),
        ("aws_api_gateway_stage", lambda one: one["xray_tracing_enabled"] is True),
    ],
)
def test_everything_that_can_be_traced_is(
    synthesized: Synthesized, type: str, traces: Callable[[dict[str, Any]], bool]
) -> None:
    """OPT-07: X-Ray on every function, state machine and stage."""
    for where, one in every(synthesized, type):
        assert traces(one), where


def test_no_log_is_kept_forever(synthesized: Synthesized) -> None:
    """OPT-07: retention on every log group, a value that CloudWatch Logs takes, the configured one."""
    configured = {settings.logs.retention_days for settings in synthesized.environment.regions.values()}
    for where, group in every(synthesized, "aws_cloudwatch_log_group"):
        assert group["retention_in_days"] in RETENTIONS & configured, where


def test_every_function_writes_to_a_log_group_of_the_stacks(synthesized: Synthesized) -> None:
    """OPT-07: a group that Lambda makes by itself would be kept forever."""
    groups = {(where.split("/")[0], one["name"]) for where, one in every(synthesized, "aws_cloudwatch_log_group")}
    for where, function in every(synthesized, "aws_lambda_function"):
        stack = where.split("/")[0]
        (logging,) = [function["logging_config"]] if "logging_config" in function else [{}]
        group = logging.get("log_group", f"/aws/lambda/{function['function_name']}")
        reference = re.fullmatch(r"\$\{aws_cloudwatch_log_group\.([\w-]+)\.name\}", group)
        if reference:
            group = synthesized.resources(stack, "aws_cloudwatch_log_group")[reference[1]]["name"]
        assert (stack, group) in groups, where


# -- lifecycles -----------------------------------------------------------------------------------

# Numbers that are nobody's default, to be recognized in the result.
LIFECYCLE = {"noncurrent_days": 41, "incomplete_upload_days": 43, "access_log_days": 47}
OTHERS = {
    "audit": {"retention_days": 53, "results_days": 59},
    "flow_logs": {"expire_days": 61},
    "processing": {"expire_days": 67, "noncurrent_days": 71},
}
# The output that names the bucket -> when its objects expire.
EXPIRY = {
    "receipts_bucket_name": None,
    "access_logs_bucket_name": LIFECYCLE["access_log_days"],
    "audit_bucket_name": OTHERS["audit"]["retention_days"],
    "athena_results_bucket_name": OTHERS["audit"]["results_days"],
    "flow_logs_bucket_name": OTHERS["flow_logs"]["expire_days"],
    "uploads_bucket_name": OTHERS["processing"]["expire_days"],
}


def rules(found: Synthesized) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(where, bucket, rule) of every lifecycle rule."""
    for where, one in every(found, "aws_s3_bucket_lifecycle_configuration"):
        for rule in one["rule"]:
            yield where, one["bucket"], rule


def numbers(rule: dict[str, Any]) -> dict[str, int]:
    """What a rule does -> after how many days."""
    found = {}
    for action, settings in rule.items():
        if isinstance(settings, list) and action != "filter":
            for entry in settings:
                (found[action],) = (days for key, days in entry.items() if "days" in key)
    return found


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Synthesized:
    """Everything switched on, with other numbers."""
    raw = tomllib.loads(Path("config/sandbox-full.toml").read_text())
    sections = {name: {**raw[name], **numbers} for name, numbers in OTHERS.items()}
    environment = parse({**raw, "lifecycle": LIFECYCLE, **sections}, source="test")
    out = tmp_path_factory.mktemp("changed")
    synthesize(environment, out=out, functions=Path(".tripoint/functions"))
    return Synthesized(environment, out)


def test_every_number_of_a_lifecycle_comes_from_the_configuration(changed: Synthesized) -> None:
    """OPT-09: other numbers in the configuration, those numbers in every rule, and no other."""
    configured = {*LIFECYCLE.values(), *(number for section in OTHERS.values() for number in section.values())}
    seen = set()
    for where, _, rule in rules(changed):
        found = numbers(rule)
        assert found, where
        assert set(found.values()) <= configured, where
        assert found["abort_incomplete_multipart_upload"] == LIFECYCLE["incomplete_upload_days"], where
        seen |= set(found.values())
    assert set(LIFECYCLE.values()) | {53, 59, 61} <= seen


def test_what_expires_expires_after_its_own_number(changed: Synthesized) -> None:
    """OPT-09: data that may go, each after the days of its own setting; receipts never."""
    for where, bucket, rule in rules(changed):
        assert rule["status"] == "Enabled", where
        output = bucket.rstrip("}").rsplit(".", 1)[-1]
        if output in EXPIRY:
            assert numbers(rule).get("expiration") == EXPIRY[output], where


def test_replaced_versions_and_abandoned_uploads_go_in_every_environment(synthesized: Synthesized) -> None:
    """OPT-09: 90 days for noncurrent versions unless the configuration says otherwise."""
    for region, settings in synthesized.environment.regions.items():
        in_region = [
            (where, bucket, numbers(rule))
            for where, bucket, rule in rules(synthesized)
            if where.split("/")[0].endswith(region)
        ]
        (receipts,) = (found for _, bucket, found in in_region if "receipts_bucket_name" in bucket)
        assert receipts == {
            "noncurrent_version_expiration": settings.lifecycle.noncurrent_days,
            "abort_incomplete_multipart_upload": settings.lifecycle.incomplete_upload_days,
        }
        assert settings.lifecycle.noncurrent_days == 90
        for where, _, found in in_region:
            assert {"noncurrent_version_expiration", "abort_incomplete_multipart_upload"} <= set(found), where


def test_every_bucket_tidies_up(synthesized: Synthesized) -> None:
    """OPT-09: as many lifecycle configurations as buckets."""
    for region in synthesized.environment.regions:
        made = [
            one["bucket"]
            for stack, type, _, one in synthesized.everything()
            if type == "aws_s3_bucket" and stack.endswith(region)
        ]
        tidied = {bucket for where, bucket, _ in rules(synthesized) if where.split("/")[0].endswith(region)}
        assert len(tidied) == len(made), f"{made} against {tidied}"
