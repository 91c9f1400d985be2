"""CI workflows from the graph: valid by the CI's published schema, waves in order, gates where they are wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollout.pipelines import github, gitlab
from rollout.pipelines.command import Ci, render
from rollout.pipelines.waves import Pipeline, PipelineError, pipeline_of
from shared.config import ConfigError, parse
from shared.contracts import Graph, StackId
from stacks.catalogue import graph_of

EVERYWHERE = ("us-east-1", "eu-west-1", "ap-southeast-1")
ROLE = "arn:aws:iam::123456789012:role/ci/tripoint"
PLAN_ROLE = "arn:aws:iam::123456789012:role/ci/tripoint-plan"


def raw(**pipeline: Any) -> dict[str, Any]:
    return {
        "environment": "staging",
        "suffix": "stg",
        "project": {"name": "tripoint", "owner": "o", "cost_center": "c"},
        "target": {"kind": "aws", "account_id": "123456789012"},
        "domain": {"name": "pay.example.org"},
        "pipeline": pipeline,
        "regions": {
            region: {"cidr": f"10.{number}.0.0/16", "primary": number == 1}
            for number, region in enumerate(EVERYWHERE, 1)
        },
    }


def made(ci: str = "github", **settings: Any) -> Pipeline:
    environment = parse(raw(**settings), source="test")
    return pipeline_of(environment, graph_of(environment), config="config/staging.toml", ci=ci)


WRITERS = {Ci.GITHUB: github.workflow, Ci.GITLAB: gitlab.configuration}
SCHEMAS = {Ci.GITHUB: "vendor.github-workflows", Ci.GITLAB: "vendor.gitlab-ci"}


@pytest.mark.parametrize(
    "settings",
    [{}, {"gates": "every", "role_arn": ROLE, "plan_role_arn": PLAN_ROLE, "environment": "live"}, {"gates": "none"}],
)
@pytest.mark.parametrize("ci", list(Ci))
def test_the_file_is_valid_by_the_published_schema(ci: Ci, settings: dict[str, Any], tmp_path: Path) -> None:
    """Those of SchemaStore and of GitLab, as check-jsonschema brings them."""
    file = tmp_path / "pipeline.yml"
    file.write_text(render(WRITERS[ci](made(ci, **settings)), ci, "config/staging.toml"))
    assert _check(ci, file) == "", "valid"
    document = yaml.safe_load(file.read_text())
    broken = document["jobs"]["apply-network-us-east-1"] if ci is Ci.GITHUB else document["apply wave 1"]
    broken["needs"] = 7
    file.write_text(yaml.safe_dump(document))
    assert "7" in _check(ci, file), "the schema says what is wrong"


def _check(ci: Ci, file: Path) -> str:
    """What the schema says is wrong; nothing when all is well."""
    words = ["--builtin-schema", SCHEMAS[ci], "--output-format", "json"]
    if ci is Ci.GITLAB:
        words += ["--data-transform", "gitlab-ci"]
    answer = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *words, str(file)], capture_output=True, text=True, check=False
    )
    assert answer.returncode in (0, 1), answer.stderr
    found = json.loads(answer.stdout)
    return "" if found["status"] == "ok" else json.dumps(found)


def test_every_stack_is_applied_after_what_it_needs() -> None:
    """LAY-04: GitHub's jobs wait for the jobs of what their stacks need, GitLab's stages for the stage before."""
    environment = parse(raw(), source="test")
    jobs = github.workflow(made())["jobs"]
    graph = graph_of(environment)
    applied = {name.removeprefix("apply-"): job.get("needs", []) for name, job in jobs.items() if "apply" in name}
    assert applied == {str(stack): [f"apply-{need}" for need in needs] for stack, needs in graph.needs.items()}
    document = gitlab.configuration(made("gitlab"))
    stage = {
        stack: document["stages"].index(job["stage"])
        for name, job in document.items()
        if name.startswith("apply")
        for stack in job["parallel"]["matrix"][0]["STACK"]
    }
    assert set(stage) == set(applied)
    assert all(stage[str(need)] < stage[str(stack)] for stack, needs in graph.needs.items() for need in needs)


def test_on_github_a_failed_stack_stops_only_what_needs_it() -> None:
    """The compute stack of one region fails: the edge and the observability of the others go on."""
    jobs = github.workflow(made())["jobs"]
    stopped = {"apply-compute-eu-west-1"}
    for name, job in jobs.items():  # in the order of the graph's waves
        if stopped & set(job.get("needs", ())):
            stopped.add(name)
    assert {"apply-edge-eu-west-1", "apply-compute-links-us-east-1"} <= stopped
    others = {f"apply-{name}-{region}" for name in ("edge", "observability") for region in EVERYWHERE[::2]}
    assert others <= jobs.keys() - stopped


def test_pull_requests_are_planned_and_only_the_main_branch_is_applied() -> None:
    for name, job in github.workflow(made(branch="trunk"))["jobs"].items():
        (command,) = [step["run"] for step in job["steps"] if "tripoint" in step.get("run", "")]
        if name.startswith("plan"):
            assert "github.event_name == 'pull_request'" in job["if"]
            assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"], "no fork's code"
            assert ".venv/bin/tripoint diff ${{ matrix.stack }} " in command
        else:
            assert "github.event_name != 'pull_request'" in job["if"]
            assert "github.ref == 'refs/heads/trunk'" in job["if"]
            assert f".venv/bin/tripoint deploy {name.removeprefix('apply-')} " in command
    document = gitlab.configuration(made("gitlab", branch="trunk"))
    for name, job in document.items():
        if name.startswith("plan wave"):
            assert [rule["if"] for rule in job["rules"]] == ['$CI_PIPELINE_SOURCE == "merge_request_event"']
            assert "tripoint diff" in job["script"][0]
        elif name.startswith("apply wave"):
            assert [rule["if"] for rule in job["rules"]] == ['$CI_COMMIT_BRANCH == "trunk"']
            assert "tripoint deploy" in job["script"][0]


@pytest.mark.parametrize(("gates", "gated"), [("none", []), ("first", [1]), ("every", None)])
def test_somebody_must_agree_where_the_configuration_says(gates: str, gated: list[int] | None) -> None:
    found = made(gates=gates, environment="live")
    wanted = [wave.number for wave in found.waves] if gated is None else gated
    jobs = github.workflow(found)["jobs"]
    for wave in found.waves:
        environments = {jobs[f"apply-{stack}"].get("environment") for stack in wave.stacks}
        assert environments == {"live" if wave.number in wanted else None}
    document = gitlab.configuration(made("gitlab", gates=gates, environment="live"))
    manual = [
        wave.number for wave in found.waves if document[f"apply wave {wave.number}"]["rules"][0].get("when") == "manual"
    ]
    assert manual == wanted
    assert all(document[f"apply wave {number}"]["rules"][0]["allow_failure"] is False for number in wanted)
    assert all(document[f"apply wave {number}"]["environment"] == {"name": "live"} for number in wanted)


def test_no_secret_is_in_the_file_and_the_role_comes_by_the_cis_identity() -> None:
    """PAY-18."""
    document = github.workflow(made(role_arn=ROLE))
    assert document["permissions"] == {"contents": "read", "id-token": "write"}
    assert ROLE in json.dumps(document)
    found = gitlab.configuration(made("gitlab", role_arn=ROLE))[".tripoint"]
    assert found["id_tokens"]["TRIPOINT_AWS_TOKEN"] == {"aud": "sts.amazonaws.com"}
    assert "secrets." not in json.dumps(document)
    assert "role-to-assume" not in json.dumps(github.workflow(made()))


def test_a_plan_has_a_role_of_its_own_where_there_is_one() -> None:
    """PAY-18: whoever opens a pull request runs what he likes with the role of its plans."""
    jobs = github.workflow(made(role_arn=ROLE, plan_role_arn=PLAN_ROLE))["jobs"]
    for name, job in jobs.items():
        (role,) = [step["with"]["role-to-assume"] for step in job["steps"] if "credentials@" in step.get("uses", "")]
        assert role == (PLAN_ROLE if name.startswith("plan-") else ROLE)
    document = gitlab.configuration(made("gitlab", role_arn=ROLE, plan_role_arn=PLAN_ROLE))
    common = document[".tripoint"]["variables"]["AWS_ROLE_ARN"]
    for name, job in document.items():
        if "wave" in name:
            role = job.get("variables", {}).get("AWS_ROLE_ARN", common)
            assert role == (PLAN_ROLE if name.startswith("plan") else ROLE)
    with pytest.raises(PipelineError, match=r"pipeline\.plan_role_arn: only together with pipeline\.role_arn"):
        made(plan_role_arn=PLAN_ROLE)


def test_without_a_role_no_job_may_ask_for_an_identity_token() -> None:
    assert github.workflow(made())["permissions"] == {"contents": "read"}
    assert "id_tokens" not in gitlab.configuration(made("gitlab"))[".tripoint"]


def test_every_job_keeps_its_report_also_when_it_failed() -> None:
    for name, job in github.workflow(made())["jobs"].items():
        keep = job["steps"][-1]
        assert (keep["if"], keep["with"]["path"]) == ("always()", ".tripoint/stg/reports")
        assert keep["with"]["name"] == name if name.startswith("apply-") else "matrix.stack" in keep["with"]["name"]
    kept = gitlab.configuration(made("gitlab"))[".tripoint"]["artifacts"]
    assert kept["when"] == "always"
    assert kept["reports"]["junit"] == ".tripoint/stg/reports/[0-9]*.xml"


def test_two_pipelines_never_work_on_the_same_stack() -> None:
    """GitHub: one rollout at a time, the one that runs is never cancelled. GitLab: a stack at a time."""
    concurrency = github.workflow(made())["concurrency"]
    assert concurrency["group"].startswith("tripoint-stg-")
    assert concurrency["cancel-in-progress"] == "${{ github.event_name == 'pull_request' }}"
    groups = {
        job.get("resource_group")
        for name, job in gitlab.configuration(made("gitlab")).items()
        if name.startswith("apply wave")
    }
    assert groups == {"tripoint-stg-$STACK"}


@pytest.mark.parametrize("path", ["config/my prod.toml", "config/a;b.toml", "config/${{ secrets.X }}.toml", "-x.toml"])
def test_a_path_that_a_shell_takes_for_more_is_refused(path: str) -> None:
    environment = parse(raw(), source="test")
    with pytest.raises(PipelineError, match="is part of commands; allowed: letters, digits"):
        pipeline_of(environment, graph_of(environment), config=path, ci="github")


@pytest.mark.parametrize("ci", list(Ci))
def test_the_same_configuration_gives_the_same_bytes(ci: Ci) -> None:
    texts = {render(WRITERS[ci](made(ci)), ci, "config/staging.toml") for _ in range(3)}
    assert len(texts) == 1
    assert texts.pop().startswith(f"# Written by `tripoint pipeline {ci} --config config/staging.toml`;")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gates": "some"}, "pipeline.gates = 'some'"),
        ({"branch": "main; rm -rf /"}, "pipeline.branch = 'main; rm -rf /'"),
        ({"role_arn": "admin"}, "pipeline.role_arn = 'admin'"),
        ({"runner": "${{ secrets.X }}"}, "pipeline.runner = '${{ secrets.X }}'"),
        ({"timeout_minutes": 1}, "pipeline.timeout_minutes = 1"),
        ({"gate": "none"}, "pipeline.gate"),
    ],
)
def test_a_wrong_setting_is_one_line_with_its_name(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(**settings)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sandbox_has_no_pipeline() -> None:
    changed = raw() | {"target": {"kind": "sandbox", "account_id": "000000000000", "endpoint": "http://127.0.0.1:4566"}}
    environment = parse(changed, source="test")
    with pytest.raises(PipelineError, match="'sandbox' has no pipeline"):
        pipeline_of(environment, graph_of(environment), config="config/sandbox.toml", ci="github")


def test_a_wave_that_is_too_wide_for_the_ci_is_refused() -> None:
    environment = parse(raw(), source="test")
    wide = Graph({StackId(f"s{number}", "us-east-1"): () for number in range(201)})
    assert len(pipeline_of(environment, wide, config="c.toml", ci="github").waves[0].stacks) == 201
    with pytest.raises(PipelineError, match="wave 1 has 201 stacks; gitlab runs 200 of a matrix at most"):
        pipeline_of(environment, wide, config="c.toml", ci="gitlab")
