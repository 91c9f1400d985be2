"""Ids that follow from what they name, so that every repetition finds the same one."""

from __future__ import annotations

import base64
import json
import re

_ID_CHARACTERS = 26  # 130 bits: no collision within any number of payments that fits on Earth
_REGION_ITEM = "region#"
_PAYMENT_ID = re.compile(r"pay_[a-z2-7]{26}")
SHARDS = "abcdefghijklmnopqrstuvwxyz234567"


def payment_id(merchant_id: str, idempotency_key: str) -> str:
    """The payment that a merchant's idempotency key stands for, the same in every region.

    Neither part can hold a line feed (see `request`), so two pairs never join to one text.
    """
    return "pay_" + _short(f"{merchant_id}\n{idempotency_key}")


def is_payment_id(text: str) -> bool:
    """Whether a text could be a payment id; saves a read for one that cannot."""
    return _PAYMENT_ID.fullmatch(text) is not None


def shard(payment_id: str) -> str:
    """One of `SHARDS`, each as likely: an id ends in a character of its digest."""
    return payment_id[-1:]


def region_item_id(region: str) -> str:
    """The key of the payments table's item about a region: whether it is drained. No payment id."""
    return f"{_REGION_ITEM}{region}"


def heartbeat_item_id(region: str) -> str:
    """The key of the item by which a region shows that it is alive. Apart from the one above, which
    others write: in a global table the last writer wins the whole item."""
    return f"{_REGION_ITEM}{region}#heartbeat"


def is_region_item(text: str) -> bool:
    """Whether a key of the payments table is that of an item about a region."""
    return text.startswith(_REGION_ITEM)


def event_id(payment_id: str, *what: object) -> str:
    """The id of the event that tells `what` of a payment; stable over redeliveries."""
    return "evt_" + _short("\n".join((payment_id, *map(str, what))))


def request_hash(amount: int, currency: str, merchant_id: str, payment_method: str) -> str:
    """A digest by which a repeated request is told from another one under the same key.

    Without the payer: the digest is in the ledger of every region, and a name or an address is
    found from its digest by trying likely ones. So a repetition with another payer is the same
    payment, and the vault keeps the payer that came first.
    """
    return digest(json.dumps([amount, currency, merchant_id, payment_method])).hex()


def digest(text: str) -> bytes:
    """The SHA-256 digest of a text."""
    import hashlib  # loads OpenSSL, 3 ms; botocore needs it with the first client, some functions never

    return hashlib.sha256(text.encode()).digest()


def _short(text: str) -> str:
    return base64.b32encode(digest(text)).decode().lower()[:_ID_CHARACTERS]
