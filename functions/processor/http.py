"""The adapter to a card processor over HTTPS, with nothing but the standard library.

`POST {url}/payments/{payment_id}/{operation}` with `Idempotency-Key`, `Authorization: Bearer` and
`{"amount", "currency", "payment_method", "accepted_in", "region", "epoch"}`; 2xx answers `{"reference",
"at"}` (`at`: UTC, ISO 8601). Another answer is an error: 402 declined (`{"reason"}`), 408 and 504
outcome unknown, 409 a conflict named by `{"code"}`, 429 too fast, 5xx unavailable; everything else is a
request that will never be accepted. With the code `held_elsewhere` comes `held`: the fields above, of
the charge that holds the payment.
"""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from functions.payments.errors import (
    AlreadyCapturedError,
    AlreadyRefundedError,
    AuthorizationVoidedError,
    CaptureDeclinedError,
    NotCapturedError,
    PaymentDeclinedError,
    PaymentError,
    ProcessorKeyConflictError,
    ProcessorRejectedError,
    ProcessorThrottledError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
    SettingsError,
)
from functions.processor.protocol import Charge, HeldElsewhereError, Operation, Outcome

_LARGEST_ANSWER = 65_536
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]{5,16}(Z|[+]00:00)")
_REASON = re.compile(r"[a-z0-9_]{1,64}")
_CHARGE = ("amount", "currency", "payment_method", "accepted_in", "region", "epoch")
_CONFLICTS: dict[str, type[PaymentError]] = {
    "already_captured": AlreadyCapturedError,
    "already_refunded": AlreadyRefundedError,
    "authorization_voided": AuthorizationVoidedError,
    "key_conflict": ProcessorKeyConflictError,
    "not_captured": NotCapturedError,
}


