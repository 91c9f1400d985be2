"""Access to the emulator's modules.

They have no type information and are imported late: importing them reads the environment.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def module(name: str) -> Any:
    """A module of MiniStack: `app`, `core.responses`, `services.dynamodb`, ..."""
    return import_module(f"ministack.{name}")
