"""Personal data: in the vault of the region that accepted the payment, and nowhere else."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.payments import aws, container, telemetry
from functions.payments import settings as function_settings
from functions.payments.errors import SettingsError, VaultUnavailableError
from functions.payments.settings import VaultSettings, read
from functions.payments.vault import DynamoVault, Payer
from functions.processor import connect
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION, Context, a_payment
from tests.functions.interpreter import Ended, run
from tests.functions.platform import DEFINITION
from tests.functions.test_payments_api import BODY, ID, Answer, call, post

PAYER = {"name": "Ada Lovelace", "email": "ada@lovelace.example", "address": "12 St James's Square"}
OTHER = {"name": "Grace Hopper", "email": "grace@hopper.example"}
PERSONAL = (*PAYER.values(), "Lovelace", "lovelace", "James", *OTHER.values(), "Hopper", "hopper")
AT = "2025-03-01T12:00:00.000Z"
THERE = "us-east-1"
CLIENT = aws.client


def vaulted(cloud: Cloud, region: str = REGION) -> list[dict[str, Any]]:
    return list(cloud.client("dynamodb", region).scan(TableName="vault")["Items"])


def test_the_vault_keeps_the_first_payer_for_as_many_days_as_it_is_told(cloud: Cloud) -> None:
    """PAY-22."""
    vault = DynamoVault(cloud.dynamodb, "vault", 30)
    vault.keep(ID, Payer(**PAYER), at=AT)
    vault.keep(ID, Payer(**OTHER), at="2025-03-02T12:00:00.000Z")
    assert vaulted(cloud) == [
        {
            "payment_id": {"S": ID},
            "payer": {"M": {name: {"S": value} for name, value in PAYER.items()}},
            "created_at": {"S": AT},
            "expires_at": {"N": str(1_740_830_400 + 30 * 86_400)},
        }
    ]
    assert vault.get(ID, at=AT) == Payer(**PAYER)
    assert vault.get("pay_other", at=AT) is None


def test_what_has_expired_is_gone_even_before_it_is_deleted(cloud: Cloud) -> None:
    """PAY-22: DynamoDB deletes within days of the time to live."""
    vault = DynamoVault(cloud.dynamodb, "vault", 30)
    vault.keep(ID, Payer(**OTHER), at=AT)
    assert vault.get(ID, at="2025-03-31T11:59:59.999Z") == Payer(**OTHER)
    assert vault.get(ID, at="2025-03-31T12:00:00.000Z") is None


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"),
        ClientError({"Error": {"Code": "KMS.ThrottlingException"}}, "PutItem"),
        ReadTimeoutError(endpoint_url="https://aws.example"),
    ],
)
def test_a_vault_that_is_not_able_asks_to_come_again(error: Exception) -> None:
    """PAY-22, PAY-23: and no payment is accepted without it."""

    class Refusing:
        exceptions = type("Exceptions", (), {"ConditionalCheckFailedException": KeyError})

        def put_item(self, **_: Any) -> None:
            raise error

        get_item = put_item

    vault = DynamoVault(Refusing(), "vault", 1)
    with pytest.raises(VaultUnavailableError):
        vault.keep(ID, Payer(**PAYER), at=AT)
    with pytest.raises(VaultUnavailableError):
        vault.get(ID, at=AT)


def test_a_retention_of_no_days_is_refused() -> None:
    with pytest.raises(SettingsError, match="VAULT_RETENTION_DAYS: 0 is not allowed"):
        read(VaultSettings, {"AWS_REGION": "r", "VAULT_TABLE": "v", "VAULT_RETENTION_DAYS": "0"})


def test_the_payer_is_told_where_it_is_kept(cloud: Cloud) -> None:
    """PAY-22."""
    cloud.states  # noqa: B018
    assert post(BODY | {"payer": PAYER}).status == 202
    found = call("GET", f"/payments/{ID}/payer")
    assert (found.status, found.body) == (200, {"payment_id": ID, "payer": PAYER})
    assert found.headers["Cache-Control"] == "no-store"
    assert "payer" not in call("GET", f"/payments/{ID}").body


def test_another_region_names_the_one_that_keeps_the_payer_and_asks_nobody(cloud: Cloud) -> None:
    """PAY-22: the data does not leave its region, not even on the way to who may see it."""
    container.ledger().create(a_payment(payer_region=THERE, home_region=THERE, regions_tried=(THERE,)))
    DynamoVault(cloud.dynamodb, "vault", 30).keep(ID, Payer(**PAYER), at="2999-01-01T00:00:00.000Z")
    answer = call("GET", f"/payments/{ID}/payer")
    assert answer.status == 404
    assert answer.body["error"] == {
        "code": "not_found",
        "message": f"the payer of this payment is kept in {THERE}: ask there",
        "region": THERE,
    }


def test_without_a_payer_nothing_is_kept_and_nothing_found(cloud: Cloud) -> None:
    """PAY-22."""
    cloud.states  # noqa: B018
    assert call("GET", f"/payments/{ID}/payer").status == 404
    post()
    assert vaulted(cloud) == []
    missing = call("GET", f"/payments/{ID}/payer")
    assert (missing.status, missing.body["error"]["code"]) == (404, "not_found")
    assert "payer_region" not in cloud.dynamodb.get_item(TableName="payments", Key={"payment_id": {"S": ID}})["Item"]


def test_the_same_key_with_another_payer_is_the_same_payment_of_the_first_payer(cloud: Cloud) -> None:
    """PAY-22, PAY-23."""
    cloud.states  # noqa: B018
    first, second = post(BODY | {"payer": PAYER}), post(BODY | {"payer": OTHER})
    assert (second.status, second.body) == (202, first.body)
    assert call("GET", f"/payments/{ID}/payer").body["payer"] == PAYER


def test_the_payer_is_kept_before_the_payment_is(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """PAY-22: a ledger that says where the payer is kept is never wrong."""
    cloud.states  # noqa: B018

    def refuse(*_: Any, **__: Any) -> None:
        raise VaultUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr(DynamoVault, "keep", refuse)
        assert post(BODY | {"payer": PAYER}).status == 503
    assert cloud.dynamodb.scan(TableName="payments")["Count"] == 0
    assert post(BODY | {"payer": PAYER}).status == 202


# -- everything that is written besides --------------------------------------------------------


class World:
    """Two regions on AWS in memory, with their real handlers, and what they wrote."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cloud = cloud
        self.monkeypatch = monkeypatch
        self.events: list[dict[str, Any]] = []
        self.inputs: list[str] = []
        self.images: list[dict[str, Any]] = []
        self.log = io.StringIO()
        self.answers: list[Answer] = []
        monkeypatch.setattr(telemetry.logger.registered_handler, "stream", self.log)
        monkeypatch.setattr("functions.payments.aws.client", self.client)
        monkeypatch.setenv("FAILOVER_ORDER", f"{REGION},{THERE}")
        monkeypatch.setenv("PROCESSOR_TABLE", f"arn:aws:dynamodb:{REGION}:123456789012:table/processor")
        for table in ("payments", "vault"):
            cloud.table(table, "payment_id", THERE)
        cloud.s3  # noqa: B018

    def client(self, service: str, region: str) -> Any:
        return self if service in ("stepfunctions", "events") else CLIENT(service, region)

    def start_execution(self, input: str, **_: Any) -> None:
        self.inputs.append(input)

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.events += Entries
        return {"Entries": [{} for _ in Entries]}

    def go_to(self, region: str) -> None:
        self.monkeypatch.setenv("AWS_REGION", region)
        function_settings.load.cache_clear()
        connect.processor.cache_clear()

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = importlib.import_module(f"functions.{function}.handler").handler(event, Context())
        return answer

    def execute(self, region: str) -> Ended:
        self.go_to(region)
        return run(DEFINITION, json.loads(self.inputs[-1]), self.invoke)

    def replicate(self, origin: str, to: str) -> dict[str, Any]:
        """Copy the payment to the other region's replica, as the global table does."""
        key = {"payment_id": {"S": ID}}
        item: dict[str, Any] = CLIENT("dynamodb", origin).get_item(TableName="payments", Key=key)["Item"]
        CLIENT("dynamodb", to).put_item(TableName="payments", Item=item)
        self.images.append(item)
        return item

    def publish(self, region: str) -> None:
        """Feed the stream of a region with the payment as it stands."""
        self.go_to(region)
        change = {"NewImage": self.images[-1], "SequenceNumber": "1"}
        assert self.invoke("publish_changes", {"Records": [{"eventID": "1", "dynamodb": change}]}) == {
            "batchItemFailures": []
        }

    def everything_written(self) -> Iterator[str]:
        """All but the vault of the region that accepted the payment."""
        for region in (REGION, THERE):
            for table in ("payments", "vault") if region == THERE else ("payments", "processor"):
                yield json.dumps(CLIENT("dynamodb", region).scan(TableName=table)["Items"])
        yield from self.inputs
        yield json.dumps(self.events)
        for one in self.cloud.s3.list_objects_v2(Bucket="receipts")["Contents"]:
            yield one["Key"] + self.cloud.s3.get_object(Bucket="receipts", Key=one["Key"])["Body"].read().decode()
        yield self.log.getvalue()
        yield json.dumps([answer.raw for answer in self.answers])


