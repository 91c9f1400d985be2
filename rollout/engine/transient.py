"""Errors that pass by themselves, and how long to wait for that.

Only what is known to pass is tried again: a retry of anything else hides a fault and costs minutes. Terraform's AWS
provider retries throttling itself, 25 times; what gets here outlasted that, or befell a call that it doesn't retry.
What was made before the error is in the state, and what was being made when an answer was lost is looked for, so a
second apply goes on where the first one ended. A lock that somebody holds and a provider that crashed are not among
these errors.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from rollout.terraform import AWS_ERROR, CONNECTION_LOST, NO_ANSWER, TerraformError, describe

RETRIES = 3
FIRST_WAIT_S = 5.0
LONGEST_WAIT_S = 60.0

# Pattern -> what it is, for people. AWS: "Common Errors" and the services' own pages; the rest is Go's net package.
_KNOWN: tuple[tuple[str, str], ...] = (
    (r"Throttl|RequestLimitExceeded|TooManyRequests|Rate exceeded|SlowDown|StatusCode: 429", "throttled by AWS"),
    (r"ProvisionedThroughputExceeded|PriorRequestNotComplete|Subscriber limit exceeded", "throttled by AWS"),
    (AWS_ERROR, "AWS had an error"),
    (NO_ANSWER, "no answer in time"),
    (r"TLS handshake timeout", "no answer in time"),
    (CONNECTION_LOST, "connection lost"),
    (r"use of closed network connection|server misbehaving|Temporary failure in name resolution", "connection lost"),
    (r"OperationAborted|conflicting conditional operation", "another operation is under way"),
    (r"ConcurrentModification|concurrent modification|OptimisticLock", "another operation is under way"),
    (r"cannot be assumed by|Invalid principal in policy", "a role is not known everywhere yet"),
)


def passing(error: TerraformError) -> str | None:
    """What it is, when every error that Terraform reports is known to pass; None otherwise."""
    if error.locked or error.cut_off or error.stale:
        return None
    texts = [_text(one) for one in error.errors] or ["\n".join(error.lines)]
    found = [next((what for pattern, what in _KNOWN if re.search(pattern, text)), None) for text in texts]
    return found[0] if all(found) else None


def wait_s(retry: int, dice: Callable[[float, float], float] = random.uniform) -> float:
    """How long to wait before a retry (the first is 0): exponential, and by chance up to half of it less, so that
    many stacks that were throttled together don't come back together."""
    longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**retry)
    return dice(longest / 2, longest)


def _text(diagnostic: dict[str, Any]) -> str:
    return "\n".join(describe(diagnostic))


def shown(lines: Sequence[str]) -> str:
    """The first line of an error, for people."""
    return lines[0] if lines else "it said nothing"
