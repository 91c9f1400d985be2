"""A short drill on the deployed system: the promise of a payment platform, held by `make test`."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.integration.conftest import Deployment

PAYMENTS = 60


def test_nothing_is_lost_or_doubled_when_a_region_goes_down_in_mid_load(deployment: Deployment) -> None:
    """PAY-23: callers go elsewhere, what was in flight is finished once, and the region comes back and converges."""
    run = deployment.run("drill", "region-down", "--payments", str(PAYMENTS), "--seed", "11", "--pace", "10")
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    home = Path(deployment.variables["TRIPOINT_HOME"]) / deployment.environment.suffix
    found = json.loads((home / "drills" / "region-down" / "result.json").read_text())
    assert found["ok"]
    assert found["complaints"] == []
    assert found["reconciliation"]["breaches"] == []
    assert found["figures"]["payments accepted"] == PAYMENTS
    assert found["figures"]["submitted twice"] > 0
    assert found["outage"]["requests that failed on it"] > 0
    assert found["outage"]["payments accepted by the others meanwhile"] > 0
    faults = httpx.get(f"{deployment.environment.target.endpoint}/_ministack/faults", timeout=60).json()["faults"]
    assert not any(faults[kind] for kind in ("down", "crashes", "throttles", "lag"))


def test_an_unknown_drill_is_refused_in_one_line(deployment: Deployment) -> None:
    run = deployment.run("drill", "flood")
    assert run.returncode == 2
    assert run.stderr.strip() == "error: drill 'flood': allowed: load, region-down, same-key, back-pressure"
