"""What Terraform has made, as its machine-readable output (`-json`) tells, however abruptly that ends."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from rollout.terraform import MALFORMED, crashed, describe, unanswered


@dataclass(frozen=True)
class Creation:
    """A resource that was made, or was being made.

    Attributes
    ----------
    address, type
        As Terraform calls it.
    id
        What the provider calls it; None when the end came before anybody said so: it may be there or not.
    """

    address: str
    type: str
    id: str | None = None


def creations(lines: Iterable[str]) -> dict[str, Creation]:
    """What was made, by address, from the output of one or several runs, one after the other."""
    found: dict[str, Creation] = {}
    refused: set[str] = set()
    for line in lines:
        # What else stands there, a message that nobody documents or half a line, tells nothing of resources.
        with suppress(*MALFORMED, RecursionError):
            _read(json.loads(line), found, refused)
    # What AWS refused to make is not there, or is somebody else's.
    return {address: made for address, made in found.items() if made.id or address not in refused}


def _read(message: Mapping[str, Any], found: dict[str, Creation], refused: set[str]) -> None:
    """Take in one message."""
    hook = message.get("hook") or {}
    resource = hook.get("resource") or {}
    address, kind = str(resource.get("addr", "")), message.get("type")
    if kind == "diagnostic":
        diagnostic = message["diagnostic"]
        text = "\n".join(describe(diagnostic))
        if diagnostic.get("severity") == "error" and not crashed(text) and not unanswered(text):
            refused.add(str(diagnostic.get("address") or ""))
    elif kind == "apply_start" and hook.get("action") == "create":
        found[address] = Creation(address, str(resource.get("resource_type", "")))
        refused.discard(address)
    elif kind == "apply_complete" and hook.get("action") == "create" and address in found:
        found[address] = Creation(address, found[address].type, str(hook.get("id_value") or "") or None)
    elif kind == "apply_complete" and hook.get("action") == "delete":
        found.pop(address, None)
