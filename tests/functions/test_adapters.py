"""The adapters against AWS in memory: what they write, and what they make of its errors."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from functions.payments import aws
from functions.payments.errors import (
    EventsUnavailableError,
    LedgerThrottledError,
    LedgerUnavailableError,
    PaymentNotFoundError,
    ReceiptsUnavailableError,
    WorkflowThrottledError,
)
from functions.payments.events import EventBridgeBus
from functions.payments.executions import StepFunctionsWorkflow
from functions.payments.ledger import DynamoLedger
from functions.payments.model import Status
from functions.payments.receipts import S3Receipts, receipt_body, receipt_key
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION, InMemoryLedger, a_payment

ATTRIBUTES_OF_EVERY_WRITE = {"home_region", "version", "event_id", "updated_at"}


def stored(cloud: Cloud) -> dict[str, Any]:
    key = {"payment_id": {"S": a_payment().payment_id}}
    return dict(cloud.dynamodb.get_item(TableName="payments", Key=key)["Item"])


@pytest.fixture
def ledger(cloud: Cloud) -> DynamoLedger:
    return DynamoLedger(cloud.dynamodb, "payments")


def test_the_first_payment_of_an_id_stays(ledger: DynamoLedger) -> None:
    """PAY-23."""
    assert ledger.create(a_payment()) is None
    assert ledger.create(a_payment(amount=1)) == a_payment()
    assert ledger.get(a_payment().payment_id) == a_payment()
    assert ledger.get("pay_other") is None


@pytest.mark.parametrize("change", [{"status": Status.FAILED}, {"version": 2}, {"home_region": "us-east-1"}])
def test_an_update_of_something_else_than_expected_changes_nothing(
    ledger: DynamoLedger, change: dict[str, Any]
) -> None:
    """PAY-23."""
    current = a_payment(**change)
    ledger.create(current)
    after = a_payment().changed(at="later", status=Status.AUTHORIZED)
    assert ledger.update(after, expected=a_payment()) == current
    assert ledger.get(current.payment_id) == current


def test_an_update_keeps_the_request_and_writes_what_every_write_carries(ledger: DynamoLedger, cloud: Cloud) -> None:
    """PAY-10."""
    ledger.create(a_payment())
    handed_on = replace(a_payment(), request_hash="")  # the workflow does not carry it
    after = handed_on.changed(at="later", status=Status.AUTHORIZED, authorization_id="auth_1")
    assert ledger.update(after, expected=handed_on) is None
    assert ledger.get(after.payment_id) == replace(after, request_hash=a_payment().request_hash)
    assert stored(cloud).keys() >= ATTRIBUTES_OF_EVERY_WRITE
    assert stored(cloud)["event_id"]["S"] == after.event_id


def test_what_a_step_knew_beforehand_is_written_too(ledger: DynamoLedger) -> None:
    """A capture is known to the payment handed on before the ledger hears of it."""
    ledger.create(a_payment(status=Status.AUTHORIZED))
    handed_on = a_payment(status=Status.AUTHORIZED, capture_id="cap_1")
    ledger.update(handed_on.changed(at="later", status=Status.SETTLED), expected=handed_on)
    assert ledger.get(handed_on.payment_id).capture_id == "cap_1"  # type: ignore[union-attr]


def test_an_update_removes_what_is_no_longer_known_and_never_what_was_asked(ledger: DynamoLedger, cloud: Cloud) -> None:
    """PAY-23: `next_region` goes when the payment is taken over."""
    handed_over = a_payment(next_region="us-east-1", payer_region=REGION, reason="why")
    ledger.create(handed_over)
    handed_on = replace(handed_over, request_hash="", payer_region="")
    after = handed_on.changed(at="later", next_region="", reason="")
    assert ledger.update(after, expected=handed_on) is None
    assert "next_region" not in stored(cloud)
    assert ledger.get(after.payment_id) == replace(after, request_hash=handed_over.request_hash, payer_region=REGION)


@pytest.mark.parametrize(
    ("item", "drained"),
    [
        ({"drained": {"BOOL": True}}, True),
        ({"drained": {"BOOL": False}}, False),
        ({"drained": {"S": "true"}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_region_is_drained_when_its_item_says_so(
    ledger: DynamoLedger, cloud: Cloud, item: dict[str, Any] | None, drained: bool
) -> None:
    """PAY-23."""
    if item is not None:
        cloud.dynamodb.put_item(TableName="payments", Item={"payment_id": {"S": f"region#{REGION}"}, **item})
    assert ledger.is_drained(REGION) is drained
    assert ledger.is_drained("us-east-1") is False


@pytest.mark.parametrize("fake", [True, False])
def test_an_update_of_nothing_is_an_error(cloud: Cloud, fake: bool) -> None:
    ledger = InMemoryLedger() if fake else DynamoLedger(cloud.dynamodb, "payments")
    with pytest.raises(PaymentNotFoundError):
        ledger.update(a_payment(version=2), expected=a_payment())


def test_a_receipt_is_encrypted_with_the_key_of_the_region_and_kept_once(cloud: Cloud) -> None:
    """PAY-11, PAY-19."""
    cloud.s3.put_bucket_versioning(Bucket="receipts", VersioningConfiguration={"Status": "Enabled"})
    receipts = S3Receipts(cloud.s3, "receipts", cloud.key_arn)
    key = receipt_key(a_payment(created_at="2025-02-28T23:59:59.000Z", captured_at="2025-03-01T00:00:01.000Z"))
    receipts.put(key, receipt_body(a_payment()))
    receipts.put(key, receipt_body(a_payment()))
    versions = cloud.s3.list_object_versions(Bucket="receipts")["Versions"]
    assert [version["Key"] for version in versions] == [
        f"receipts/{a_payment().payment_id[4:6]}/2025/03/01/{a_payment().payment_id}.json"
    ]
    head = cloud.s3.head_object(Bucket="receipts", Key=key)
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", cloud.key_arn)


def test_a_receipt_names_no_payment_method(cloud: Cloud) -> None:
    """PAY-22."""
    assert "payment_method" not in json.loads(receipt_body(a_payment()))


def test_starting_twice_starts_one_execution(cloud: Cloud) -> None:
    """PAY-04."""
    workflow = StepFunctionsWorkflow(cloud.states, cloud.machine_arn)
    workflow.start(a_payment())
    workflow.start(a_payment(amount=7))  # other input: ExecutionAlreadyExists
    assert [execution["name"] for execution in cloud.executions()] == [a_payment().payment_id]


class Refusing:
    """A client whose every call raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error
        self.exceptions = self

    ConditionalCheckFailedException = ExecutionAlreadyExists = KeyError

    def _refuse(self, **_: Any) -> Any:
        raise self._error

    put_item = get_item = update_item = put_object = start_execution = put_events = _refuse


