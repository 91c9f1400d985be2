"""The client of the payment API and the smoke test, against an HTTP server on the loopback address."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from rollout import outputs, payments
from rollout.payments import Order, PaymentApi, PaymentError, Signature, act_as
from rollout.smoke import pairs, run_smoke
from rollout.target import Target
from shared.config import load
from shared.site import Site


class Api:
    """A payment API of all regions. Every payment goes through ``course``, one status a read."""

    def __init__(self) -> None:
        self.course = ["RECEIVED", "AUTHORIZED", "SETTLED"]
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: list[tuple[int, Any]] = []
        self.reads: dict[str, int] = {}
        self._numbers = count()  # requests come at once
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                outer.answer(self, outer.create)

            def do_GET(self) -> None:
                outer.answer(self, lambda body: outer.read(self.path))

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler, work: Any) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append((handler.command, handler.path, headers, body))
        code, said = self.answers.pop(0) if self.answers else work(body)
        text = json.dumps(said).encode()
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def create(self, body: Any) -> tuple[int, Any]:
        payment = f"p-{next(self._numbers)}"
        self.reads[payment] = 0
        return 202, {"payment_id": payment, "status": "RECEIVED"}

    def read(self, path: str) -> tuple[int, Any]:
        payment = path.rsplit("/", 1)[1]
        if payment not in self.reads:
            return 404, {}
        status = self.course[min(self.reads[payment], len(self.course) - 1)]
        self.reads[payment] += 1
        return (404, {}) if status == "UNKNOWN" else (200, {"payment_id": payment, "status": status})


def unsigned(url: str) -> PaymentApi:
    return PaymentApi(url, signature=None, local=True)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(payments, "_PAUSE_S", 0.01)
    found = Api()
    thread = threading.Thread(target=found.server.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_a_payment_is_sent_as_the_contract_says(api: Api) -> None:
    with unsigned(api.url + "/") as client:
        sent = client.send(Order(amount=5, currency="USD"), key="k-1")
    assert (sent.id, sent.status, sent.is_final) == ("p-0", "RECEIVED", False)
    [(method, path, headers, body)] = api.requests
    assert (method, path, headers["idempotency-key"]) == ("POST", "/payments", "k-1")
    assert body == {"amount": 5, "currency": "USD", "merchant_id": "m-1", "payment_method": "tok_visa"}


def test_transient_answers_are_tried_again_with_the_same_key(api: Api) -> None:
    api.answers = [(503, {}), (429, {})]
    with unsigned(api.url) as client:
        assert client.send(Order()).id == "p-0"
    assert len({headers["idempotency-key"] for _, _, headers, _ in api.requests}) == 1
    assert len(api.requests) == 3


def test_a_refusal_is_one_line_with_what_was_said(api: Api) -> None:
    api.answers = [(400, {"message": "amount: must be positive"})]
    with unsigned(api.url) as client, pytest.raises(PaymentError) as caught:
        client.send(Order())
    assert str(caught.value) == f'POST {api.url}/payments answered 400 {{"message": "amount: must be positive"}}'


def test_waiting_tells_every_status_once_until_the_final_one(api: Api) -> None:
    api.course = ["UNKNOWN", "RECEIVED", "RECEIVED", "DECLINED"]
    told: list[str] = []
    with unsigned(api.url) as client:
        final = client.wait(client.send(Order()).id, timeout_s=60, changed=told.append)
    assert final.status == "DECLINED"
    assert told == ["UNKNOWN", "RECEIVED", "DECLINED"]


def test_a_payment_that_never_ends_is_an_error_after_the_time(api: Api) -> None:
    api.course = ["RECEIVED"]
    with (
        unsigned(api.url) as client,
        pytest.raises(PaymentError, match=r"still RECEIVED after 0\.1 s"),
    ):
        client.wait(client.send(Order()).id, timeout_s=0.1)


def test_nobody_there_is_one_line(api: Api) -> None:
    with (
        unsigned("http://127.0.0.1:1") as client,
        pytest.raises(PaymentError, match="refused"),
    ):
        client.send(Order(), timeout_s=0.05)


def test_something_that_is_no_payment_is_named(api: Api) -> None:
    api.answers = [(202, ["?"])]
    with (
        unsigned(api.url) as client,
        pytest.raises(PaymentError, match=r"answered no payment: 202 \["),
    ):
        client.send(Order())


def test_every_region_pays_and_another_one_reads() -> None:
    assert pairs(["a", "b", "c"]) == [("a", "b"), ("b", "c"), ("c", "a")]


def test_smoke_is_good_when_every_payment_settles_elsewhere(api: Api) -> None:

    def connect(region: str) -> PaymentApi:
        return unsigned(f"{api.url}/{region}")

    said: list[str] = []
    results = run_smoke(["a", "b", "c"], order=Order(), connect=connect, say=said.append, timeout_s=60)
    assert [(result.region, result.read_from, result.ok) for result in results] == [
        ("a", "b", True), ("b", "c", True), ("c", "a", True),
    ]  # fmt: skip
    sent_to = {path.split("/")[1]: path for method, path, _, _ in api.requests if method == "POST"}
    assert sent_to == {region: f"/{region}/payments" for region in ("a", "b", "c")}
    for result in results:
        readers = {path.split("/")[1] for _, path, _, _ in api.requests if path.endswith(result.payment_id)}
        assert readers == {result.read_from}
    assert len(said) == 6


def test_smoke_is_bad_when_a_payment_ends_otherwise_or_a_region_is_missing(api: Api) -> None:
    api.course = ["DECLINED"]
    said: list[str] = []

    def connect(region: str) -> PaymentApi:
        return unsigned(outputs.api_url({"edge-a.api_url": api.url}, region))

    results = run_smoke(["a", "b"], order=Order(), connect=connect, say=said.append, timeout_s=60)
    assert [result.ok for result in results] == [False, False]
    assert "edge-b is not deployed" in results[0].error


def test_requests_are_signed_for_the_region_with_the_merchants_credentials(api: Api) -> None:
    """PAY-13: signature version 4 over the body too; the session token goes along."""
    credentials = Credentials("AKIDEXAMPLE", "secret", "token")
    with PaymentApi(api.url, signature=Signature(credentials, "eu-west-1"), local=True) as client:
        client.send(Order(), key="k-1")
    [(_, _, headers, body)] = api.requests
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-west-1/execute-api/aws4_request" in headers["authorization"]
    assert headers["x-amz-security-token"] == "token"
    assert "secret" not in str(headers)
    request = AWSRequest("POST", f"{api.url}/payments", data=json.dumps(body, separators=(",", ":")).encode())
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(signed.split(";"))


def test_a_merchant_that_is_not_configured_is_named_with_those_that_are() -> None:
    environment = load(Path("config/sandbox.toml"))
    with pytest.raises(PaymentError, match="merchant 'm-9' is not configured; allowed: m-1, m-2"):
        act_as("m-9", site=Site(environment, "us-east-1"), target=Target(environment))
