"""What a function loads before its first event: every cold start pays for it (docs/benchmarks.md, "Cold start")."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import functions
from functions.catalogue import EVERY_FUNCTION, FunctionSpec

# What takes milliseconds, and comes with the first client of AWS or the first sampled request.
LATER = {
    "aws_lambda_powertools.event_handler",
    "aws_lambda_powertools.utilities.batch",
    "aws_xray_sdk",
    "boto3",
    "botocore.session",
    "hashlib",
    "http.client",
    "uuid",
}


@pytest.mark.parametrize("spec", EVERY_FUNCTION, ids=lambda spec: spec.name)
def test_a_start_loads_nothing_that_only_some_requests_need(spec: FunctionSpec) -> None:
    code = f"import functions.{spec.name}.handler, sys; print(*sys.modules)"
    root = Path(functions.__file__).parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert f"functions.{spec.name}.handler" in loaded
    assert not LATER & loaded
