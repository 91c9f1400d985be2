"""The HTTP API of one region, through its handler."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.payments import container
from functions.payments.errors import LedgerThrottledError, WorkflowThrottledError
from functions.payments.executions import StepFunctionsWorkflow
from functions.payments.ledger import DynamoLedger
from functions.payments.model import Status
from functions.payments_api import logic
from functions.payments_api.handler import handler
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION, Context, InMemoryLedger, RecordingWorkflow, a_payment

BODY = {"amount": 1299, "currency": "EUR", "merchant_id": "m-1", "payment_method": "tok_visa"}
ID = a_payment().payment_id


class Answer:
    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.status: int = raw["statusCode"]
        self.body: dict[str, Any] = json.loads(raw["body"])
        self.headers = {name: values[0] for name, values in raw["multiValueHeaders"].items()}


def signed_by(merchant: str) -> str:
    """The caller of a request that a merchant's role has signed."""
    return f"arn:aws:sts::123456789012:assumed-role/tripoint-merchant-{merchant}-test/session"


def call(
    method: str, path: str, body: str | None = None, keys: tuple[str, ...] = (), merchant: str = "m-1", **event: Any
) -> Answer:
    """A request as API Gateway hands it on."""
    request = {
        "httpMethod": method,
        "path": path,
        "headers": {"idempotency-key": keys[-1]} if keys else {},
        "multiValueHeaders": {"idempotency-key": list(keys)} if keys else {},
        "body": body,
        "requestContext": {
            "path": f"/prod{path}",
            "requestId": "r",
            "accountId": "123456789012",
            "identity": {"userArn": signed_by(merchant)},
        },
        **event,
    }
    return Answer(handler(request, Context()))


def post(body: object = BODY, key: str = "key-1", **event: Any) -> Answer:
    return call("POST", "/payments", json.dumps(body), (key,), **event)


def raising(error: Exception) -> Any:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error

    return refuse