def test_nothing_personal_is_written_but_into_the_vault_on_the_way_through_two_regions(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """PAY-22, PAY-05, PAY-23: accepted here, repeated, refused, handed over, settled there."""
    world = World(cloud, monkeypatch)
    body = BODY | {"payment_method": f"tok_capture_unreachable_from_{REGION}"}
    world.answers += [
        post(body | {"payer": PAYER}),
        post(body | {"payer": OTHER}),
        post(body | {"payer": OTHER, "amount": 7}),
        post(body | {"payer": PAYER | {"email": "Ada Lovelace"}}),
        post(body | {"payer": PAYER | {"nick": "Ada Lovelace"}}),
        call("GET", f"/payments/{ID}"),
        call("POST", "/payments", '{"payer": {"name": "Ada Lovelace"', ("k",)),
    ]
    assert [answer.status for answer in world.answers] == [202, 202, 409, 400, 400, 200, 400]
    world.replicate(REGION, THERE)
    world.publish(REGION)
    assert world.execute(REGION).state == "HandedOver"
    world.replicate(REGION, THERE)
    world.publish(REGION)
    assert [one["DetailType"] for one in world.events] == ["PaymentReceived", "PaymentHandedOver"]
    world.go_to(THERE)
    answer = world.invoke("take_over", {"detail": json.loads(world.events[-1]["Detail"])})
    assert answer == {"payment_id": ID, "taken_over": True}
    assert world.execute(THERE).state == "Settled"
    item = world.replicate(THERE, REGION)
    world.publish(THERE)
    assert [one["DetailType"] for one in world.events][2:] == ["PaymentSettled"]
    assert (item["payer_region"], item["home_region"]) == ({"S": REGION}, {"S": THERE})

    elsewhere = call("GET", f"/payments/{ID}/payer")
    world.answers.append(elsewhere)
    assert (elsewhere.status, elsewhere.body["error"]["region"]) == (404, REGION)
    world.go_to(REGION)
    assert call("GET", f"/payments/{ID}/payer").body["payer"] == PAYER
    assert (len(vaulted(cloud)), vaulted(cloud, THERE)) == (1, [])

    captured = capfd.readouterr()
    assert ID in world.log.getvalue()
    assert "PaymentsHandedOver" in captured.out
    written = [*world.everything_written(), captured.out, captured.err]
    assert [(one, text[:200]) for text in written for one in PERSONAL if one in text] == []
