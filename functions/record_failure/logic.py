"""Recording why a payment did not settle."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.caught import Caught
from functions.payments.errors import (
    CapturedElsewhereError,
    PaymentDeclinedError,
    ProcessorKeyConflictError,
    ProcessorRejectedError,
)
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import Progress, amend, close, close_unresolved

UNRESOLVED = "compensation_failed"

REFUSALS = frozenset(
    error.__name__ for error in (CapturedElsewhereError, ProcessorKeyConflictError, ProcessorRejectedError)
)
"""What the processor says no to, it will not do later either."""


def record_failure(
    payment: Payment,
    *,
    caught: Caught,
    compensation: Caught | None,
    ledger: Ledger,
    clock: clocks.Clock = clocks.now,
) -> Progress:
    """Write down DECLINED or FAILED.

    `compensation` is the error that kept compensation from being done: then the payment is
    FAILED with a reason that begins with `compensation_failed`, for a human to resolve. Only if the
    processor refused to release the money, or if every region has tried in vain; and only if it was
    this region's to undo, not claimed and perhaps settled unseen. Any other payment stays open, to be
    tried again (see `sweep_payments`): an overload that outlasts a few retries must not leave
    somebody's money held.

    Raises
    ------
    CompensationNeededError
        When the payment turns out to hold money that nobody has tried to release yet.
    UndoneUnknownError
        When it stays open.
    """
    if compensation is not None:
        reason = f"{UNRESOLVED}: {compensation.reason} after {caught.reason}"
        refused = compensation.name in REFUSALS
        known, applied = close_unresolved(ledger, payment, clock=clock, reason=reason, refused=refused)
        if not applied and not known.reason.startswith(UNRESOLVED):
            # A twin had failed it before this one held money: its reason would hide that somebody must look.
            known = amend(ledger, known, clock=clock, reason=reason)
        return Progress(known, applied)
    declined = caught.name == PaymentDeclinedError.__name__
    to = Status.DECLINED if declined else Status.FAILED
    return close(ledger, payment, to, clock=clock, reason=caught.reason)
