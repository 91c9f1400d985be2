"""Errors of the platform. Step Functions matches on the class name, so a name is a contract.

`TransientError`: the same call may succeed a moment later; the workflow retries it.
`FinalError`: repeating the call cannot help; the workflow records or compensates.
"""

from __future__ import annotations

import json
import re
from typing import Any

_LONG_DIGITS = re.compile(r"\d{12,}")
_SHOWN_CHARACTERS = 64


class PaymentError(Exception):
    """Base of everything this platform raises on purpose."""


class TransientError(PaymentError):
    """Worth another attempt after a pause."""


class FinalError(PaymentError):
    """Not worth another attempt."""


# -- transient -------------------------------------------------------------------------------


class LedgerThrottledError(TransientError):
    """DynamoDB asked for a slower pace."""


class LedgerUnavailableError(TransientError):
    """DynamoDB did not answer, or answered with a server error."""


class LedgerConflictError(TransientError):
    """Other writers were faster several times in a row."""


class ReplicaBehindError(TransientError):
    """This region's replica has not got yet what another region has written."""


class VaultUnavailableError(TransientError):
    """The vault did not take or give the payer, or asked for a slower pace."""


class ReceiptsUnavailableError(TransientError):
    """S3 or its key did not take the receipt."""


class WorkflowThrottledError(TransientError):
    """Step Functions asked for a slower pace."""


class WorkflowUnavailableError(TransientError):
    """Step Functions did not answer, or answered with a server error."""


class EventsUnavailableError(TransientError):
    """EventBridge did not take an event."""


class SecretUnavailableError(TransientError):
    """The processor's API key could not be read."""


class ProcessorUnavailableError(TransientError):
    """The card processor did not do what was asked: it was not reachable or not able."""


class ProcessorThrottledError(TransientError):
    """The card processor asked for a slower pace."""


class ProcessorTimeoutError(TransientError):
    """The card processor did not answer in time: what it did is unknown."""


# -- final -----------------------------------------------------------------------------------


class SettingsError(FinalError):
    """An environment variable is missing or has a value that is not allowed."""


class InvalidPaymentError(FinalError):
    """A field of a payment has a value that is not allowed.

    The value is shown shortened, and with long runs of digits masked: somebody may have put a
    card number where a token belongs.
    """

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field = field
        self.value = shown(value)
        self.allowed = allowed
        super().__init__(f"{field}: {self.value} is not allowed; allowed: {allowed}")


class PaymentNotFoundError(FinalError):
    """The ledger of this region has no such payment."""


class IdempotencyKeyReusedError(FinalError):
    """The same idempotency key came with another request."""


class PaymentClosedError(FinalError):
    """The payment already has a final state that excludes the step."""


class PaymentCompensatingError(FinalError):
    """Compensation of the payment has begun: it may not progress."""


class PaymentMovedError(FinalError):
    """The payment is another region's, or about to be: that one finishes it."""


class NoRegionLeftError(FinalError):
    """Every region of the failover order has had the payment."""


class TransitionNotAllowedError(FinalError):
    """A payment cannot go from its status to the one asked for."""


class CompensationNeededError(FinalError):
    """A failure cannot just be recorded: money may be held and must be released first."""


class CapturedElsewhereError(FinalError):
    """The money was captured, and this ledger does not know what followed: it may have been settled."""


class UndoneUnknownError(FinalError):
    """Undoing did not work, or failed before it was known whether there was anything to undo: the payment is left open,
    to be tried again."""


class PaymentDeclinedError(FinalError):
    """The card processor declined the authorization."""


class CaptureDeclinedError(FinalError):
    """The card processor declined to capture what it had authorized."""


class AuthorizationVoidedError(FinalError):
    """The authorization was voided before, so the processor does not authorize again."""


class AlreadyCapturedError(FinalError):
    """A captured payment cannot be voided: refund it. `reference` and `at` are the capture's, if they are told."""

    def __init__(self, message: str = "", *, reference: str = "", at: str = "") -> None:
        self.reference = reference
        self.at = at
        super().__init__(message)


class AlreadyRefundedError(FinalError):
    """The money was given back before: it is neither captured again nor voided."""


class NotCapturedError(FinalError):
    """A payment that was not captured cannot be refunded: void it."""


class ProcessorKeyConflictError(FinalError):
    """The processor knows the operation key with another amount, currency or payment method."""


class ProcessorRejectedError(FinalError):
    """The processor refused the request as malformed."""


def shown(value: Any) -> str:
    """A value as JSON for an error message, short and without anything like a card number."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError):
        text = json.dumps(type(value).__name__)
    text = _LONG_DIGITS.sub(lambda match: f"<{len(match.group())} digits>", text)
    if len(text) > _SHOWN_CHARACTERS:
        text = text[:_SHOWN_CHARACTERS] + "..."
    return text
