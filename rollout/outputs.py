"""Flat outputs: one JSON file with every deployed output, which tests and clients read (PAY-20)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rollout.state import DeployedStack
from shared.contracts import StackId
from shared.errors import TripointError


class OutputMissingError(TripointError):
    """An output that is needed is not deployed."""


def flatten(deployed: Iterable[DeployedStack]) -> dict[str, Any]:
    """``<stack>.<output>`` -> value, sorted by key."""
    flat = {f"{state.stack}.{name}": value for state in deployed for name, value in state.outputs.items()}
    return dict(sorted(flat.items()))


def render(flat: Mapping[str, Any]) -> str:
    return json.dumps(flat, indent=2, ensure_ascii=False) + "\n"


def write(path: Path, flat: Mapping[str, Any]) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(render(flat), encoding="utf-8")
    draft.replace(path)


def read(path: Path) -> dict[str, Any]:
    """What was written last; nothing where there is no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def of(flat: Mapping[str, Any], stacks: Iterable[StackId]) -> dict[str, Any]:
    """Those of some stacks."""
    names = {str(stack) for stack in stacks}
    return {key: value for key, value in flat.items() if key.rpartition(".")[0] in names}


def api_url(flat: Mapping[str, Any], region: str) -> str:
    """Where a region's API is.

    Raises
    ------
    OutputMissingError
        When the region's edge stack is not deployed.
    """
    url = flat.get(f"edge-{region}.api_url")
    if not isinstance(url, str) or not url:
        raise OutputMissingError(f"edge-{region} is not deployed, so its API has no address; run: tripoint rollout")
    return url.rstrip("/")
