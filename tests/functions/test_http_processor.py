"""The adapter to a card processor over HTTP, against a real server on the loopback address."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from functions.payments.errors import (
    AlreadyCapturedError,
    AlreadyRefundedError,
    AuthorizationVoidedError,
    CaptureDeclinedError,
    NotCapturedError,
    PaymentDeclinedError,
    ProcessorKeyConflictError,
    ProcessorRejectedError,
    ProcessorThrottledError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
    SettingsError,
)
from functions.processor.connect import connect
from functions.processor.http import HttpCardProcessor
from functions.processor.protocol import Charge, HeldElsewhereError, Outcome
from functions.processor.settings import ProcessorSettings
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION

CHARGE = Charge("pay_1", 1299, "EUR", "tok_visa", accepted_in="eu-west-1", region="us-east-1", epoch=2)
GOOD = {"reference": "auth_1", "at": "2025-03-01T12:00:00.000Z"}


class Server(ThreadingHTTPServer):
    """Answers what it is told to, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.status, self.answer = 200, json.dumps(GOOD).encode()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.hang_up_after_each = False
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/"

    def handle_error(self, *_: Any) -> None:
        """Who has asked may have gone. Said on stderr, it would be another test's."""


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers), json.loads(content)))
        self.server.may_answer.wait(60)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)
        # Without a word of warning, as an idle connection ends.
        self.close_connection = self.server.hang_up_after_each

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.may_answer.set()
        running.shutdown()


def a_processor(server: Server, timeout_ms: int = 60_000) -> HttpCardProcessor:
    return HttpCardProcessor(server.url, lambda: "secret", timeout_ms)


def test_an_operation_carries_its_key_and_says_no_more_than_needed(server: Server) -> None:
    """PAY-18, PAY-22."""
    assert a_processor(server).authorize(CHARGE, key="pay_1:authorize") == Outcome(**GOOD)
    path, headers, body = server.asked[0]
    assert path == "/v1/payments/pay_1/authorize"
    assert headers["Idempotency-Key"] == "pay_1:authorize"
    assert headers["Authorization"] == "Bearer secret"
    assert body == {
        "amount": 1299,
        "currency": "EUR",
        "payment_method": "tok_visa",
        "accepted_in": "eu-west-1",
        "region": "us-east-1",
        "epoch": 2,
    }


HELD = {"amount": 7, "currency": "USD", "payment_method": "tok_b", "accepted_in": "a", "region": "b", "epoch": 3}


def test_a_payment_that_another_region_holds_is_told_with_what_counts(server: Server) -> None:
    """PAY-23."""
    server.status = 409
    server.answer = json.dumps({"code": "held_elsewhere", "held": HELD}).encode()
    with pytest.raises(HeldElsewhereError) as refused:
        a_processor(server).void(CHARGE, key="key")
    assert refused.value.held == Charge("pay_1", 7, "USD", "tok_b", accepted_in="a", region="b", epoch=3)


@pytest.mark.parametrize("held", [None, {}, HELD | {"epoch": "3"}, HELD | {"region": ""}, HELD | {"amount": True}])
def test_a_holder_that_is_not_told_completely_is_asked_for_again(server: Server, held: object) -> None:
    """PAY-23: nothing is left to a region that nobody has named."""
    server.status = 409
    server.answer = json.dumps({"code": "held_elsewhere", "held": held}).encode()
    with pytest.raises(ProcessorTimeoutError):
        a_processor(server).authorize(CHARGE, key="key")


@pytest.mark.parametrize("at", ["yesterday", "2025-03-01", "20250301T120000Z", "2025-03-01T12:00:00+05:00", 7])
def test_a_time_that_is_none_is_an_answer_that_cannot_be_acted_on(server: Server, at: object) -> None:
    """PAY-11: the receipt's key begins with the day of the capture."""
    server.answer = json.dumps(GOOD | {"at": at}).encode()
    with pytest.raises(ProcessorTimeoutError):
        a_processor(server).capture(CHARGE, key="key")


@pytest.mark.parametrize("capture", [{"reference": "cap_1", "at": "2025-03-01T12:00:00.000Z"}, {"at": "soon"}])
def test_who_may_not_void_a_capture_is_told_which_one(server: Server, capture: dict[str, str]) -> None:
    """PAY-23: its own answer may have been lost."""
    server.status, server.answer = 409, json.dumps({"code": "already_captured"} | capture).encode()
    with pytest.raises(AlreadyCapturedError) as told:
        a_processor(server).void(CHARGE, key="key")
    known = "reference" in capture
    assert (told.value.reference, told.value.at) == ((capture["reference"], capture["at"]) if known else ("", ""))


