"""How long each function takes to start, and how much memory: `python -m rollout.cold_start [--runs N]`.

Each sample is a fresh interpreter that imports a handler from its built zip, unpacked, and the packages that Lambda's
runtime brings (boto3, botocore and what they need). The runtime's packages have their bytecode, what comes out of a zip
has none, as on Lambda, where the folder of a function is read-only. Functions, an empty Powertools handler and a bare
boto3 handler come in turn. CPU, user and system, is of this machine; what tells is the ratio.
"""

from __future__ import annotations

import argparse
import compileall
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from functions.build import build_all
from functions.catalogue import EVERY_FUNCTION

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
BASELINE, TRACED, BARE = "empty Powertools handler", "the same with its tracer", "bare boto3 handler"
# Powertools' own example of a handler ("Logger", "Metrics", "Tracer"): decorated, and nothing in it.
_EMPTY = """
from aws_lambda_powertools import Logger, Metrics
logger, metrics = Logger(), Metrics()
@logger.inject_lambda_context
@metrics.log_metrics
def handler(event, context): ...
"""
HANDLERS: Mapping[str, str] = {
    BASELINE: _EMPTY,
    TRACED: _EMPTY.replace("import Logger, Metrics", "import Logger, Metrics, Tracer").replace(
        "@logger", "@Tracer().capture_lambda_handler\n@logger"
    ),
    BARE: "import boto3\ntable = boto3.client('dynamodb', region_name='us-east-1')\ndef handler(event, context): ...",
    **{spec.name: f"from functions.{spec.name}.handler import handler" for spec in EVERY_FUNCTION},
}
VARIABLES: Mapping[str, str] = {
    "AWS_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_NAME": "measured",
    "POWERTOOLS_SERVICE_NAME": "payments",
    "POWERTOOLS_METRICS_NAMESPACE": "Tripoint",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def runtime(folder: Path) -> None:
    """Lay out the packages of Lambda's runtime, compiled."""
    folder.mkdir()
    for name in RUNTIME:
        spec = find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin)
        if source.name != "__init__.py":
            shutil.copy(source, folder)
            continue
        shutil.copytree(source.parent, folder / name, ignore=shutil.ignore_patterns("data", "__pycache__"))
        if (source.parent / "data").is_dir():
            (folder / name / "data").symlink_to(source.parent / "data")
    compileall.compile_dir(folder, quiet=2)


def sample(code: str, task: Path, shared: Path) -> tuple[float, float]:
    """CPU milliseconds and peak MiB of one start."""
    environment = {**VARIABLES, "PATH": os.environ["PATH"], "PYTHONPATH": f"{task}{os.pathsep}{shared}"}
    started = subprocess.Popen([sys.executable, "-S", "-c", code], env=environment)
    _, status, used = os.wait4(started.pid, 0)
    started.returncode = os.waitstatus_to_exitcode(status)
    if started.returncode:
        raise subprocess.CalledProcessError(started.returncode, code)
    return (used.ru_utime + used.ru_stime) * 1000, used.ru_maxrss / 1024


def main() -> int:
    """The command; prints a table for docs/benchmarks.md."""
    parser = argparse.ArgumentParser(prog="python -m rollout.cold_start", description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="counted rounds, after one that is not")
    rounds = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, built in build_all(root / "zips").items():
            zipfile.ZipFile(built.path).extractall(root / name)
        runtime(root / "runtime")
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in HANDLERS}
        for number in range(rounds + 1):
            for name, code in HANDLERS.items():
                task = root / (name if (root / name).is_dir() else EVERY_FUNCTION[0].name)
                taken = sample(code, task, root / "runtime")
                if number:
                    found[name].append(taken)
    cpu = {name: statistics.median(one[0] for one in samples) for name, samples in found.items()}
    memory = {name: statistics.median(one[1] for one in samples) for name, samples in found.items()}
    print(f"medians of {rounds} rounds\n")
    print("| handler | CPU ms | of the empty one | peak MiB |\n| --- | ---: | ---: | ---: |")
    for name in HANDLERS:
        print(f"| {name} | {cpu[name]:.0f} | {cpu[name] / cpu[BASELINE]:.2f} | {memory[name]:.0f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
