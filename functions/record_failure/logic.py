"""Recording why a payment did not settle."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.caught import Caught
from functions.payments.errors import PaymentDeclinedError
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import Progress, amend, close, close_unresolved

UNRESOLVED = "compensation_failed"


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
    FAILED with a reason that begins with `compensation_failed`, for a human to resolve. Only if it
    was this region's to undo: a payment that the processor has not been heard of yet, or that was
    claimed and may have been settled unseen, stays open to be tried again (see `sweep_payments`).

    Raises
    ------
    CompensationNeededError
        When the payment turns out to hold money that nobody has tried to release yet.
    UndoneUnknownError
        When it stays open.
    """
    if compensation is not None:
        reason = f"{UNRESOLVED}: {compensation.reason} after {caught.reason}"
        known, applied = close_unresolved(ledger, payment, clock=clock, reason=reason)
        if not applied and not known.reason.startswith(UNRESOLVED):
            # A twin had failed it before this one held money: its reason would hide that somebody must look.
            known = amend(ledger, known, clock=clock, reason=reason)
        return Progress(known, applied)
    declined = caught.name == PaymentDeclinedError.__name__
    to = Status.DECLINED if declined else Status.FAILED
    return close(ledger, payment, to, clock=clock, reason=caught.reason)