@pytest.mark.parametrize("operation", ["authorize", "capture", "void", "refund"])
@pytest.mark.parametrize(
    ("status", "answer", "error"),
    [
        (408, {}, ProcessorTimeoutError),
        (504, {}, ProcessorTimeoutError),
        (200, {}, ProcessorTimeoutError),
        (429, {}, ProcessorThrottledError),
        (500, {}, ProcessorUnavailableError),
        (503, {}, ProcessorUnavailableError),
        (401, {}, ProcessorUnavailableError),
        (400, {}, ProcessorRejectedError),
        (302, {}, ProcessorRejectedError),
        (409, {}, ProcessorRejectedError),
        (409, {"code": "already_captured"}, AlreadyCapturedError),
        (409, {"code": "already_refunded"}, AlreadyRefundedError),
        (409, {"code": "not_captured"}, NotCapturedError),
        (409, {"code": "key_conflict"}, ProcessorKeyConflictError),
        (409, {"code": "authorization_voided"}, AuthorizationVoidedError),
    ],
)
def test_every_answer_has_its_error(
    server: Server, operation: str, status: int, answer: dict[str, Any], error: type[Exception]
) -> None:
    """PAY-04."""
    server.status, server.answer = status, json.dumps(answer).encode()
    with pytest.raises(error):
        getattr(a_processor(server), operation)(CHARGE, key="key")


def test_a_decline_is_told_by_a_code_and_never_by_free_text(server: Server) -> None:
    """PAY-22."""
    server.status, server.answer = 402, b'{"reason": "insufficient_funds"}'
    with pytest.raises(PaymentDeclinedError, match=r"^insufficient_funds$"):
        a_processor(server).authorize(CHARGE, key="key")
    server.answer = b'{"reason": "Ada Lovelace has no money"}'
    with pytest.raises(CaptureDeclinedError, match=r"^card_declined$"):
        a_processor(server).capture(CHARGE, key="key")
    with pytest.raises(PaymentDeclinedError):  # there was nothing to void
        a_processor(server).void(CHARGE, key="key")


def test_no_answer_in_time_leaves_the_outcome_unknown(server: Server) -> None:
    server.may_answer.clear()
    with pytest.raises(ProcessorTimeoutError):
        a_processor(server, timeout_ms=100).capture(CHARGE, key="key")


def test_nobody_listening_means_nothing_was_done() -> None:
    with Server() as server:
        processor = a_processor(server)
    with pytest.raises(ProcessorUnavailableError):
        processor.capture(CHARGE, key="key")


def test_an_answer_that_is_no_json_is_no_success(server: Server) -> None:
    server.answer = b"<html>"
    with pytest.raises(ProcessorTimeoutError):
        a_processor(server).capture(CHARGE, key="key")


def test_a_connection_is_used_again(server: Server) -> None:
    processor = a_processor(server)
    for _ in range(3):
        processor.void(CHARGE, key="key")
    assert server.connections == 1


def test_a_connection_that_was_closed_while_idle_costs_no_payment(server: Server) -> None:
    server.hang_up_after_each = True
    processor = a_processor(server)
    for _ in range(3):
        assert processor.void(CHARGE, key="key") == Outcome(**GOOD)
    assert server.connections == 3


def test_a_refused_api_key_is_read_again(server: Server) -> None:
    """PAY-18: after a rotation the next attempt has the new key."""
    keys = iter(["old", "new"])
    processor = HttpCardProcessor(server.url, lambda: next(keys), 60_000)
    server.status = 401
    with pytest.raises(ProcessorUnavailableError):
        processor.void(CHARGE, key="key")
    server.status = 200
    processor.void(CHARGE, key="key")
    processor.void(CHARGE, key="key")
    assert [headers["Authorization"] for _, headers, _ in server.asked] == ["Bearer old", "Bearer new", "Bearer new"]


@pytest.mark.parametrize("url", ["http://processor.example", "ftp://x", "processor.example", "https://", ""])
def test_a_url_without_tls_is_refused(url: str) -> None:
    """PAY-19."""
    with pytest.raises(SettingsError, match="PROCESSOR_URL"):
        HttpCardProcessor(url, lambda: "secret", 1000)


def test_the_api_key_comes_from_secrets_manager_at_first_use(cloud: Cloud, server: Server) -> None:
    """PAY-18."""
    settings = ProcessorSettings(
        aws_region=REGION, processor_kind="http", processor_url=server.url, processor_secret_id="processor-key"
    )
    processor = connect(settings)  # there is no such secret yet: nothing is read here
    cloud.client("secretsmanager").create_secret(Name="processor-key", SecretString="from-the-vault\n")
    processor.void(CHARGE, key="key")
    assert server.asked[0][1]["Authorization"] == "Bearer from-the-vault"
