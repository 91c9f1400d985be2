"""Everywhere that something of a deployment is written down, as text by place."""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared.site import Site
from tests.integration.conftest import Deployment

# Where personal data may be: the vault, of one region alone.
TABLES = ("payments", "sessions", "processor", "vault")


def items(dynamodb: Any, table: str) -> str:
    """All items of a table."""
    pages = dynamodb.get_paginator("scan").paginate(TableName=table)
    return json.dumps([item for page in pages for item in page["Items"]], default=str)


def executions(deployment: Deployment, region: str) -> list[dict[str, Any]]:
    """The executions of a region's workflow; Step Functions lists none of an EXPRESS one."""
    if deployment.environment.regions[region].workflow.type == "EXPRESS":
        return []
    machine = deployment.output("compute", region, "state_machine_arn")
    found: list[dict[str, Any]] = deployment.client("stepfunctions", region).list_executions(stateMachineArn=machine)[
        "executions"
    ]
    return found


def deployed_places(deployment: Deployment) -> dict[str, str]:
    """Tables, receipts, executions and logs of every region."""
    places: dict[str, str] = {}
    for region in deployment.regions:
        dynamodb = deployment.client("dynamodb", region)
        for table in TABLES:
            places[f"{table} in {region}"] = items(dynamodb, deployment.output("data", region, f"{table}_table_name"))
        places |= _objects(deployment, region, deployment.output("data", region, "receipts_bucket_name"))
        for run in executions(deployment, region):
            described = deployment.client("stepfunctions", region).describe_execution(executionArn=run["executionArn"])
            places[f"execution {run['name']} in {region}"] = described["input"] + described.get("output", "")
        logs = deployment.client("logs", region)
        for group in logs.describe_log_groups()["logGroups"]:
            events = logs.filter_log_events(logGroupName=group["logGroupName"])["events"]
            places[f"{group['logGroupName']} in {region}"] = "\n".join(event["message"] for event in events)
    return places


def written_places(deployment: Deployment) -> dict[str, str]:
    """Terraform's states, the outputs, the zips as Lambda gets them, and all that the engine wrote on this machine."""
    places = {"outputs": deployment.outputs_file.read_text()}
    for region in deployment.regions:
        places |= _objects(deployment, region, Site(deployment.environment, region).state_bucket)
        places |= _objects(deployment, region, deployment.output("compute", region, "code_bucket_name"))
    for path, body in written_files(Path(deployment.variables["TRIPOINT_HOME"]), smaller_than=20_000_000):
        places[str(path)] = body.decode(errors="replace")
    return places


def written_files(
    folder: Path, *, leave_out: Path | None = None, smaller_than: float = math.inf
) -> Iterator[tuple[Path, bytes]]:
    """The files below a folder and what is in them. The sandbox works meanwhile: what it has removed since it was
    listed is not there."""
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if Path(base, name) != leave_out]
        for path in (Path(base, name) for name in names):
            with suppress(FileNotFoundError):
                if path.is_file() and path.stat().st_size < smaller_than:
                    yield path, path.read_bytes()


def _objects(deployment: Deployment, region: str, bucket: str) -> dict[str, str]:
    s3 = deployment.client("s3", region)
    found = {}
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            found[f"{entry['Key']} in {region}"] = (
                _unzipped(body) if entry["Key"].endswith(".zip") else body.decode(errors="replace")
            )
    return found


def _unzipped(body: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(body)) as zipped:
        return "\n".join(zipped.read(name).decode(errors="replace") for name in zipped.namelist())
