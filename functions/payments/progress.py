"""Moving a payment on, when others may be moving it at the same time.

Express workflows run at least once and an API may start one twice, so any step can meet a payment
that a twin of it has already moved. Every write names the version it builds on; a refused write
brings back what is there, and the domain decides on that: repeat, give way, or stop.

Every function here may raise PaymentMovedError (it is another region's) and
LedgerConflictError (others were faster each time).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from functions.payments import clock as clocks
from functions.payments.errors import (
    CompensationNeededError,
    LedgerConflictError,
    PaymentClosedError,
    PaymentCompensatingError,
)
from functions.payments.ledger import Ledger
from functions.payments.model import Payment, Status

_ATTEMPTS = 4  # a payment has at most four versions that a twin could have made meanwhile


class Progress(NamedTuple):
    """The payment as it now is, and whether this call made it so."""

    payment: Payment
    applied: bool


def advance(ledger: Ledger, payment: Payment, to: Status, *, clock: clocks.Clock, **facts: str) -> Progress:
    """Bring a payment to a status, or find that it is there already.

    Raises
    ------
    PaymentClosedError, PaymentCompensatingError, TransitionNotAllowedError
        When it can never get there.
    """

    def change(known: Payment) -> Payment | None:
        return known.changed(at=clock(), status=to, **facts) if known.may_become(to) else None

    return _write(ledger, payment, change)


def close(
    ledger: Ledger,
    payment: Payment,
    to: Status,
    *,
    clock: clocks.Clock,
    reason: str,
    may_hold_money: bool = False,
) -> Progress:
    """Give a payment a final status, or find that it has one.

    Raises
    ------
    CompensationNeededError
        When it was authorized: that must be undone first, unless the caller says otherwise.
    """

    def change(known: Payment) -> Payment | None:
        if known.status.is_final:
            return None
        if not may_hold_money and (known.status is not Status.RECEIVED or known.compensating):
            raise CompensationNeededError(f"{known.payment_id} may hold money")
        return known.changed(at=clock(), status=to, reason=reason)

    return _write(ledger, payment, change)


def amend(ledger: Ledger, payment: Payment, *, clock: clocks.Clock, reason: str) -> Payment:
    """Give a payment that has failed already another reason: what was found out later matters more."""

    def change(known: Payment) -> Payment | None:
        return known.changed(at=clock(), reason=reason) if known.status is Status.FAILED else None

    return _write(ledger, payment, change).payment


def begin_compensation(ledger: Ledger, payment: Payment, *, clock: clocks.Clock, reason: str) -> Payment:
    """Write down that a payment is being undone, before anything is undone.

    From then on no twin can settle it: without this mark, one execution could refund what
    another one has just settled. A payment that is final already comes back as it is.
    """

    def change(known: Payment) -> Payment | None:
        if known.status.is_final or known.compensating:
            return None
        return known.changed(at=clock(), compensating=reason)

    return _write(ledger, payment, change).payment


def hand_on(ledger: Ledger, payment: Payment, region: str, *, clock: clocks.Clock) -> Progress:
    """Give an unfinished payment to another region: from then on no step here can move it.

    Raises
    ------
    PaymentClosedError, PaymentCompensatingError
        When it is finished, or being undone.
    """

    def change(known: Payment) -> Payment:
        if known.status.is_final:
            raise PaymentClosedError(f"{known.payment_id} is {known.status}, not to be handed over")
        if known.compensating:
            raise PaymentCompensatingError(f"{known.payment_id} is being undone")
        tried = dict.fromkeys((*known.regions_tried, known.home_region))
        return known.changed(at=clock(), next_region=region, regions_tried=tuple(tried))

    return _write(ledger, payment, change)


def _write(ledger: Ledger, payment: Payment, change: Callable[[Payment], Payment | None]) -> Progress:
    known = payment
    for _ in range(_ATTEMPTS):
        after = change(known)
        if after is None:
            return Progress(known, False)
        current = ledger.update(after, expected=known)
        if current is None:
            return Progress(after, True)
        known = current.at_home_in(payment.home_region)
    raise LedgerConflictError(payment.payment_id)
