"""What amount and what currency may be: of a payment, and of a line of a settlement file."""

from __future__ import annotations

from functions.payments.currencies import CURRENCIES
from functions.payments.errors import InvalidPaymentError

MAX_AMOUNT = 999_999_999_999  # twelve digits: field 4 (amount, transaction) of ISO 8583


def check_amount(value: object) -> int:
    """An amount in minor units, or InvalidPaymentError."""
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_AMOUNT:
        return value
    allowed = f"an integer from 1 to {MAX_AMOUNT}, in the currency's minor unit"
    raise InvalidPaymentError("amount", value, allowed)


def check_currency(value: object) -> str:
    """A currency code, or InvalidPaymentError."""
    if isinstance(value, str) and value in CURRENCIES:
        return value
    raise InvalidPaymentError("currency", value, "an ISO 4217 code such as EUR")
