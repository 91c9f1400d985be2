"""Recording why a payment did not settle."""

from __future__ import annotations

from functions.payments import clock as clocks
from functions.payments.caught import Caught
from functions.payments.errors import PaymentDeclinedError
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status
from functions.payments.progress import Progress, amend, close

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
    FAILED with a reason that begins with `compensation_failed`, for a human to resolve.

    Raises
    ------
    CompensationNeededError
        When the payment turns out to hold money that nobody has tried to release yet.
    """
    if compensation is not None:
        reason = f"{UNRESOLVED}: {compensation.reason} after {caught.reason}"
        known, applied = close(ledger, payment, Status.FAILED, clock=clock, reason=reason, may_hold_money=True)
        if not applied and not known.reason.startswith(UNRESOLVED):
            # A twin had failed it before this one held money: its reason would hide that somebody must look.
            known = amend(ledger, known, clock=clock, reason=reason)
        return Progress(known, applied)
    declined = caught.name == PaymentDeclinedError.__name__
    to = Status.DECLINED if declined else Status.FAILED
    return close(ledger, payment, to, clock=clock, reason=caught.reason)
