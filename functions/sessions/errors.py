"""What the sessions table may answer."""

from __future__ import annotations

from functions.payments.errors import TransientError


class SessionsUnavailableError(TransientError):
    """The sessions table did not answer, or asked for a slower pace."""
