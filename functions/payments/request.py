"""What a merchant may ask for: a request is parsed completely or refused with the reason."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from functions.payments import ids
from functions.payments.errors import InvalidPaymentError
from functions.payments.model import Payment
from functions.payments.money import check_amount, check_currency
from functions.payments.vault import Payer

MAX_BODY_BYTES = 4096
FIELDS = ("amount", "currency", "merchant_id", "payment_method", "payer")

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_MERCHANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TOKEN = re.compile(r"tok_[A-Za-z0-9_-]{1,60}")
_CARD_NUMBER = re.compile(r"tok_(?:[_-]*\d){12,19}[_-]*")
_UNSEEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
# Compiled with the first payer, which takes 1 ms: not every request brings one.
_TEXT = rf"[^\s{_UNSEEN}](?:[^{_UNSEEN}]*[^\s{_UNSEEN}])?"
# As HTML's input of the type email (WHATWG), with a domain of two labels at least.
_EMAIL = (
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_MAX_EMAIL = 254  # RFC 5321, 4.5.3.1.3, without the angle brackets
_MAX_NAME = 140
_MAX_ADDRESS = 280

_LONGEST_FIELD = 64
_KEY_ALLOWED = "a header of 1 to 255 visible ASCII characters, sent once"
_OBJECT_ALLOWED = f"a JSON object with the fields {', '.join(FIELDS)} (that one if wanted)"


@dataclass(frozen=True)
class PaymentRequest:
    """A request that holds nothing but allowed values."""

    amount: int
    currency: str
    merchant_id: str
    payment_method: str
    idempotency_key: str
    payer: Payer | None = None

    def to_payment(self, *, region: str, at: str) -> Payment:
        """The payment this request stands for, received in `region`."""
        return Payment(
            payment_id=ids.payment_id(self.merchant_id, self.idempotency_key),
            merchant_id=self.merchant_id,
            amount=self.amount,
            currency=self.currency,
            payment_method=self.payment_method,
            home_region=region,
            regions_tried=(region,),
            created_at=at,
            updated_at=at,
            accepted_in=region,
            payer_region=region if self.payer else "",
            request_hash=ids.request_hash(self.amount, self.currency, self.merchant_id, self.payment_method),
        )


def parse(body: str | None, idempotency_keys: list[str]) -> PaymentRequest:
    """Read a body and the values of its `Idempotency-Key` header.

    Raises
    ------
    InvalidPaymentError
        Naming the field, its value and what is allowed.
    """
    key = idempotency_keys[0] if len(idempotency_keys) == 1 else None
    if key is None or not _KEY.fullmatch(key):
        refused = key if key is not None else (idempotency_keys or None)
        raise InvalidPaymentError("Idempotency-Key", refused, _KEY_ALLOWED)
    asked = _object(body)
    for name in asked:
        if name not in FIELDS:
            raise InvalidPaymentError(name, _kind(asked[name]), f"only {', '.join(FIELDS)}")
    return PaymentRequest(
        amount=check_amount(asked.get("amount")),
        currency=check_currency(asked.get("currency")),
        merchant_id=check_merchant(asked.get("merchant_id")),
        payment_method=check_token(asked.get("payment_method")),
        idempotency_key=key,
        payer=check_payer(asked["payer"]) if "payer" in asked else None,
    )


def check(payment: Payment) -> None:
    """Refuse a payment whose values no request could have had (a workflow started by hand)."""
    check_amount(payment.amount)
    check_currency(payment.currency)
    check_merchant(payment.merchant_id)
    check_token(payment.payment_method)


def check_merchant(value: object) -> str:
    """A merchant id, or InvalidPaymentError."""
    if isinstance(value, str) and _MERCHANT.fullmatch(value):
        return value
    allowed = "1 to 64 of A-Z a-z 0-9 _ . -, the first a letter or digit"
    raise InvalidPaymentError("merchant_id", value, allowed)


def check_token(value: object) -> str:
    """A token of the processor's vault, or InvalidPaymentError; a card number is no token."""
    if isinstance(value, str) and _TOKEN.fullmatch(value) and not _CARD_NUMBER.fullmatch(value):
        return value
    allowed = "a token: tok_ and 1 to 60 of A-Z a-z 0-9 _ -, never a card number"
    raise InvalidPaymentError("payment_method", value, allowed)


def check_payer(value: object) -> Payer:
    """A payer with one of its fields at least, or InvalidPaymentError, which quotes no value:
    whatever came in may be personal."""
    names = tuple(field.name for field in fields(Payer))
    if not isinstance(value, Mapping) or not value:
        raise InvalidPaymentError("payer", _kind(value), f"an object with some of {', '.join(names)}")
    for name in value:
        if name not in names:
            raise InvalidPaymentError(f"payer.{name}"[:_LONGEST_FIELD], _kind(value[name]), f"only {', '.join(names)}")
    return Payer(**{name: _check_personal(name, value[name]) for name in value})


def _check_personal(name: str, value: object) -> str:
    if name == "email":
        good = isinstance(value, str) and len(value) <= _MAX_EMAIL and re.fullmatch(_EMAIL, value)
        allowed = f"an e-mail address of at most {_MAX_EMAIL} characters"
    else:
        limit = {"name": _MAX_NAME, "address": _MAX_ADDRESS}[name]
        good = isinstance(value, str) and len(value) <= limit and re.fullmatch(_TEXT, value)
        allowed = f"1 to {limit} characters on one line, no space at either end"
    if not good:
        raise InvalidPaymentError(f"payer.{name}", _kind(value), allowed)
    return str(value)


def _kind(value: object) -> str:
    return f"a string of {len(value)} characters" if isinstance(value, str) else f"a {type(value).__name__}"


def _object(body: str | None) -> Mapping[str, Any]:
    if not body:
        raise InvalidPaymentError("body", body, _OBJECT_ALLOWED)
    if len(body.encode(errors="replace")) > MAX_BODY_BYTES:
        raise InvalidPaymentError("body", f"{len(body)} characters", f"{MAX_BODY_BYTES} bytes")
    try:
        document = json.loads(body, object_pairs_hook=_once_each)
    except (ValueError, RecursionError):
        raise InvalidPaymentError("body", _kind(body), _OBJECT_ALLOWED) from None
    if not isinstance(document, dict):
        raise InvalidPaymentError("body", document, _OBJECT_ALLOWED)
    return document


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # JSON leaves open which of two equal names counts; two amounts in one request must not.
    once: dict[str, Any] = {}
    for name, value in pairs:
        if name in once:
            raise InvalidPaymentError(name, "given twice", "each field once")
        once[name] = value
    return once
