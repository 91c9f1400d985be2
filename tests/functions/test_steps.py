"""The workflow's handlers on AWS in memory: the real zips' code paths, from event to item."""

from __future__ import annotations

import importlib
import io
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.catalogue import WORKFLOW_FUNCTIONS
from functions.payments import telemetry
from functions.payments.errors import InvalidPaymentError
from functions.payments.ledger import DynamoLedger
from functions.payments.model import Payment, Status
from functions.payments.receipts import receipt_key
from functions.payments.telemetry import Metric
from functions.processor.accounts import DynamoAccounts
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION, Context, a_payment
from tests.functions.interpreter import Ended, run
from tests.functions.platform import DEFINITION


def handler_of(function: str) -> Any:
    return importlib.import_module(f"functions.{function}.handler").handler


def invoke(function: str, event: dict[str, Any]) -> dict[str, Any]:
    answer = handler_of(function)(event, Context())
    assert isinstance(answer, dict)
    return answer


def execute(cloud: Cloud, token: str) -> tuple[Ended, Payment]:
    cloud.s3  # noqa: B018
    payment = a_payment(payment_method=token)
    ledger = DynamoLedger(cloud.dynamodb, "payments")
    ledger.create(payment)
    ended = run(DEFINITION, payment.to_document(), invoke)
    found = ledger.get(payment.payment_id)
    assert found
    return ended, found


def counted(output: str) -> list[str]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [metric for line in lines if "_aws" in line for metric in Metric if metric.value in line]


@pytest.mark.parametrize(
    ("token", "status", "metric"),
    [
        ("tok_visa", Status.SETTLED, Metric.PAYMENTS_SETTLED),
        ("tok_lost_once", Status.SETTLED, Metric.PAYMENTS_SETTLED),
        ("tok_declined", Status.DECLINED, Metric.PAYMENTS_DECLINED),
        ("tok_capture_declined", Status.FAILED, Metric.PAYMENTS_FAILED),
        ("tok_capture_lost", Status.REFUNDED, Metric.PAYMENTS_REFUNDED),
    ],
)
def test_a_payment_is_recorded_charged_and_counted_alike(
    cloud: Cloud, capsys: pytest.CaptureFixture[str], token: str, status: Status, metric: Metric
) -> None:
    """PAY-04, PAY-12, PAY-23."""
    _, payment = execute(cloud, token)
    assert payment.status is status
    assert counted(capsys.readouterr().out) == [metric]
    account = DynamoAccounts("processor", REGION).load(payment.payment_id)
    assert account
    assert account.captured - account.refunded == (1299 if status is Status.SETTLED else 0)
    kept = cloud.s3.list_objects_v2(Bucket="receipts").get("Contents", [])
    if status is Status.SETTLED:
        assert [one["Key"] for one in kept] == [receipt_key(payment)] == [payment.receipt_key]


def test_running_it_again_counts_nothing_and_changes_nothing(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """PAY-04."""
    _, settled = execute(cloud, "tok_visa")
    capsys.readouterr()
    ended = run(DEFINITION, a_payment().to_document(), invoke)
    assert ended.state == "Settled"
    assert counted(capsys.readouterr().out) == []
    assert DynamoLedger(cloud.dynamodb, "payments").get(settled.payment_id) == settled


def test_a_log_line_names_the_payment_and_never_its_token(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """PAY-22."""
    written = io.StringIO()
    monkeypatch.setattr(telemetry.logger.registered_handler, "stream", written)
    execute(cloud, "tok_capture_declined")
    telemetry.logger.info("after")
    assert a_payment().payment_id in written.getvalue()
    assert "tok_capture_declined" not in written.getvalue()


@pytest.mark.parametrize("function", WORKFLOW_FUNCTIONS)
def test_a_step_refuses_what_is_no_payment(function: str) -> None:
    with pytest.raises(InvalidPaymentError, match="payment_id"):
        invoke(function, {"amount": 1})


def test_only_a_sampled_invocation_pays_for_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """PAY-04."""
    traced: list[Any] = []

    def trace(handler: Any) -> Any:
        traced.append(handler)
        return handler

    monkeypatch.setattr(telemetry, "_traced", trace)
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0")
    invoke("validate", a_payment().to_document())
    assert not traced
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1")
    invoke("validate", a_payment().to_document())
    assert len(traced) == 1


def test_a_sampled_invocation_sends_its_trace_without_the_payment() -> None:
    """PAY-04, PAY-22: in a process of its own, because tracing patches the AWS client for good."""
    root = Path(telemetry.__file__).parents[2]
    code = (
        "import json, sys\n"
        "from functions.validate.handler import handler\n"
        "from tests.functions.fakes import Context\n"
        "handler(json.loads(sys.argv[1]), Context())\n"
        "import botocore.client\n"
        "assert hasattr(botocore.client.BaseClient._make_api_call, '__wrapped__')\n"
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        environment = {
            **os.environ,
            "LAMBDA_TASK_ROOT": str(root),
            "AWS_XRAY_DAEMON_ADDRESS": f"127.0.0.1:{daemon.getsockname()[1]}",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        }
        command = [sys.executable, "-c", code, json.dumps(a_payment().to_document())]
        result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        segment = daemon.recv(65536).decode()
    assert "1-5759e988-bd862e3fe1be46a994272793" in segment
    assert "tok_visa" not in segment
