"""The reconciler on the deployed platform: nothing is wrong, and what somebody changes is found (PAY-22, PAY-23)."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout.reconcile.evidence import Invariant
from tests.integration.conftest import Deployment

PAYER = {"name": "Grace Brewster Hopper", "email": "grace@example.org"}
SENT: dict[str, str | None] = {
    "tok_visa": "SETTLED",
    "tok_declined": "DECLINED",
    "tok_capture_declined": "FAILED",
    "tok_lost_once": "SETTLED",
}
SETTLE_S = 120  # of what other tests have just sent


@pytest.fixture(scope="module")
def since() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 1))


@pytest.fixture(scope="module")
def settled(deployment: Deployment, since: str) -> str:
    """One of the payments that this module has sent and seen finished, in every region one of each kind."""
    ids = {}
    for region in deployment.regions:
        for token in SENT:
            answer = deployment.api(region).pay(f"rec-{uuid.uuid4()}", payment_method=token, payer=PAYER)
            assert answer.status_code == 202, answer.text
            ids[region, token] = answer.json()["payment_id"]
    for (region, token), payment_id in ids.items():
        assert deployment.api(region).final(payment_id)["status"] == SENT[token]
    deadline = time.monotonic() + 60
    while not reconcile(deployment, "--since", since)["ok"] and time.monotonic() < deadline:
        time.sleep(1)  # events and replicas follow the final state
    return str(ids[deployment.regions[0], "tok_visa"])


def reconcile(deployment: Deployment, *words: str) -> dict[str, Any]:
    """The verdict, as the command writes it; the exit code says the same."""
    file = Path(deployment.variables["TRIPOINT_HOME"]) / f"verdict-{uuid.uuid4()}.json"
    answer = deployment.run("reconcile", "--json", str(file), *words)
    assert answer.returncode in (0, 1), answer.stderr
    verdict: dict[str, Any] = json.loads(file.read_text())
    assert verdict["ok"] is (answer.returncode == 0), answer.stdout
    file.unlink()
    return verdict


def test_every_promise_holds_of_payments_that_are_finished(deployment: Deployment, settled: str, since: str) -> None:
    """PAY-02, PAY-11, PAY-22, PAY-23."""
    verdict = reconcile(deployment, "--since", since)
    assert verdict["breaches"] == []
    assert verdict["unchecked"] == {}
    payments = len(deployment.regions) * len(SENT)
    assert verdict["figures"]["payments"] >= payments
    assert verdict["figures"]["final events"] >= payments
    assert verdict["figures"]["payers in vaults"] >= payments
    assert verdict["money"]["EUR"]["difference"] == 0


def test_nothing_that_the_other_tests_have_paid_breaks_a_promise(
    deployment: Deployment, settled: str, tmp_path: Path
) -> None:
    """What only a human can resolve says so itself."""
    accepted = tmp_path / "accepted"
    accepted.write_text(f"{settled} {deployment.regions[0]}\n")
    found = reconcile(deployment, "--settle-within", str(SETTLE_S), "--accepted", str(accepted))["breaches"]
    assert [breach for breach in found if "compensation_failed" not in breach["what"]] == []


@pytest.fixture
def item(deployment: Deployment, settled: str) -> Iterator[Any]:
    """Changes attributes of the settled payment in one region's table, or its account; puts all back in the end."""
    before: list[tuple[Any, str, dict[str, Any]]] = []

    def change(table: str, key: str, region: str, **attributes: Any) -> None:
        client, name = deployment.client("dynamodb", region), deployment.output("data", region, f"{table}_table_name")
        found = client.get_item(TableName=name, Key={key: {"S": settled}}, ConsistentRead=True)["Item"]
        before.append((client, name, found))
        client.put_item(TableName=name, Item={**found, **attributes})

    yield change
    for client, name, found in reversed(before):
        client.put_item(TableName=name, Item=found)


def one_breach(deployment: Deployment, since: str, payment_id: str, invariant: Invariant) -> str:
    """What differs, when it is this invariant of this payment and nothing else."""
    found = reconcile(deployment, "--since", since)["breaches"]
    assert {(breach["payment_id"], breach["invariant"]) for breach in found} == {(payment_id, str(invariant))}, found
    return str(found[0]["what"])


def test_a_charge_that_was_doubled_is_found(deployment: Deployment, settled: str, since: str, item: Any) -> None:
    """PAY-23: and its payment named."""
    item("processor", "operation_key", deployment.environment.primary, captured={"N": "2598"})
    what = one_breach(deployment, since, settled, Invariant.MONEY)
    assert what == "SETTLED, captured 2598, refunded 0 of 1299"


def test_a_payer_in_the_table_is_found(deployment: Deployment, settled: str, since: str, item: Any) -> None:
    """PAY-22: a value of the vault, wherever it hides."""
    item("payments", "payment_id", deployment.regions[0], reason={"S": f"asked for by {PAYER['name']}"})
    what = one_breach(deployment, since, settled, Invariant.RESIDENCY)
    assert what.endswith("holds a value of a payer")


def test_a_receipt_that_is_gone_from_one_region_is_found(deployment: Deployment, settled: str, since: str) -> None:
    """PAY-11: a delete marker in one bucket; taken away again."""
    region = deployment.regions[-1]
    client, bucket = deployment.client("s3", region), deployment.output("data", region, "receipts_bucket_name")
    versions = client.list_object_versions(Bucket=bucket, Prefix="receipts/")["Versions"]
    (key,) = {version["Key"] for version in versions if settled in version["Key"]}
    others = [other for other in deployment.regions if other != region]
    client.delete_object(Bucket=bucket, Key=key)
    try:
        assert "is deleted" in one_breach(deployment, since, settled, Invariant.RECEIPTS)
    finally:
        for place in [region, *others]:
            undelete(deployment, place, key)
    assert reconcile(deployment, "--since", since)["ok"]


def undelete(deployment: Deployment, region: str, key: str) -> None:
    client, bucket = deployment.client("s3", region), deployment.output("data", region, "receipts_bucket_name")
    for marker in client.list_object_versions(Bucket=bucket, Prefix=key).get("DeleteMarkers", []):
        client.delete_object(Bucket=bucket, Key=key, VersionId=marker["VersionId"])
