"""Secrets and personal data, planted and looked for everywhere."""

from __future__ import annotations

import uuid

import httpx

from rollout.payments import Signature, act_as
from rollout.target import Target
from shared.site import Site
from tests.integration.conftest import Api, Deployment
from tests.integration.places import deployed_places, written_places

PAYER = {"name": "Zebedee Quillfeather", "email": "zebedee@quillfeather.example", "address": "3 Xylem Row, Nowhere"}
REGION = "us-east-1"


def test_no_secret_and_nothing_of_a_payer_is_written_down_but_in_the_vault(deployment: Deployment) -> None:
    """PAY-18, PAY-22: the payer's data and the credentials that signed, of payments that settle, fail and are refused.

    Searched are states, outputs, zips, logs, receipts, tables, executions, and what the engine keeps on this machine.
    """
    credentials = act_as("m-1", site=Site(deployment.environment, REGION), target=Target(deployment.environment))
    client = httpx.Client(timeout=60, auth=Signature(credentials, REGION))
    api = Api(REGION, deployment.output("edge", REGION, "api_url"), client)
    keys = [f"leak-{uuid.uuid4()}" for _ in range(3)]
    settled = api.pay(keys[0], payer=PAYER).json()["payment_id"]
    failed = api.pay(keys[1], payer=PAYER, payment_method="tok_declined").json()["payment_id"]
    assert api.pay(keys[2], payer=PAYER, amount=-1).status_code == 400
    assert {api.final(settled)["status"], api.final(failed)["status"]} == {"SETTLED", "DECLINED"}

    places = deployed_places(deployment) | written_places(deployment)
    assert any(settled in text for text in places.values())
    assert [place for place in places if place.endswith("terraform.tfstate in us-east-1")]
    for value in PAYER.values():
        assert [place for place, text in places.items() if value in text] == [f"vault in {REGION}"]
    for secret in (credentials.secret_key, credentials.token):
        assert secret
        assert [place for place, text in places.items() if secret in text] == []
