"""What the rollout leaves behind, and what running it again does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.site import Site, state_key
from stacks.catalogue import graph_of, spec_of
from tests.integration.conftest import Deployment, tripoint


def results(run: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What became of each stack, from what a run printed."""
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr
    return dict(re.findall(r"^([a-z0-9-]+): (applied|unchanged|up-to-date)\b", run.stdout, flags=re.MULTILINE))


def test_every_output_of_every_contract_is_published_with_a_real_value(deployment: Deployment) -> None:
    """PAY-20, LAY-02: `<stack>.<output>`, real values."""
    outputs = deployment.outputs
    wanted = {
        f"{stack}.{output}"
        for stack in graph_of(deployment.environment).order
        for output in spec_of(stack.name).outputs(deployment.environment.capabilities)
    }
    assert set(outputs) == wanted
    assert not [name for name, value in outputs.items() if value is None or "${" in str(value)]


def test_every_stack_has_its_state_in_its_own_regions_bucket(deployment: Deployment) -> None:
    """LAY-06: one encrypted, versioned state bucket per region."""
    for stack in graph_of(deployment.environment).order:
        s3 = deployment.client("s3", stack.region)
        bucket = Site(deployment.environment, stack.region).state_bucket
        state = json.loads(s3.get_object(Bucket=bucket, Key=state_key(str(stack)))["Body"].read())
        assert state["resources"]
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_nothing_is_left_to_change(deployment: Deployment) -> None:
    """LAY-04: a second plan is empty for every stack."""
    run = deployment.run("diff")
    assert run.returncode == 0, run.stdout[-4000:]


def test_what_has_not_changed_is_not_planned(deployment: Deployment, tmp_path: Path) -> None:
    """LAY-04: Terraform is asked nothing; when a setting of one region's alarms has changed, about that stack alone."""
    stacks = {str(stack) for stack in graph_of(deployment.environment).order}
    assert results(deployment.run("rollout")).keys() == stacks
    assert results(deployment.run("rollout")) == dict.fromkeys(stacks, "up-to-date")
    config = tmp_path / "changed.toml"
    config.write_text(deployment.config.read_text() + "\n[regions.eu-west-1.alarms]\ndlq_messages = 1\n")
    changed = results(tripoint("rollout", config=config, environment=deployment.variables))
    assert changed == {**dict.fromkeys(stacks, "up-to-date"), "observability-eu-west-1": "applied"}
    back = results(deployment.run("rollout"))
    assert back == changed


def test_a_state_that_somebody_else_changed_is_planned(deployment: Deployment) -> None:
    """LAY-06: what the engine knows of its own last apply is worth nothing then."""
    [stack] = [one for one in graph_of(deployment.environment).order if str(one) == "network-eu-west-1"]
    s3 = deployment.client("s3", stack.region)
    place = {"Bucket": Site(deployment.environment, stack.region).state_bucket, "Key": state_key(str(stack))}
    state = json.loads(s3.get_object(**place)["Body"].read())
    s3.put_object(**place, Body=json.dumps({**state, "serial": state["serial"] + 1}))
    run = deployment.run("deploy", str(stack))
    assert results(run) == {"network-eu-west-1": "unchanged"}
    assert "somebody else changed its state" in run.stdout
    assert results(deployment.run("deploy", str(stack))) == {"network-eu-west-1": "up-to-date"}


def test_one_layer_in_one_region_deploys_on_its_own(deployment: Deployment) -> None:
    """LAY-03: a single layer in a single region."""
    run = deployment.run("deploy", "edge", "--region", "eu-west-1")
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr
    assert "edge-eu-west-1" in run.stdout
    assert "edge-us-east-1" not in run.stdout


def test_layer_that_others_need_is_not_destroyed(deployment: Deployment) -> None:
    """LAY-05: refused with the names of the dependents."""
    run = deployment.run("destroy", "data", "--region", "eu-west-1", "--yes")
    assert run.returncode in {1, 2}
    assert "compute-eu-west-1" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [("deploy", "dta"), ("deploy", "data", "--region", "eu-west-9")])
def test_unknown_layer_or_region_is_one_line_and_exit_2(deployment: Deployment, words: tuple[str, ...]) -> None:
    run = deployment.run(*words)
    assert run.returncode == 2
    assert words[-1] in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1


def test_wrong_configuration_touches_nothing(deployment: Deployment, tmp_path: Path) -> None:
    """PAY-01: refused with exit 2 before anything is written."""
    config = tmp_path / "wrong.toml"
    shutil.copy(deployment.config, config)
    config.write_text(config.read_text().replace('cidr = "10.20.0.0/16"', 'cidr = "10.10.0.0/16"'))
    home = tmp_path / "home"
    run = tripoint("rollout", config=config, environment={**deployment.variables, "TRIPOINT_HOME": str(home)})
    assert run.returncode == 2
    assert "must not overlap" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
    assert not home.exists()
