"""Encryption in transit, as resource policies ask for it (PAY-19)."""

from __future__ import annotations

from collections.abc import Sequence


def tls_only(actions: str | Sequence[str], resources: str | Sequence[str]) -> dict[str, object]:
    """Nobody, the account's own administrators included, does this to these resources without TLS."""
    return {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": actions,
        "Resource": resources,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
