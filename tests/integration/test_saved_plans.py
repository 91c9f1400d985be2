"""Saved plans on a real deployment: applied once, as reviewed, and refused when anything has changed since."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollout.plans.saved import sealed
from shared.contracts import StackId
from shared.site import Site, state_key
from tests.integration.conftest import Deployment, tripoint

REGION = "eu-west-1"
# A stack that builds on nothing, so that one tag is one plan; and one that builds on another region's.
STACK = StackId("network", REGION)
CONSUMER, PRODUCER = StackId("data", REGION), StackId("data", "us-east-1")
OWNER = "reviewers"


@dataclass
class Review:
    """The deployment's configuration with another owner, and what was planned of it."""

    deployment: Deployment
    config: Path
    plans: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return tripoint(*words, config=self.config, environment=self.deployment.variables)

    def save(self, stack: StackId, folder: Path) -> str:
        run = self.run("diff", str(stack), "--out", str(folder))
        assert run.returncode == 3, run.stdout[-3000:] + run.stderr
        return run.stdout

    def refusal(self, folder: Path) -> str:
        """The one line that a refusal says."""
        run = self.run("deploy", "--plan", str(folder))
        assert run.returncode == 1, run.stdout[-3000:] + run.stderr
        [line] = run.stderr.strip().splitlines()
        cause, _, remedy = line.removeprefix("error: ").partition("; nothing was applied; ")
        assert remedy == "plan again: tripoint diff --out FOLDER"
        return cause

    def owners(self) -> set[str]:
        """The owner's tag of the VPC, as AWS has it."""
        [vpc] = self.deployment.client("ec2", REGION).describe_vpcs(
            VpcIds=[self.deployment.output(STACK.name, REGION, "vpc_id")]
        )["Vpcs"]
        return {tag["Value"] for tag in vpc["Tags"] if tag["Key"] == "Owner"}


@pytest.fixture(scope="module")
def review(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    """One plan, made once, and the deployment afterwards as it was."""
    folder = tmp_path_factory.mktemp("review")
    config = folder / "reviewed.toml"
    text = deployment.config.read_text()
    owner = deployment.environment.project.owner
    config.write_text(text.replace(f'owner = "{owner}"', f'owner = "{OWNER}"'))
    assert config.read_text() != text
    found = Review(deployment, config, folder / "plans")
    found.save(STACK, found.plans)
    yield found
    run = deployment.run("deploy", str(STACK))
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    assert found.owners() == {owner}


@pytest.fixture
def plans(review: Review, tmp_path: Path) -> Path:
    """A copy of the plans that a test may spoil."""
    return Path(shutil.copytree(review.plans, tmp_path / "plans"))


@contextmanager
def state_of(deployment: Deployment, stack: StackId) -> Iterator[tuple[dict[str, Any], Callable[[Any], None]]]:
    """A stack's state, and how to put another one there, or none; it is put back."""
    s3 = deployment.client("s3", stack.region)
    place = {"Bucket": Site(deployment.environment, stack.region).state_bucket, "Key": state_key(str(stack))}
    body = s3.get_object(**place)["Body"].read()

    def put(state: dict[str, Any] | None) -> None:
        if state is None:
            s3.delete_object(**place)
        else:
            s3.put_object(**place, Body=json.dumps(state).encode())

    try:
        yield json.loads(body), put
    finally:
        s3.put_object(**place, Body=body)


def spoil(plans: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Have the manifest say what one that was made at another time would."""
    path = plans / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(sealed(manifest)))


def test_a_configuration_that_changed_since_is_refused(review: Review, plans: Path) -> None:
    """LAY-04."""
    before = review.config.read_text()
    review.config.write_text(before + "\n# Changed after the review.\n")
    try:
        assert review.refusal(plans) == f"the configuration {review.config} has changed"
    finally:
        review.config.write_text(before)


def test_a_state_that_moved_on_since_is_refused(review: Review, plans: Path) -> None:
    """LAY-06."""
    with state_of(review.deployment, STACK) as (state, put):
        put({**state, "serial": state["serial"] + 1})
        lineage = f"of {state['lineage'][:8]}"
        assert review.refusal(plans) == (
            f"{STACK}: its state has changed: serial {state['serial']} {lineage} then, "
            f"serial {state['serial'] + 1} {lineage} now"
        )


def test_outputs_of_an_upstream_that_changed_since_are_refused(review: Review, tmp_path: Path) -> None:
    """LAY-08."""
    plans = tmp_path / "of-the-consumer"
    review.save(CONSUMER, plans)
    with state_of(review.deployment, PRODUCER) as (state, put):
        name = min(name for name, output in state["outputs"].items() if isinstance(output["value"], str))
        put({**state, "outputs": {**state["outputs"], name: {"value": "another", "type": "string"}}})
        assert review.refusal(plans) == f"{CONSUMER}: the outputs of {PRODUCER} have changed"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (
            lambda manifest: manifest["versions"].update(provider="5.0.0"),
            "provider: 5.0.0 when the plans were made, ",
        ),
        (
            lambda manifest: manifest["stacks"][0].update(synthesized="0" * 64),
            f"{STACK}: what is synthesized has changed",
        ),
        (
            lambda manifest: manifest["functions"].update(validate="0" * 64),
            "function validate: its code has changed",
        ),
        (
            lambda manifest: manifest.update(created_at="2024-12-31", expires_at="2025-01-01T00:00:00+00:00"),
            "the plans were made at 2024-12-31 and expired at 2025-01-01T00:00:00+00:00",
        ),
    ],
    ids=["provider", "synthesized", "code", "expired"],
)
def test_plans_of_another_time_are_refused(
    review: Review, plans: Path, change: Callable[[dict[str, Any]], object], cause: str
) -> None:
    """LAY-04: whatever they were made with is another one now."""
    spoil(plans, change)
    assert review.refusal(plans).startswith(cause)


def test_a_plan_with_mock_outputs_is_refused(review: Review, tmp_path: Path) -> None:
    """LAY-08: what it builds on is not there."""
    plans = tmp_path / "mocked"
    with state_of(review.deployment, PRODUCER) as (_, put):
        put(None)
        assert f"planned with mock outputs of {PRODUCER}" in " ".join(review.save(CONSUMER, plans).split())
        assert list(plans.glob("*.tfplan")) == []
        assert review.refusal(plans) == f"{CONSUMER}: planned with mock outputs of {PRODUCER}; never applied"


def test_a_plan_is_applied_as_it_was_reviewed_and_once(review: Review) -> None:
    """LAY-04."""
    assert review.owners() == {review.deployment.environment.project.owner}
    run = review.run("deploy", "--plan", str(review.plans))
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr
    planned = json.loads((review.plans / "manifest.json").read_text())["stacks"][0]["counts"]["update"]
    assert f"{STACK}: applied" in run.stdout
    assert f"(0 added, {planned} changed, 0 destroyed)" in run.stdout
    assert planned > 0
    assert review.owners() == {OWNER}
    with state_of(review.deployment, STACK) as (state, _):
        again = review.run("deploy", "--plan", str(review.plans))
        assert again.returncode == 0, again.stderr
        assert f"{STACK}: unchanged" in again.stdout
        assert "already applied from this plan" in again.stdout
        with state_of(review.deployment, STACK) as (after, _):
            assert after["serial"] == state["serial"]
