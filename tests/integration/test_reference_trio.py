"""The three regions of the reference deployment, from the configuration that ships."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from shared.config import load
from stacks.catalogue import graph_of
from tests.integration.conftest import tripoint
from tests.ports import free_port

REGIONS = ["us-east-1", "us-east-2", "eu-west-1"]


def test_reference_regions_roll_out_and_settle_payments(tmp_path: Path) -> None:
    """PAY-01: the set of regions is configuration; each settles a payment that another one reads."""
    config = tmp_path / "trio.toml"
    text = Path("config/reference-trio.toml").read_text()
    config.write_text(re.sub(r"http://127\.0\.0\.1:\d+", f"http://127.0.0.1:{free_port()}", text))
    environment = load(config)
    assert list(environment.regions) == REGIONS
    outputs = tmp_path / "flat.json"
    variables = {**os.environ, "TRIPOINT_HOME": str(tmp_path / "home"), "TRIPOINT_OUTPUTS": str(outputs)}
    try:
        run = tripoint("rollout", "--smoke", config=config, environment=variables)
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]
        flat = json.loads(outputs.read_text())
        assert {key.partition(".")[0] for key in flat} == {str(stack) for stack in graph_of(environment).order}
        for region in REGIONS:
            others = [other for other in REGIONS if other != region]
            assert flat[f"data-links-{region}.receipts_replicated_to"] == others
        [report] = (tmp_path / "home" / environment.suffix / "reports").glob("*-rollout.json")
        smoke = json.loads(report.read_text())["smoke"]
        assert {(payment["region"], payment["status"]) for payment in smoke} == {
            (region, "SETTLED") for region in REGIONS
        }
    finally:
        tripoint("sandbox", "down", config=config, environment=variables)
