"""Requests to the sandbox count as made over TLS where policies ask for it.

Upstream: over plain HTTP `aws:SecureTransport` is false, so with IAM enforced a bucket that admits TLS only
refuses everything.

AWS: "`aws:SecureTransport`: whether the request was sent using TLS" ("AWS global condition context keys", IAM
User Guide). The endpoint here stands in for AWS's https endpoints, and its traffic never leaves the machine;
that the policies deny plain HTTP is asserted as configuration.

Patched: `_resolve_condition_key`.
"""

from __future__ import annotations

from typing import Any

from rollout.sandbox.emulator import module, wrap


def apply() -> None:
    def resolve(original: Any, key: str, context: Any) -> Any:
        return "true" if key.lower() == "aws:securetransport" else original(key, context)

    wrap(module("core.iam_evaluator"), "_resolve_condition_key", resolve)