class HttpCardProcessor:
    """See `protocol.CardProcessor` for the operations and their errors.

    Parameters
    ----------
    url
        Base URL; https, or http on the loopback address.
    api_key
        Gives the key; asked for at first use and again after the processor refused it.
    timeout_ms
        Longest wait for the connection, and again for each part of the answer.
    """

    def __init__(self, url: str, api_key: Callable[[], str], timeout_ms: int) -> None:
        parts = urlsplit(url)
        loopback = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or loopback):
            raise SettingsError(f"PROCESSOR_URL: {url!r} is not allowed; allowed: an https URL")
        self._parts = parts
        self._api_key = api_key
        self._known_key: str | None = None
        self._timeout_s = timeout_ms / 1000
        self._connection: http.client.HTTPConnection | None = None

    def authorize(self, charge: Charge, *, key: str) -> Outcome:
        """Reserve the money."""
        return self._post(Operation.AUTHORIZE, charge, key)

    def capture(self, charge: Charge, *, key: str) -> Outcome:
        """Take the reserved money."""
        return self._post(Operation.CAPTURE, charge, key)

    def void(self, charge: Charge, *, key: str) -> Outcome:
        """Release the reservation, or forbid one that may still come."""
        return self._post(Operation.VOID, charge, key)

    def refund(self, charge: Charge, *, key: str) -> Outcome:
        """Give captured money back."""
        return self._post(Operation.REFUND, charge, key)

    def _post(self, operation: Operation, charge: Charge, key: str) -> Outcome:
        if self._known_key is None:
            self._known_key = self._api_key()
        status, answer = self._exchange(
            f"{self._parts.path.rstrip('/')}/payments/{charge.payment_id}/{operation}",
            json.dumps(
                {
                    "amount": charge.amount,
                    "currency": charge.currency,
                    "payment_method": charge.payment_method,
                    "accepted_in": charge.accepted_in,
                    "region": charge.region,
                    "epoch": charge.epoch,
                }
            ),
            {
                "Authorization": f"Bearer {self._known_key}",
                "Content-Type": "application/json",
                "Idempotency-Key": key,
            },
        )
        if 200 <= status < 300:
            outcome = _outcome(answer)
            if outcome is not None:
                return outcome
            raise ProcessorTimeoutError(f"{operation}: {status} without a reference and a time")
        if status == 401:  # the key may have been rotated: the next attempt reads it again
            self._known_key = None
        if status == 409 and answer.get("code") == "held_elsewhere":
            raise _held_elsewhere(charge, answer.get("held"))
        raise _error(operation, status, answer)

    def _exchange(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        reused = self._connection is not None
        try:
            return self._send(path, body, headers)
        except ConnectionError as error:
            self._close()
            if not reused:
                refused = isinstance(error, ConnectionRefusedError)
                kind = ProcessorUnavailableError if refused else ProcessorTimeoutError
                raise kind(type(error).__name__) from error
        # The other side had closed an idle connection. The key makes one more attempt harmless.
        return self._exchange(path, body, headers)

    def _send(self, path: str, body: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request("POST", path, body, headers)
            response = self._connection.getresponse()
            content = response.read(_LARGEST_ANSWER)
            if response.will_close or not response.isclosed():
                self._close()
        except ConnectionError:
            raise
        except TimeoutError as error:
            self._close()
            raise ProcessorTimeoutError("no answer in time") from error
        except http.client.HTTPException as error:  # an answer, but cut short
            self._close()
            raise ProcessorTimeoutError(type(error).__name__) from error
        except OSError as error:  # no such host, no trust
            self._close()
            raise ProcessorUnavailableError(type(error).__name__) from error
        try:
            answer = json.loads(content)
        except ValueError:
            answer = {}
        return response.status, answer if isinstance(answer, dict) else {}

    def _connect(self) -> http.client.HTTPConnection:
        host = self._parts.hostname or ""
        if self._parts.scheme == "http":
            return http.client.HTTPConnection(host, self._parts.port, timeout=self._timeout_s)
        return http.client.HTTPSConnection(host, self._parts.port, timeout=self._timeout_s)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _outcome(answer: dict[str, Any]) -> Outcome | None:
    reference, at = answer.get("reference"), answer.get("at")
    if isinstance(reference, str) and reference and isinstance(at, str) and _TIME.fullmatch(at):
        return Outcome(reference, at)
    return None


def _held_elsewhere(charge: Charge, held: object) -> PaymentError:
    """Who holds the payment; what does not say so completely is an answer that cannot be acted on."""
    if isinstance(held, dict):
        texts = [held.get(name) for name in ("currency", "payment_method", "accepted_in", "region")]
        numbers = [held.get(name) for name in ("amount", "epoch")]
        known = all(isinstance(one, str) and one for one in texts)
        if known and all(type(one) is int and one > 0 for one in numbers):
            return HeldElsewhereError(Charge(charge.payment_id, **{name: held[name] for name in _CHARGE}))
    return ProcessorTimeoutError("held_elsewhere: without the charge that holds")


def _error(operation: Operation, status: int, answer: dict[str, Any]) -> PaymentError:
    if status == 402:
        declined = CaptureDeclinedError if operation is Operation.CAPTURE else PaymentDeclinedError
        reason = answer.get("reason")
        # Free text could hold anything; only a code is recorded and passed on.
        known = isinstance(reason, str) and _REASON.fullmatch(reason)
        return declined(reason if known else "card_declined")
    if status in (408, 504):
        return ProcessorTimeoutError(f"{operation}: {status}")
    if status == 409 and answer.get("code") in _CONFLICTS:
        error = _CONFLICTS[answer["code"]](f"{operation}: {answer['code']}")
        capture = _outcome(answer)
        if isinstance(error, AlreadyCapturedError) and capture is not None:
            error.reference, error.at = capture
        return error
    if status == 429:
        return ProcessorThrottledError(f"{operation}: {status}")
    if status >= 500 or status == 401:
        return ProcessorUnavailableError(f"{operation}: {status}")
    return ProcessorRejectedError(f"{operation}: {status}")
