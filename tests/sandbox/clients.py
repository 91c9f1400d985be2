"""boto3 clients of one endpoint, and the few resources that several tests make."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from rollout.sandbox import sandbox_environment

ACCOUNT = "000000000000"
HOME, AWAY = "us-east-1", "eu-west-1"

Answer = TypeVar("Answer")


class Clients:
    """Creates one client per service and region."""

    def __init__(self, endpoint: str) -> None:
        environment = sandbox_environment(endpoint)
        self.endpoint = environment["AWS_ENDPOINT_URL"]
        self._session = boto3.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        )
        self._made: dict[tuple[str, str], Any] = {}

    def __call__(self, service: str, region: str = HOME) -> Any:
        key = (service, region)
        if key not in self._made:
            self._made[key] = self._session.client(
                service,
                region_name=region,
                endpoint_url=self.endpoint,
                config=Config(
                    retries={"total_max_attempts": 1},
                    inject_host_prefix=False,
                    s3={"addressing_style": "path"},
                ),
            )
        return self._made[key]

    def function(self, name: str, source: str, *, region: str = HOME, **settings: Any) -> dict[str, Any]:
        """Deploy a Python function whose module is `source` and whose handler is `handler`."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("index.py", source)
        settings = {"Timeout": 10, **settings}
        created: dict[str, Any] = self("lambda", region).create_function(
            FunctionName=name,
            Runtime="python3.11",
            Role=f"arn:aws:iam::{ACCOUNT}:role/{name}",
            Handler="index.handler",
            Code={"ZipFile": archive.getvalue()},
            **settings,
        )
        return created

    def invoke(self, name: str, event: Any = None, *, region: str = HOME) -> dict[str, Any]:
        """Invoke and wait; the answer has `error` (bool) and `payload`."""
        answer = self("lambda", region).invoke(FunctionName=name, Payload=json.dumps(event or {}).encode())
        return {
            "error": "FunctionError" in answer,
            "payload": json.loads(answer["Payload"].read()),
        }

    def queue(self, name: str, *, region: str = HOME) -> tuple[str, str]:
        """Make a queue; its URL and ARN."""
        url: str = self("sqs", region).create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"

    def receive(self, url: str, *, region: str = HOME, wait_s: float = 60.0) -> list[str]:
        """The bodies of what arrives first in a queue, deleted from it; [] after `wait_s`."""
        client = self("sqs", region)

        def bodies() -> list[str]:
            found = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            messages = found.get("Messages", [])
            for message in messages:
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return [message["Body"] for message in messages]

        return eventually(bodies, bool, wait_s) or []


def eventually(ask: Callable[[], Answer], good: Callable[[Answer], Any], wait_s: float = 60.0) -> Answer:
    """The first good answer, or the last one when none came in time; what must not come gets a shorter time."""
    deadline = time.monotonic() + wait_s
    while True:
        answer = ask()
        if good(answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.05)
