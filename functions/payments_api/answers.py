"""What the API answers: bodies, headers, and which error is which status."""

from __future__ import annotations

from typing import Any

from functions.payments import gateway
from functions.payments.errors import (
    FinalError,
    IdempotencyKeyReusedError,
    InvalidPaymentError,
    PaymentNotFoundError,
    TransientError,
)
from functions.payments.gateway import Answer
from functions.payments.model import Payment
from functions.payments.telemetry import logger
from functions.payments.vault import Payer
from functions.payments_api import HEADERS
from functions.payments_api.caller import ForeignMerchantError, NotAMerchantError
from functions.payments_api.logic import Health, PayerElsewhereError

_RETRY_AFTER_SECONDS = 1


def answer(status: int, body: dict[str, Any], **headers: str) -> Answer:
    """A JSON answer; nothing of it may be cached on the way."""
    return gateway.answer(status, body, HEADERS | headers)


def accepted(payment: Payment) -> Answer:
    """202: the payment is written down and being worked on.

    `Location` is relative (RFC 9110, 10.2.2) to `.../payments`: right behind a stage name, a
    base path or a custom domain alike.
    """
    body = {"payment_id": payment.payment_id, "status": str(payment.status)}
    return answer(202, body, Location=f"./payments/{payment.payment_id}")


def found(payment: Payment) -> Answer:
    """200: how a payment stands."""
    body: dict[str, Any] = {
        "payment_id": payment.payment_id,
        "status": str(payment.status),
        "amount": payment.amount,
        "currency": payment.currency,
        "merchant_id": payment.merchant_id,
        "region": payment.home_region,
        "created_at": payment.created_at,
        "updated_at": payment.updated_at,
    }
    if payment.reason:
        body["reason"] = payment.reason
    return answer(200, body)


def payer(payment_id: str, found: Payer) -> Answer:
    """200: who pays."""
    return answer(200, {"payment_id": payment_id, "payer": found.to_document()})


def health(state: Health) -> Answer:
    """200 or 503: whether traffic should come to this region."""
    return answer(200 if state is Health.OK else 503, {"status": str(state)})


def refused(error: InvalidPaymentError) -> Answer:
    """400: which field, which value, and what is allowed."""
    return _error(
        400,
        "invalid_request",
        str(error),
        field=error.field,
        value=error.value,
        allowed=error.allowed,
    )


def failed(error: Exception) -> Answer:
    """The answer to any other error; what is not ours to tell stays in the log."""
    if isinstance(error, PayerElsewhereError):
        return _error(404, "not_found", str(error), region=error.region)
    if isinstance(error, NotAMerchantError | ForeignMerchantError):
        return _error(403, "forbidden", str(error))
    if isinstance(error, PaymentNotFoundError):
        return _error(404, "not_found", str(error))
    if isinstance(error, IdempotencyKeyReusedError):
        return _error(409, "idempotency_key_reused", str(error))
    if isinstance(error, TransientError):
        logger.warning("downstream is not able", error=type(error).__name__, detail=str(error))
        error_body = _body("try_again", "the same request again will do no harm")
        return answer(503, error_body, **{"Retry-After": str(_RETRY_AFTER_SECONDS)})
    level = logger.error if isinstance(error, FinalError) else logger.exception
    level("request failed")
    return _error(500, "internal", "the request failed; the same request again does no harm")


def _error(status: int, code: str, message: str, **more: str) -> Answer:
    return answer(status, _body(code, message, **more))


def _body(code: str, message: str, **more: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message} | more}