def metrics(output: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    return [line for line in lines if "_aws" in line]


def test_an_accepted_payment_can_be_read_and_is_being_worked_on(cloud: Cloud) -> None:
    """PAY-08, PAY-04."""
    cloud.states  # noqa: B018
    accepted = post()
    assert (accepted.status, accepted.body) == (202, {"payment_id": ID, "status": "RECEIVED"})
    assert accepted.headers["Location"] == f"./payments/{ID}"
    found = call("GET", f"/payments/{ID}")
    assert found.status == 200
    assert found.body == {
        "payment_id": ID,
        "status": "RECEIVED",
        "amount": 1299,
        "currency": "EUR",
        "merchant_id": "m-1",
        "region": REGION,
        "created_at": found.body["created_at"],
        "updated_at": found.body["created_at"],
    }
    assert [execution["name"] for execution in cloud.executions()] == [ID]
    execution = cloud.states.describe_execution(executionArn=cloud.executions()[0]["executionArn"])
    assert json.loads(execution["input"])["payment_method"] == "tok_visa"


def test_a_repeated_request_is_the_same_payment_counted_once(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """PAY-23."""
    cloud.states  # noqa: B018
    first, second = post(), post()
    assert (second.status, second.body, second.headers["Location"]) == (202, first.body, first.headers["Location"])
    counted = metrics(capsys.readouterr().out)
    assert [line["PaymentsReceived"] for line in counted] == [[1.0]]
    assert counted[0]["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service"]]
    assert len(cloud.executions()) == 1


@pytest.mark.parametrize("change", [{"amount": 1}, {"currency": "USD"}, {"payment_method": "tok_x"}])
def test_the_same_key_with_another_request_is_refused(cloud: Cloud, change: dict[str, Any]) -> None:
    """PAY-23."""
    cloud.states  # noqa: B018
    post()
    refused = post(BODY | change)
    assert (refused.status, refused.body["error"]["code"]) == (409, "idempotency_key_reused")
    assert call("GET", f"/payments/{ID}").body["amount"] == 1299


def test_another_merchant_may_use_the_same_key(cloud: Cloud) -> None:
    cloud.states  # noqa: B018
    assert post().body["payment_id"] != post(BODY | {"merchant_id": "m-2"}, merchant="m-2").body["payment_id"]


def test_a_bad_request_is_told_the_field_the_value_and_what_is_allowed(cloud: Cloud) -> None:
    """PAY-08."""
    refused = post(BODY | {"amount": 12.5})
    assert refused.status == 400
    error = refused.body["error"]
    assert (error["field"], error["value"]) == ("amount", "12.5")
    assert error["allowed"].startswith("an integer from 1")
    assert cloud.dynamodb.scan(TableName="payments")["Count"] == 0


@pytest.mark.parametrize(
    ("body", "keys", "field"),
    [
        (None, ("k",), "body"),
        ("{", ("k",), "body"),
        ("[]", ("k",), "body"),
        (json.dumps(BODY), (), "Idempotency-Key"),
        (json.dumps(BODY), ("a", "b"), "Idempotency-Key"),
        (json.dumps(BODY | {"email": "x"}), ("k",), "email"),
    ],
)
def test_a_malformed_request_is_refused(cloud: Cloud, body: str | None, keys: tuple[str, ...], field: str) -> None:
    refused = call("POST", "/payments", body, keys)
    assert (refused.status, refused.body["error"]["field"]) == (400, field)


def test_a_body_in_base64_is_read_or_refused(cloud: Cloud) -> None:
    cloud.states  # noqa: B018
    encoded = base64.b64encode(json.dumps(BODY).encode()).decode()
    assert call("POST", "/payments", encoded, ("k",), isBase64Encoded=True).status == 202
    assert call("POST", "/payments", base64.b64encode(b"\xff").decode(), ("k",), isBase64Encoded=True).status == 400
    assert call("POST", "/payments", "*", ("k",), isBase64Encoded=True).status == 400


@pytest.mark.parametrize(
    "path", [f"/payments/pay_{'a' * 26}", "/payments/nonsense", "/payments/pay_1%2F..", "/nothing", "/"]
)
def test_what_does_not_exist_is_not_found(cloud: Cloud, path: str) -> None:
    missing = call("GET", path)
    assert (missing.status, missing.body["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "error", [WorkflowThrottledError("StartExecution"), LedgerThrottledError("PutItem: secret detail")]
)
def test_a_throttled_dependency_asks_to_come_again(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """PAY-23: back-pressure; the repeated request heals what the first one left half done."""
    cloud.states  # noqa: B018
    broken = (StepFunctionsWorkflow, "start") if "Start" in str(error) else (DynamoLedger, "create")
    with monkeypatch.context() as patched:
        patched.setattr(*broken, raising(error))
        refused = post()
    assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
    assert "secret detail" not in json.dumps(refused.raw)
    assert post().status == 202
    assert len(cloud.executions()) == 1


def test_a_fault_of_our_own_shows_no_trace(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logic, "submit", raising(RuntimeError("at 0x7f: password")))
    failed = post()
    assert (failed.status, failed.body["error"]["code"]) == (500, "internal")
    assert "password" not in json.dumps(failed.raw)
    assert "Traceback" not in json.dumps(failed.raw)


def test_health_reads_the_table_of_the_region(cloud: Cloud) -> None:
    """PAY-08, PAY-23."""
    well = call("GET", "/health")
    assert (well.status, well.body) == (200, {"status": "ok"})
    cloud.dynamodb.delete_table(TableName="payments")
    unwell = call("GET", "/health")
    assert (unwell.status, unwell.body) == (503, {"status": "unavailable"})


def drain(cloud: Cloud, region: str, drained: bool = True) -> None:
    item = {"payment_id": {"S": f"region#{region}"}, "drained": {"BOOL": drained}}
    cloud.dynamodb.put_item(TableName="payments", Item=item)


def test_routes_answer_behind_the_base_path_of_the_custom_domain(cloud: Cloud) -> None:
    """PAY-08: the custom domain passes its base path on, the API's own host does not."""
    assert call("GET", "/v1/health").status == call("GET", "/health").status == 200
    assert call("GET", "/v2/health").status == 404


def test_health_tells_traffic_to_leave_a_drained_region(cloud: Cloud) -> None:
    """PAY-08, PAY-23: this region's item counts, and no other's."""
    drain(cloud, "us-east-1")
    assert call("GET", "/health").status == 200
    drain(cloud, REGION)
    draining = call("GET", "/health")
    assert (draining.status, draining.body) == (503, {"status": "draining"})
    drain(cloud, REGION, False)
    assert (call("GET", "/health").status, call("GET", "/health").body) == (200, {"status": "ok"})


def test_a_drained_region_still_takes_and_tells_payments(cloud: Cloud) -> None:
    """PAY-23: clients come for as long as their DNS answers last."""
    cloud.states  # noqa: B018
    drain(cloud, REGION)
    assert post().status == 202
    assert call("GET", f"/payments/{ID}").status == 200
    assert len(cloud.executions()) == 1


def test_the_item_about_a_region_is_no_payment(cloud: Cloud) -> None:
    drain(cloud, REGION)
    for path in (f"/payments/region#{REGION}", f"/payments/region%23{REGION}", f"/payments/region%23{REGION}/payer"):
        assert call("GET", path).status == 404


def test_health_is_one_consistent_read(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[dict[str, Any]] = []

    class Client:
        def get_item(self, **request: Any) -> dict[str, Any]:
            reads.append(request)
            return {}

    monkeypatch.setattr(container, "ledger", lambda: DynamoLedger(Client(), "payments"))
    call("GET", "/health")
    key = {"payment_id": {"S": f"region#{REGION}"}}
    assert reads == [{"TableName": "payments", "Key": key, "ConsistentRead": True}]


def test_health_survives_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    denied = ClientError({"Error": {"Code": "AccessDeniedException"}}, "GetItem")
    monkeypatch.setattr(container, "ledger", raising(denied))
    assert call("GET", "/health").status == 503


@pytest.mark.parametrize(
    ("changes", "starts"),
    [
        ({}, True),
        ({"status": Status.AUTHORIZED}, False),
        ({"status": Status.SETTLED}, False),
        ({"compensating": "why"}, False),
        ({"home_region": "us-east-1"}, False),
        ({"next_region": "us-east-1"}, False),
    ],
)
def test_only_an_untouched_payment_of_this_region_is_started_again(changes: dict[str, Any], starts: bool) -> None:
    """PAY-23: a crash between the ledger and the start is healed by the repeated request."""
    workflow = RecordingWorkflow()
    logic.ensure_started(a_payment(**changes), workflow=workflow, region=REGION)
    assert bool(workflow.started) is starts


def test_a_reason_is_told_once_there_is_one(cloud: Cloud) -> None:
    DynamoLedger(cloud.dynamodb, "payments").create(a_payment(status=Status.DECLINED, reason="card_declined"))
    assert call("GET", f"/payments/{ID}").body["reason"] == "card_declined"


def test_an_id_that_cannot_be_one_costs_no_read() -> None:
    class Unreadable(InMemoryLedger):
        def get(self, payment_id: str) -> Any:
            raise AssertionError(payment_id)

    with pytest.raises(Exception, match="no such payment"):
        logic.find("nonsense", merchant="m-1", ledger=Unreadable())
