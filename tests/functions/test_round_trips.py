"""What one payment may cost in calls to AWS and in transitions of the workflow (PAY-21).

The real handlers over AWS in memory, every call seen. Why none of them can go:
docs/decisions/round-trips-per-payment.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.functions.conftest import Cloud
from tests.functions.interpreter import run
from tests.functions.platform import DEFINITION
from tests.functions.test_payments_api import BODY, call, post
from tests.functions.test_steps import invoke

ACCEPT = ["PutItem payments", "StartExecution"]
RESERVE = "PutItem processor"


@pytest.fixture
def calls(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls to AWS from here on, in order."""
    cloud.s3, cloud.states, cloud.events  # noqa: B018
    seen: list[str] = []
    make = BaseClient._make_api_call

    def counted(self: BaseClient, name: str, request: dict[str, Any]) -> Any:
        seen.append(f"{name} {request.get('TableName', '')}".strip())
        return make(self, name, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    return seen


def work(cloud: Cloud) -> list[str]:
    """Run the workflow on what it was started with; the states it went through."""
    described = cloud.executions()[-1]["executionArn"]
    document: Mapping[str, Any] = json.loads(cloud.states.describe_execution(executionArn=described)["input"])
    return run(DEFINITION, dict(document), invoke).path


def mine(calls: list[str]) -> list[str]:
    """Without the calls by which this test looks."""
    return [one for one in calls if one not in ("ListExecutions", "DescribeExecution")]


@pytest.mark.parametrize("payer", [None, {"name": "Ada"}])
def test_a_settled_payment(cloud: Cloud, calls: list[str], payer: dict[str, str] | None) -> None:
    """Five calls of the platform; a payer is one more. Three are the simulated processor's own."""
    assert post(BODY | ({"payer": payer} if payer else {})).status == 202
    path = work(cloud)
    assert mine(calls) == [
        *(["PutItem vault"] if payer else []),
        *ACCEPT,
        RESERVE,
        "UpdateItem payments",
        "GetItem processor",
        "PutItem processor",
        "PutObject",
        "UpdateItem payments",
    ]
    assert path == ["Validate", "Authorize", "Capture", "IssueReceipt", "Complete", "Settled"]


def test_a_declined_payment(cloud: Cloud, calls: list[str]) -> None:
    """Three calls of the platform, and the processor's one."""
    assert post(BODY | {"payment_method": "tok_declined"}).status == 202
    path = work(cloud)
    assert mine(calls) == [*ACCEPT, RESERVE, "UpdateItem payments"]
    assert path == ["Validate", "Authorize", "RecordFailure", "FailureOutcome", "Declined"]


def test_a_repeated_request(cloud: Cloud, calls: list[str]) -> None:
    """While the first is worked on: the write that is refused (it answers with the item) and the start that heals a
    crash between the two. Once there is progress: the write alone."""
    post()
    calls.clear()
    assert post().status == 202
    assert mine(calls) == ACCEPT
    work(cloud)
    calls.clear()
    assert post().body["status"] == "SETTLED"
    assert mine(calls) == ["PutItem payments"]


def test_asking_how_a_payment_stands(cloud: Cloud, calls: list[str]) -> None:
    payment = post().body["payment_id"]
    calls.clear()
    assert call("GET", f"/payments/{payment}").status == 200
    assert mine(calls) == ["GetItem payments"]


def test_what_is_refused_costs_nothing(calls: list[str]) -> None:
    assert post(BODY | {"amount": -1}).status == 400
    assert post(BODY | {"merchant_id": "m-2"}).status == 403
    assert call("GET", "/payments/nonsense").status == 404
    assert calls == []
