"""Moving a payment on, when others may be moving it at the same time.

Express workflows run at least once and an API may start one twice, so any step can meet a payment
that a twin of it has already moved. Every write names the version it builds on; a refused write
brings back what is there, and the domain decides on that: repeat, give way, or stop.

Every function here may raise PaymentMovedError (it is another region's, or has come back to this one
meanwhile: another execution works on it) and LedgerConflictError (others were faster each time).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from functions.payments import clock as clocks
from functions.payments import ids
from functions.payments.errors import (
    CompensationNeededError,
    LedgerConflictError,
    PaymentClosedError,
    PaymentCompensatingError,
    PaymentMovedError,
    UndoneUnknownError,
)
from functions.payments.ledger import Ledger
from functions.payments.model import RESUMES, Payment, Status

if TYPE_CHECKING:  # most functions carry no processor
    from functions.processor.protocol import Charge

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


def close_unresolved(ledger: Ledger, payment: Payment, *, clock: clocks.Clock, reason: str, refused: bool) -> Progress:
    """Give a payment up as FAILED although what it holds was not released.

    Parameters
    ----------
    refused
        Whether the processor refused for good. What merely did not work is tried again by the sweeper, and given
        up when every region has tried.

    Raises
    ------
    UndoneUnknownError
        When it is to be tried again, may be another region's to finish, or settled by one: it stays open.
    """

    def change(known: Payment) -> Payment | None:
        if known.status.is_final:
            return None
        if known.status is Status.RECEIVED or known.claimed_from:
            raise UndoneUnknownError(f"{known.payment_id}: {reason}")
        if not (refused or known.resumed > RESUMES):
            return known.changed(at=clock())  # only the write tells whether it is open still
        return known.changed(at=clock(), status=Status.FAILED, reason=reason)

    closed = _write(ledger, payment, change)
    if not closed.payment.status.is_final:
        raise UndoneUnknownError(f"{payment.payment_id}: {reason}")
    return closed


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


def hand_on(ledger: Ledger, payment: Payment, region: str, *, clock: clocks.Clock, anew: bool = False) -> Progress:
    """Give an unfinished payment to another region: from then on no step here can move it.

    `anew` forgets which regions have had it before this one.

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
        tried = (known.home_region,) if anew else known.regions_tried
        return known.changed(at=clock(), next_region=region, regions_tried=tried)

    return _write(ledger, payment, change)


def give_way(ledger: Ledger, payment: Payment, held: Charge, *, clock: clocks.Clock) -> Payment:
    """Leave an unfinished payment to the charge that holds it at the processor.

    Two regions have accepted one key, or this one went on after another had claimed the payment. Of the
    two records the last write stays, and that may be this one. So it becomes a record of the other's
    payment, with its amount, that is handed over to its region: which finishes it once more, or finds
    it finished. Where this region is the holder itself, the payment comes back, to go on with here.

    Raises
    ------
    PaymentMovedError
        When it is left to another region, or was finished.
    """

    def change(known: Payment) -> Payment | None:
        if known.status.is_final:
            return None
        here = held.region == known.home_region
        return known.changed(
            at=clock(),
            amount=held.amount,
            currency=held.currency,
            payment_method=held.payment_method,
            request_hash=ids.request_hash(held.amount, held.currency, known.merchant_id, held.payment_method),
            accepted_in=held.accepted_in,
            epoch=max(known.epoch, held.epoch) + here,
            claimed_from=known.home_region,
            next_region="" if here else held.region,
            compensating="",
        )

    left, applied = _write(ledger, payment, change)
    if applied and not left.next_region:
        return left
    raise PaymentMovedError(f"{payment.payment_id} is held by {held.region}")


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
        if known.epoch != payment.epoch:
            raise PaymentMovedError(f"{payment.payment_id} has come back: another execution works on it")
    raise LedgerConflictError(payment.payment_id)
