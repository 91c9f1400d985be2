"""Archiving the receipt of a captured payment."""

from __future__ import annotations

from dataclasses import replace

from functions.payments.model import Payment
from functions.payments.receipts import Receipts, receipt_body, receipt_key


def issue_receipt(payment: Payment, *, receipts: Receipts) -> Payment:
    """Keep a receipt; made again it is the same object, byte for byte."""
    key = receipt_key(payment)
    receipts.put(key, receipt_body(payment))
    return replace(payment, receipt_key=key)
