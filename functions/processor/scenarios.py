"""The magic tokens and amounts of the simulator, and what each makes go wrong.

Any other token succeeds. A magic amount acts like its token, for merchants that cannot choose
the token; where both are magic, the token counts. Two tokens more name a region, see
`is_unreachable`: the processor is one for all regions, but the way to it is each region's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from functions.processor.protocol import Operation


class Effect(StrEnum):
    """How an operation goes wrong."""

    DECLINE = "decline"  # refused for good; nothing was done
    UNAVAILABLE = "unavailable"  # not done; an error came back
    TIMEOUT = "timeout"  # not done; no answer came back
    LOST = "lost"  # done, but no answer came back


@dataclass(frozen=True)
class Fault:
    """One operation that goes wrong, the first `times` times (0: every time)."""

    operation: Operation
    effect: Effect
    times: int = 0
    reason: str = ""


def _declined(reason: str) -> tuple[Fault, ...]:
    return (Fault(Operation.AUTHORIZE, Effect.DECLINE, reason=reason),)


_A, _C, _V, _R = Operation.AUTHORIZE, Operation.CAPTURE, Operation.VOID, Operation.REFUND
_CAPTURE_DECLINED = Fault(_C, Effect.DECLINE, reason="capture_declined")

TOKENS: Mapping[str, tuple[Fault, ...]] = {
    # declined at authorization -> DECLINED
    "tok_declined": _declined("card_declined"),
    "tok_insufficient_funds": _declined("insufficient_funds"),
    "tok_expired_card": _declined("expired_card"),
    # authorization never answers -> void -> FAILED
    "tok_unavailable": (Fault(_A, Effect.UNAVAILABLE),),
    "tok_timeout": (Fault(_A, Effect.TIMEOUT),),
    "tok_authorize_lost": (Fault(_A, Effect.LOST),),
    # goes wrong once, then right -> SETTLED
    "tok_fail_once": (Fault(_A, Effect.UNAVAILABLE, 1),),
    "tok_timeout_once": (Fault(_A, Effect.TIMEOUT, 1),),
    "tok_lost_once": (Fault(_A, Effect.LOST, 1), Fault(_C, Effect.LOST, 1)),
    "tok_capture_fail_once": (Fault(_C, Effect.UNAVAILABLE, 1),),
    # capture goes wrong -> void -> FAILED
    "tok_capture_declined": (_CAPTURE_DECLINED,),
    "tok_capture_unavailable": (Fault(_C, Effect.UNAVAILABLE),),
    "tok_capture_timeout": (Fault(_C, Effect.TIMEOUT),),
    # captured, but nobody ever hears of it -> refund -> REFUNDED
    "tok_capture_lost": (Fault(_C, Effect.LOST),),
    # compensation needs two attempts -> FAILED, REFUNDED
    "tok_void_fail_once": (_CAPTURE_DECLINED, Fault(_V, Effect.UNAVAILABLE, 1)),
    "tok_refund_lost_once": (Fault(_C, Effect.LOST), Fault(_R, Effect.LOST, 1)),
    # compensation cannot be done -> FAILED, with a reason that calls for a human
    "tok_void_unavailable": (_CAPTURE_DECLINED, Fault(_V, Effect.UNAVAILABLE)),
    "tok_refund_unavailable": (Fault(_C, Effect.LOST), Fault(_R, Effect.UNAVAILABLE)),
}

AMOUNTS: Mapping[int, str] = {
    6_660_001: "tok_declined",
    6_660_002: "tok_insufficient_funds",
    6_660_003: "tok_timeout",
    6_660_004: "tok_unavailable",
    6_660_005: "tok_fail_once",
    6_660_006: "tok_capture_declined",
    6_660_007: "tok_capture_lost",
}


# Every attempt from one region goes nowhere; from the others all is well -> another region SETTLES it.
_UNREACHABLE: Mapping[str, Operation] = {
    "tok_unreachable_from_": _A,
    "tok_capture_unreachable_from_": _C,
}


def is_unreachable(payment_method: str, operation: Operation, region: str) -> bool:
    """Whether an operation asked for in a region does not reach the processor, say
    `tok_unreachable_from_us-east-1` in us-east-1: nothing is done, an error comes back."""
    return any(payment_method == prefix + region and operation is cut_off for prefix, cut_off in _UNREACHABLE.items())


def fault_of(payment_method: str, amount: int, operation: Operation, attempt: int) -> Fault | None:
    """What goes wrong with the given attempt (from 1) of an operation; None when nothing does."""
    faults = TOKENS.get(payment_method) or TOKENS.get(AMOUNTS.get(amount, ""), ())
    for fault in faults:
        if fault.operation is operation and (fault.times == 0 or attempt <= fault.times):
            return fault
    return None
