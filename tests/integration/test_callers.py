"""Who gets in, at the deployed API."""

from __future__ import annotations

import datetime
import json
import uuid

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rollout.payments import act_as
from rollout.target import Target
from shared.site import Site
from tests.integration.conftest import ORDER, Deployment

REGION = "eu-west-1"


def credentials(deployment: Deployment, merchant: str = "m-1") -> Credentials:
    return act_as(merchant, site=Site(deployment.environment, REGION), target=Target(deployment.environment))


def signed(url: str, by: Credentials, *, region: str = REGION, method: str = "POST", key: str = "k") -> AWSRequest:
    """A request to pay, signed."""
    data = json.dumps(ORDER).encode() if method == "POST" else None
    request = AWSRequest(method, url, data=data, headers={"Content-Type": "application/json", "Idempotency-Key": key})
    SigV4Auth(by, "execute-api", region).add_auth(request)
    return request


def send(request: AWSRequest, body: bytes | None = None) -> httpx.Response:
    content = body if body is not None else request.body
    return httpx.request(request.method, request.url, headers=dict(request.headers), content=content, timeout=60)


def refused(answer: httpx.Response) -> bool:
    """Refused, and with nothing in the answer that a stranger may not know."""
    said = answer.text
    assert "arn:" not in said
    assert "Traceback" not in said
    assert "tripoint-" not in said
    return answer.status_code in (403, 404)


def test_nobody_gets_in_without_a_signature(deployment: Deployment) -> None:
    """PAY-08, PAY-13: an unsigned call is told no more than that there is no such path."""
    url = deployment.output("edge", REGION, "api_url")
    assert refused(httpx.post(f"{url}/payments", json=ORDER, headers={"Idempotency-Key": "k"}, timeout=60))
    assert refused(httpx.get(f"{url}/payments/pay_{'a' * 26}", timeout=60))
    assert refused(httpx.get(f"{url}/payments/pay_{'a' * 26}/payer", timeout=60))


def test_a_wrong_signature_is_refused(deployment: Deployment) -> None:
    """PAY-13: another secret, another region's signature, another body, an unknown key, an hour-old request."""
    url = deployment.output("edge", REGION, "api_url") + "/payments"
    ours = credentials(deployment)
    assert refused(send(signed(url, Credentials(ours.access_key, "wrong", ours.token))))
    assert refused(send(signed(url, ours, region="us-east-1")))
    body = json.dumps({**ORDER, "amount": 1}).encode()
    assert refused(send(signed(url, ours), body))
    assert refused(send(signed(url, Credentials("AKIAIOSFODNN7EXAMPLE", "x"))))
    old = signed(url, ours)
    hour_ago = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    old.headers.replace_header("X-Amz-Date", hour_ago.strftime("%Y%m%dT%H%M%SZ"))
    assert refused(send(old))


def test_a_replayed_request_is_the_same_payment(deployment: Deployment) -> None:
    """PAY-23: a signature holds for minutes, so a replay within them must do no harm: its key makes it one payment."""
    url = deployment.output("edge", REGION, "api_url") + "/payments"
    request = signed(url, credentials(deployment), key=f"replay-{uuid.uuid4()}")
    first, again = send(request), send(request)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["payment_id"] == again.json()["payment_id"]


def test_a_merchant_reaches_its_own_payments_only(deployment: Deployment) -> None:
    """PAY-13, PAY-22: in every region; another's payment is as good as none, and nobody pays in another's name."""
    key = f"own-{uuid.uuid4()}"
    payment_id = deployment.api(REGION).pay(key).json()["payment_id"]
    deployment.api(REGION).final(payment_id)
    for region in deployment.regions:
        other = deployment.api(region, "m-2")
        never = other.get(f"/payments/pay_{'a' * 26}")
        for path in (f"/payments/{payment_id}", f"/payments/{payment_id}/payer"):
            answer = other.get(path)
            assert (answer.status_code, answer.json()) == (404, never.json())
    assert deployment.api(REGION, "m-2").pay(f"theirs-{uuid.uuid4()}").status_code == 403


def test_a_principal_without_the_permission_is_refused(deployment: Deployment) -> None:
    """PAY-13: a role of the account with nothing granted, and a role of the platform's own."""
    iam, name = deployment.client("iam", REGION), f"stranger-{deployment.environment.suffix}"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    try:
        found = deployment.client("sts", REGION).assume_role(RoleArn=role, RoleSessionName="stranger")["Credentials"]
        stranger = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
        url = deployment.output("edge", REGION, "api_url")
        assert refused(send(signed(f"{url}/payments", stranger)))
        assert refused(send(signed(f"{url}/payments/pay_{'a' * 26}", stranger, method="GET")))
    finally:
        iam.delete_role(RoleName=name)


@pytest.mark.parametrize("path", ["/health"])
def test_the_health_check_is_open_and_says_nothing_else(deployment: Deployment, path: str) -> None:
    """PAY-08: one word for Route 53's checkers."""
    for region in deployment.regions:
        answer = httpx.get(deployment.output("edge", region, "api_url") + path, timeout=60)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_body_that_is_too_large_is_refused(deployment: Deployment) -> None:
    answer = deployment.api(REGION).pay(f"large-{uuid.uuid4()}", payer={"name": "x" * 200_000})
    assert answer.status_code in (400, 413)
    assert len(answer.content) < 2_000
