"""The two ways in which a command can end badly, and their exit codes."""

from __future__ import annotations

from typing import ClassVar


class TripointError(Exception):
    """An operation failed. The message is one line that a person can act on."""

    exit_code: ClassVar[int] = 1


class UsageError(TripointError):
    """The input is wrong: a configuration, an option, a name. Nothing was touched."""

    exit_code: ClassVar[int] = 2
