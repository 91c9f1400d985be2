"""Mock outputs: of the right type and shape, the same every time, and in a plan that Terraform itself won't apply."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from rollout.plans.changes import planned_outputs, read_plan
from rollout.plans.mocks import GUARD, MockMaker, copy_stack, with_mocks
from rollout.toolchain import find_tool
from shared.capabilities import CAPABILITIES
from shared.contracts import StackId
from stacks.catalogue import STACKS

REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-1"]
MAKER = MockMaker("123456789012", REGIONS)
NETWORK = StackId("network", "eu-west-1")
# As the provider checks it (verify.ValidARN): six parts, a region or none, an account or none.
ARN = re.compile(r"^arn:aws:[a-z0-9-]+:([a-z]{2}-[a-z]+-\d)?:(\d{12})?:.+$")


@pytest.mark.parametrize("spec", STACKS, ids=lambda spec: spec.name)
def test_every_output_of_every_contract_has_a_mock_of_its_type_and_shape(spec: Any) -> None:
    promised = spec.outputs(CAPABILITIES)
    stack = StackId(spec.name, "eu-west-1")
    values, made_up = MAKER.outputs(stack, promised)
    assert set(made_up) == set(values) == set(promised)
    for name, kind in promised.items():
        assert isinstance(values[name], kind), name
        texts = values[name] if kind is list else [values[name]]
        assert len(texts) == len(set(texts)) > 0
        for text in texts:
            # API Gateway's name for a function is an ARN within an ARN, with "lambda" for the account.
            if name.endswith(("arn", "arns")) and "invoke" not in name:
                assert ARN.match(text), f"{name}: {text}"
            if name.endswith("url"):
                assert text.startswith("https://")
            assert "mock" in text.lower() or re.search(r"0000-4000-8000|65535", text), f"{name}: {text} is no label"
    assert MAKER.outputs(stack, promised)[0] == values
    elsewhere = MAKER.outputs(StackId(spec.name, "us-east-1"), promised)[0]
    assert all(elsewhere[name] != values[name] for name in promised if name.endswith("arn"))


def test_arns_name_the_service_that_they_are_of() -> None:
    for name, service in {
        "payments_table_arn": "dynamodb", "key_arn": "kms", "changes_dlq_arn": "sqs", "alert_topic_arn": "sns",
        "api_function_arn": "lambda", "state_machine_arn": "states", "event_bus_arn": "events", "bucket_arn": "s3",
        "api_function_invoke_arn": "apigateway", "certificate_arn": "acm", "load_balancer_arn": "elasticloadbalancing",
    }.items():  # fmt: skip
        assert MAKER.value(NETWORK, name, str).split(":")[2] == service, name


def test_lists_are_as_long_as_they_will_be() -> None:
    assert len(MAKER.value(NETWORK, "private_subnet_ids", list)) == 3
    assert len(MAKER.value(NETWORK, "name_servers", list)) == 4
    assert len(MAKER.value(NETWORK, "receipts_replicated_to", list)) == 2


def test_what_the_upstreams_own_plan_knows_is_taken_from_there() -> None:
    known = planned_outputs({"output_changes": {
        "name": {"actions": ["create"], "after": "real", "after_unknown": False},
        "table_arn": {"actions": ["create"], "after_unknown": True},
        "ids": {"actions": ["create"], "after": ["sg-1", None], "after_unknown": [False, True]},
        "wrong": {"actions": ["create"], "after": 7, "after_unknown": False},
    }})  # fmt: skip
    values, made_up = MAKER.outputs(NETWORK, {"name": str, "table_arn": str, "ids": list, "wrong": str}, known)
    assert made_up == ("table_arn", "ids", "wrong")
    assert values["name"] == "real"
    assert values["ids"][0] == "sg-1"
    assert len(values["ids"]) == 2
    assert "mock" in values["ids"][1]
    assert isinstance(values["wrong"], str)


def stack_document() -> dict[str, Any]:
    """A stack that reads another one's state, with nothing in it that needs a provider from outside."""

    def remote(name: str) -> dict[str, Any]:
        return {"backend": "s3", "config": {"bucket": "nowhere", "key": f"{name}/terraform.tfstate", "region": "x"}}

    return {
        "terraform": {"backend": {"s3": {"bucket": "nowhere", "key": "own", "region": "x"}}},
        "data": {"terraform_remote_state": {"from-network": remote(str(NETWORK))}},
        "resource": {
            "terraform_data": {
                "a": {"input": "${data.terraform_remote_state.from-network.outputs.vpc_id}"},
                "b": {"input": "b", "depends_on": ["terraform_data.a"]},
            }
        },
        "output": {"ids": {"value": "${data.terraform_remote_state.from-network.outputs.subnet_ids}"}},
    }


def test_only_the_upstream_that_is_missing_is_mocked(tmp_path: Path) -> None:
    other = StackId("data", "eu-west-1")
    changed = with_mocks(stack_document(), {other: tmp_path / "x"}, None)
    assert changed == stack_document()
    changed = with_mocks(stack_document(), {NETWORK: tmp_path / "x"}, None)
    assert changed["terraform"] == stack_document()["terraform"]
    assert changed["data"]["terraform_remote_state"]["from-network"] == {
        "backend": "local", "config": {"path": str(tmp_path / "x")},
    }  # fmt: skip
    assert changed["resource"]["terraform_data"]["b"]["depends_on"] == ["terraform_data.a", GUARD]


def test_data_sources_that_would_look_for_something_mocked_wait_for_an_apply(tmp_path: Path) -> None:
    document = stack_document()
    document["data"]["aws_subnet"] = {
        "mocked": {"id": "${element(data.terraform_remote_state.from-network.outputs.subnet_ids, 0)}"},
        "real": {"id": "subnet-1"},
    }
    found = with_mocks(document, {NETWORK: tmp_path / "x"}, None)["data"]["aws_subnet"]
    assert found["mocked"]["depends_on"] == [GUARD]
    assert "depends_on" not in found["real"]


def test_a_plan_with_mock_outputs_is_made_and_terraform_refuses_to_apply_it(tmp_path: Path) -> None:
    """With the real Terraform, and without this engine: whoever gets hold of such a plan can do nothing with it."""
    source = tmp_path / "edge-eu-west-1"
    source.mkdir()
    (source / "cdk.tf.json").write_text(json.dumps(stack_document()))
    values, _ = MAKER.outputs(NETWORK, {"vpc_id": str, "subnet_ids": list})
    copy = copy_stack(source, tmp_path / "looking", {NETWORK: values}, empty_state=True)

    def terraform(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*find_tool().command, *arguments],
            cwd=copy.folder,
            env={**os.environ, "TF_DATA_DIR": str(copy.data), "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    assert terraform("init", "-input=false").returncode == 0
    planned = terraform("plan", "-input=false", "-out=plan")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    document = json.loads(terraform("show", "-json", "plan").stdout)
    plan = read_plan(document, without=[GUARD])
    assert {change.address for change in plan.resources} == {"terraform_data.a", "terraform_data.b"}
    assert planned_outputs(document)["ids"][0] == values["subnet_ids"]
    applied = terraform("apply", "-input=false", "-no-color", "plan")
    assert applied.returncode != 0
    assert "this plan is never applied" in " ".join(applied.stderr.replace("│", " ").split())
    made = terraform("state", "list").stdout.split()
    assert not {"terraform_data.a", "terraform_data.b"} & set(made), "nothing of the stack was made"
