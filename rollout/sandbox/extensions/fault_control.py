"""Faults on request: `PUT`, `GET` and `DELETE /_ministack/faults` (see `rollout.sandbox.faults`).

No gap of the emulator's: AWS has AWS Fault Injection Service for this. Off until a drill asks, and no part of the
product knows of it.

Patched: `_handle_admin_config_request`.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.extensions import fault_functions, fault_replication
from rollout.sandbox.faults import CONTROL, Faults, FaultsRefusedError

PATH = "/_ministack/faults"


def apply() -> None:
    async def answer(original: Any, path: str, method: str, body: bytes) -> Any:
        if path != PATH or method not in ("GET", "PUT", "DELETE"):
            return await original(path, method, body)
        try:
            if method != "GET":
                _enforce(Faults.from_document(json.loads(body)) if method == "PUT" else Faults())
        except (ValueError, FaultsRefusedError) as error:
            return 400, {"Content-Type": "application/json"}, json.dumps({"message": str(error)}).encode()
        told = {"faults": CONTROL.faults.as_document(), "struck": dict(CONTROL.struck), **fault_replication.state()}
        return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()

    wrap(module("app"), "_handle_admin_config_request", answer)


def _enforce(faults: Faults) -> None:
    fault_replication.use_loop(asyncio.get_running_loop())
    went_down, _ = CONTROL.set(faults)
    for region in went_down:
        fault_functions.kill_workers(region)
    fault_replication.settle()