def refused_by_aws(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Call")


NO_CONNECTION = EndpointConnectionError(endpoint_url="https://aws.example")
NO_ANSWER = ReadTimeoutError(endpoint_url="https://aws.example")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused_by_aws("ProvisionedThroughputExceededException"), LedgerThrottledError),
        (refused_by_aws("ThrottlingException"), LedgerThrottledError),
        (refused_by_aws("InternalServerError", 500), LedgerUnavailableError),
        (refused_by_aws("Whatever", 503), LedgerUnavailableError),
        (NO_CONNECTION, LedgerUnavailableError),
        (NO_ANSWER, LedgerUnavailableError),
        (refused_by_aws("AccessDeniedException"), ClientError),
    ],
)
def test_trouble_of_aws_has_a_name_that_the_workflow_knows(error: Exception, kind: type[Exception]) -> None:
    """PAY-04."""
    ledger = DynamoLedger(Refusing(error), "payments")
    with pytest.raises(kind):
        ledger.create(a_payment())
    with pytest.raises(kind):
        ledger.update(a_payment(version=2), expected=a_payment())
    with pytest.raises(kind):
        ledger.get("pay_x")


def test_every_adapter_names_its_throttling() -> None:
    """PAY-04."""
    with pytest.raises(ReceiptsUnavailableError):
        S3Receipts(Refusing(refused_by_aws("SlowDown", 503)), "b", "k").put("key", b"")
    with pytest.raises(ReceiptsUnavailableError):
        S3Receipts(Refusing(refused_by_aws("ConditionalRequestConflict", 409)), "b", "k").put("key", b"")
    with pytest.raises(WorkflowThrottledError):
        StepFunctionsWorkflow(Refusing(refused_by_aws("ThrottlingException")), "arn").start(a_payment())
    failures = EventBridgeBus(Refusing(NO_ANSWER), "bus").publish([a_payment(), a_payment()])
    assert failures == ["ReadTimeoutError", "ReadTimeoutError"]
    assert issubclass(EventsUnavailableError, Exception)


def test_a_client_is_made_once_per_service_and_region() -> None:
    assert aws.client("dynamodb", REGION) is aws.client("dynamodb", REGION)
    assert aws.client("dynamodb", REGION) is not aws.client("dynamodb", "us-east-1")
    assert aws.client("dynamodb", REGION).meta.config.retries["total_max_attempts"] == 2


def test_the_standard_variable_chooses_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    aws.client.cache_clear()
    endpoint = aws.client("dynamodb", REGION).meta.endpoint_url
    aws.client.cache_clear()
    assert endpoint == "http://127.0.0.1:4566"
