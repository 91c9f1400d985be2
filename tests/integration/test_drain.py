"""Taking a region out of service and back, by the commands that operators use."""

from __future__ import annotations

import uuid

from rollout.dns import resolver
from rollout.target import Target
from tests.integration.conftest import Deployment


def answering(deployment: Deployment, caller: str) -> str:
    """The region that DNS gives a caller, by Route 53's rules over the deployed records and health checks."""
    return resolver(deployment.environment, deployment.outputs, target=Target(deployment.environment)).region_for(
        caller
    )


def test_every_caller_gets_the_nearest_region(deployment: Deployment) -> None:
    """PAY-08: Route 53 latency records and health checks."""
    for region in deployment.regions:
        assert answering(deployment, region) == region
    assert answering(deployment, "eu-central-1") == "eu-west-1"


def test_dns_leaves_a_drained_region_and_its_payments_finish(deployment: Deployment) -> None:
    """PAY-08, PAY-23: `/health` is the switch; what is in flight finishes there."""
    region = "eu-west-1"
    api = deployment.api(region)
    in_flight = api.pay(f"it-{uuid.uuid4()}").json()["payment_id"]
    drained = deployment.run("drain", region, "--reason", "test")
    try:
        assert drained.returncode == 0, drained.stderr
        answer = api.get("/health")
        assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
        assert answering(deployment, region) != region
        assert api.final(in_flight)["status"] == "SETTLED"
    finally:
        restored = deployment.run("restore", region)
    assert restored.returncode == 0, restored.stderr
    assert api.get("/health").status_code == 200
    assert answering(deployment, region) == region


def test_unknown_region_is_refused_in_one_line(deployment: Deployment) -> None:
    run = deployment.run("drain", "eu-west-9")
    assert run.returncode == 2
    assert "eu-west-9" in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
