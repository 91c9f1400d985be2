"""Errors as the workflow's catches hand them on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from functions.payments.errors import CaptureDeclinedError, PaymentDeclinedError

_CODED = (PaymentDeclinedError.__name__, CaptureDeclinedError.__name__)


class Caught(NamedTuple):
    """What Step Functions tells of an error: its class name and its message."""

    name: str
    message: str = ""

    @property
    def reason(self) -> str:
        """Why, for the ledger and the merchant: a code, or the kind of error; no free text."""
        return self.message if self.name in _CODED and self.message else self.name


def caught(document: Mapping[str, object], name: str = "error") -> Caught | None:
    """The error a catch has left in a step's input under a name, if there is one.

    Its `Cause` is the JSON that Lambda makes of an exception, or plain text.
    """
    error = document.get(name)
    if not isinstance(error, Mapping):
        return None
    cause = error.get("Cause")
    try:
        details = json.loads(cause) if isinstance(cause, str) else {}
    except ValueError:
        details = {}
    message = details.get("errorMessage") if isinstance(details, dict) else None
    return Caught(str(error.get("Error", "Unknown")), str(message or ""))
