"""The environment of a function, and AWS in memory (moto)."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cached_property
from typing import Any, ClassVar

import pytest
from moto import mock_aws
from moto.backends import get_backend
from moto.core.models import MockAWS

from functions.payments import aws, telemetry
from functions.payments import settings as function_settings
from functions.payments.open_payments import INDEX
from functions.processor import connect
from tests.functions.fakes import REGION, Context

ENVIRONMENT = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "PAYMENTS_TABLE": "payments",
    "RECEIPTS_BUCKET": "receipts",
    "RECEIPTS_KEY_ARN": f"arn:aws:kms:{REGION}:123456789012:key/11111111-2222-3333-4444-555555555555",
    "STATE_MACHINE_ARN": f"arn:aws:states:{REGION}:123456789012:stateMachine:payments",
    "EVENT_BUS_NAME": "payments",
    "MERCHANT_ROLES": "tripoint-merchant-{}-test",
    "VAULT_TABLE": "vault",
    "VAULT_RETENTION_DAYS": "30",
    "FAILOVER_ORDER": REGION,
    "DOWN_AFTER_S": "180",
    "STALE_AFTER_S": "300",
    "METRICS_REGIONS": "us-east-1,eu-west-1,ap-southeast-1",
    "AUTO_SCALING_GROUP": "web",
    "TARGET_GROUP_ARN": f"arn:aws:elasticloadbalancing:{REGION}:123456789012:targetgroup/web/1234567890123456",
    "SESSIONS_TABLE": "sessions",
    "UPLOADS_BUCKET": "uploads",
    "UPLOADS_KEY_ARN": f"arn:aws:kms:{REGION}:123456789012:key/11111111-2222-3333-4444-555555555555",
    "UPLOADS_MAX_MB": "1",
    "ALERT_TOPIC_ARN": f"arn:aws:sns:{REGION}:123456789012:alerts",
    "ALERT_QUIET_S": "300",
    "PROCESSOR_KIND": "simulator",
    "PROCESSOR_TABLE": "processor",
    "POWERTOOLS_SERVICE_NAME": "payments",
    "POWERTOOLS_METRICS_NAMESPACE": "Tripoint",
}
_UNWANTED = ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "_X_AMZN_TRACE_ID")
_CACHES = (function_settings.load, connect.processor, telemetry._metrics)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh container: its variables set, no settings left from the one before.

    Its AWS clients stay: making them takes longer than everything else here.
    """
    for name in _UNWANTED:
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    for cached in _CACHES:
        cached.cache_clear()


@pytest.fixture
def context() -> Context:
    """The context of an invocation."""
    return Context()


class Cloud:
    """AWS with the tables, the bucket and the bus of one region; more when asked for."""

    key_arn = ENVIRONMENT["RECEIPTS_KEY_ARN"]
    machine_arn = ENVIRONMENT["STATE_MACHINE_ARN"]
    _empty_tables: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.dynamodb = self.client("dynamodb")
        backend = get_backend("dynamodb")["123456789012"][REGION]
        if not self._empty_tables:
            self.table("payments", "payment_id")
            self.table("vault", "payment_id")
            self.table("processor", "operation_key")
            self._empty_tables.update(backend.tables)
        # A copy takes a thirtieth of the time that making them takes.
        backend.tables = deepcopy(self._empty_tables)

    @staticmethod
    def client(service: str, region: str = REGION) -> Any:
        return aws.client(service, region)

    @cached_property
    def s3(self) -> Any:
        s3 = self.client("s3")
        s3.create_bucket(Bucket="receipts", CreateBucketConfiguration={"LocationConstraint": REGION})
        return s3

    @cached_property
    def states(self) -> Any:
        states = self.client("stepfunctions")
        machine = states.create_state_machine(
            name="payments",
            definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
            roleArn="arn:aws:iam::123456789012:role/states",
        )
        assert machine["stateMachineArn"] == self.machine_arn
        return states

    @cached_property
    def events(self) -> Any:
        events = self.client("events")
        events.create_event_bus(Name="payments")
        return events

    def table(self, name: str, key: str, region: str = REGION) -> None:
        names, indexes = [key], {}
        if name == "payments":
            names += ["open_in", "created_at"]
            schema = [
                {"AttributeName": one, "KeyType": kind} for one, kind in zip(names[1:], ("HASH", "RANGE"), strict=True)
            ]
            index = {"IndexName": INDEX, "KeySchema": schema, "Projection": {"ProjectionType": "KEYS_ONLY"}}
            indexes = {"GlobalSecondaryIndexes": [index]}
        self.client("dynamodb", region).create_table(
            TableName=name,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in names],
            BillingMode="PAY_PER_REQUEST",
            **indexes,
        )

    def executions(self) -> list[Any]:
        return list(self.states.list_executions(stateMachineArn=self.machine_arn)["executions"])


@pytest.fixture(scope="module")
def moto() -> Iterator[MockAWS]:
    """moto, started once: that takes longer than most tests. Not for the session: other suites have none."""
    with mock_aws() as mock:
        yield mock


@pytest.fixture
def cloud(moto: MockAWS) -> Iterator[Cloud]:
    """AWS in memory, empty but for what `Cloud` makes."""
    yield Cloud()
    moto.reset()
