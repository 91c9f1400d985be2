"""A client of the deployed payment API."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from rollout.outputs import api_url
from rollout.project import Project
from rollout.target import Target, one_line
from shared.errors import TripointError
from shared.site import PARTITION, Site

FINAL = ("SETTLED", "DECLINED", "FAILED", "REFUNDED")

_REQUEST_TIMEOUT_S = 30.0
_PAUSE_S = 0.4
# Answers that say "not now": throttled, or something between us and the function isn't ready.
_TRANSIENT = (429, 500, 502, 503, 504)


class PaymentError(TripointError):
    """A payment couldn't be sent, or didn't come to an end in time."""


@dataclass(frozen=True)
class Payment:
    """A payment as the API answers it. ``body`` is the whole answer."""

    id: str
    status: str
    body: dict[str, Any]

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be paid: ``amount`` in the currency's minor unit, an ISO 4217 ``currency``."""

    amount: int = 1299
    currency: str = "EUR"
    merchant_id: str = "m-1"
    payment_method: str = "tok_visa"


class Signature(httpx.Auth):
    """Signs requests to an API of one region with signature version 4, as a merchant."""

    requires_request_body = True

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._signer = SigV4Auth(credentials, "execute-api", region)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        signed = AWSRequest(request.method, str(request.url), data=request.content)
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers))
        yield request


def act_as(merchant: str, *, site: Site, target: Target) -> Credentials:
    """Temporary credentials of a merchant's role.

    Raises
    ------
    PaymentError
        When the environment has no such merchant, or the role may not be assumed.
    """
    merchants = site.environment.merchants
    if merchant not in merchants:
        allowed = ", ".join(merchants) or "none; add [merchants.<id>] to the configuration"
        raise PaymentError(f"merchant {merchant!r} is not configured; allowed: {allowed}")
    role = f"arn:{PARTITION}:iam::{site.account_id}:role/{site.merchant_role_name(merchant)}"
    external = merchants[merchant].external_id
    try:
        found = target.client("sts", site.region).assume_role(
            RoleArn=role, RoleSessionName="tripoint", **({"ExternalId": external} if external else {})
        )["Credentials"]
    except (BotoCoreError, ClientError) as error:
        raise PaymentError(f"merchant {merchant!r}: {one_line(error)}") from error
    return Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])


class PaymentApi:
    """One region's API.

    Parameters
    ----------
    url
        Its address, without a trailing slash.
    signature
        As whom requests are signed.
    local
        Whether it is the sandbox's: then no proxy is used.
    """

    def __init__(self, url: str, *, signature: httpx.Auth | None, local: bool) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(timeout=_REQUEST_TIMEOUT_S, trust_env=not local, auth=signature)

    @classmethod
    def of(cls, flat: Mapping[str, Any], region: str, *, project: Project, merchant: str) -> PaymentApi:
        """A deployed region's API, by the flat outputs, for a merchant."""
        url, site = api_url(flat, region), Site(project.environment, region)
        signature = Signature(act_as(merchant, site=site, target=project.target), region)
        return cls(url, signature=signature, local=project.environment.is_sandbox)

    def __enter__(self) -> PaymentApi:
        return self

    def __exit__(self, *error: object) -> None:
        self._http.close()

    def send(self, order: Order, *, key: str | None = None, timeout_s: float = 60.0) -> Payment:
        """Send a payment. Tried again while the answer is transient: the idempotency key keeps it one payment."""
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        body = {
            "amount": order.amount,
            "currency": order.currency,
            "merchant_id": order.merchant_id,
            "payment_method": order.payment_method,
        }
        answer = self._patiently("POST", "/payments", timeout_s, headers=headers, json=body)
        if answer.status_code != httpx.codes.ACCEPTED:
            raise PaymentError(f"POST {self.url}/payments answered {_said(answer)}")
        return self._payment(answer)

    def read(self, payment_id: str, *, timeout_s: float = 60.0) -> Payment | None:
        """A payment as this region knows it; None when it doesn't (yet)."""
        answer = self._patiently("GET", f"/payments/{payment_id}", timeout_s)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.status_code != httpx.codes.OK:
            raise PaymentError(f"GET {self.url}/payments/{payment_id} answered {_said(answer)}")
        return self._payment(answer)

    def wait(
        self, payment_id: str, *, timeout_s: float, changed: Callable[[str], None] = lambda status: None
    ) -> Payment:
        """Read a payment until its status is final.

        Parameters
        ----------
        changed
            Told of every new status; ``UNKNOWN`` while this region doesn't have the payment.

        Raises
        ------
        PaymentError
            When it isn't final in time.
        """
        deadline = time.monotonic() + timeout_s
        last = ""
        while True:
            payment = self.read(payment_id, timeout_s=max(1.0, deadline - time.monotonic()))
            status = payment.status if payment else "UNKNOWN"
            if status != last:
                changed(status)
                last = status
            if payment is not None and payment.is_final:
                return payment
            if time.monotonic() > deadline:
                raise PaymentError(f"payment {payment_id} is still {status} after {timeout_s:g} s")
            time.sleep(_PAUSE_S)

    def _patiently(self, method: str, path: str, timeout_s: float, **arguments: Any) -> httpx.Response:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                answer = self._http.request(method, self.url + path, **arguments)
            except httpx.HTTPError as error:
                if time.monotonic() > deadline or isinstance(error, httpx.UnsupportedProtocol):
                    raise PaymentError(f"{method} {self.url}{path}: {error or type(error).__name__}") from error
            else:
                if answer.status_code not in _TRANSIENT or time.monotonic() > deadline:
                    return answer
            time.sleep(_PAUSE_S)

    def _payment(self, answer: httpx.Response) -> Payment:
        try:
            body = answer.json()
            return Payment(str(body["payment_id"]), str(body["status"]), body)
        except (ValueError, KeyError, TypeError) as error:
            raise PaymentError(f"{self.url} answered no payment: {_said(answer)}") from error


def _said(answer: httpx.Response) -> str:
    return f"{answer.status_code} {' '.join(answer.text.split())[:300]}".rstrip()
