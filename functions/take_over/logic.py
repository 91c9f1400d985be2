"""Taking over a payment that another region could not finish.

Events come at least once, in any order, and before or after the write they tell of has reached
this region's replica. What counts is therefore the replica, and the event says only when the write was
that it tells of:

- not there yet: wait a little, then fail, for the event to be delivered again later;
- there, and handed over to this region: become its home in one conditional write, then start the
  workflow. The write comes first: an execution of a payment at home elsewhere does nothing;
- there, and this region has taken it over before: start the workflow again, by the same name.
  The delivery before this one may have died between the write and the start;
- final, or handed on to yet another region: nothing is left to do;
- overwritten: where two regions had accepted one key, the later write stays. Nothing is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from functions.payments import clock as clocks
from functions.payments import ids
from functions.payments.errors import InvalidPaymentError, LedgerConflictError, ReplicaBehindError
from functions.payments.executions import Workflow
from functions.payments.homes import take_home
from functions.payments.ledger import Ledger
from functions.payments.model import Payment
from functions.payments.progress import Progress

# Replication usually takes a second or so, and Lambda waits a minute before it delivers again.
_PAUSES_S = (0.2, 0.4, 0.8, 1.6)


@dataclass(frozen=True, kw_only=True)
class HandOver:
    """What a `PaymentHandedOver` event tells."""

    payment_id: str
    version: int
    origin_region: str
    regions_tried: tuple[str, ...]
    next_region: str
    occurred_at: str

    @classmethod
    def from_event(cls, event: Mapping[str, Any], *, region: str) -> HandOver:
        """Read an event that is meant for a region.

        Raises
        ------
        InvalidPaymentError
            Naming the field that is wrong. A rule that sends payments to a region that is not
            `next_region`, or back to where they came from, is refused here, before anything is
            written. A region that has had the payment before may get it again: from the twin of
            a payment that it was the first to accept.
        """
        detail = event.get("detail")
        if not isinstance(detail, Mapping):
            raise InvalidPaymentError("detail", detail, "an object")
        payment_id, version = detail.get("payment_id"), detail.get("version")
        origin, tried = detail.get("origin_region"), detail.get("regions_tried")
        if not isinstance(payment_id, str) or not ids.is_payment_id(payment_id):
            raise InvalidPaymentError("payment_id", payment_id, "pay_ and 26 of a-z 2-7")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise InvalidPaymentError("version", version, "a positive integer")
        if not isinstance(tried, list) or not all(isinstance(one, str) for one in tried):
            raise InvalidPaymentError("regions_tried", tried, "a list of regions")
        if not isinstance(origin, str) or origin not in tried or origin == region:
            raise InvalidPaymentError("origin_region", origin, f"one of regions_tried and not {region}")
        occurred_at = detail.get("occurred_at")
        if not isinstance(occurred_at, str) or not occurred_at:
            raise InvalidPaymentError("occurred_at", occurred_at, "a time")
        if detail.get("next_region") != region:
            raise InvalidPaymentError("next_region", detail.get("next_region"), region)
        return cls(
            payment_id=payment_id,
            version=version,
            origin_region=origin,
            regions_tried=tuple(tried),
            next_region=region,
            occurred_at=occurred_at,
        )


def take_over(
    handed_over: HandOver,
    *,
    ledger: Ledger,
    workflow: Workflow,
    clock: clocks.Clock = clocks.now,
    sleep: Callable[[float], None] = time.sleep,
) -> Progress:
    """Become a payment's home, unless that is done, and work on it.

    Raises
    ------
    ReplicaBehindError
        When this region's replica has not got the hand-over yet.
    LedgerConflictError
        When the payment has changed meanwhile and is still to be taken over.
    """
    region = handed_over.next_region
    payment = _arrived(handed_over, ledger, sleep)
    taken = payment.next_region == region and not payment.status.is_final
    if taken:
        payment, taken = take_home(ledger, payment, region, clock=clock)
        if payment.next_region == region:
            raise LedgerConflictError(handed_over.payment_id)
    if payment.home_region == region and not payment.next_region and not payment.status.is_final:
        workflow.start(payment)
    return Progress(payment, taken)


def _arrived(handed_over: HandOver, ledger: Ledger, sleep: Callable[[float], None]) -> Payment:
    """The payment, from a replica that has the hand-over or what was written later.

    A version does not tell that: where two regions have accepted one key at the same time, the replica
    may hold the other one's payment, until the two have met and the later one stays. Clocks that differ
    by more than the writes do may deceive: what is then handed over and not taken, the sweeper takes.
    """
    for pause in (*_PAUSES_S, None):
        payment = ledger.get(handed_over.payment_id)
        if payment and (payment.next_region == handed_over.next_region or _follows(payment, handed_over)):
            return payment
        if pause is not None:
            sleep(pause)
    raise ReplicaBehindError(f"{handed_over.payment_id}: version {handed_over.version} is not here yet")


def _follows(payment: Payment, handed_over: HandOver) -> bool:
    if payment.home_region == handed_over.origin_region and payment.version < handed_over.version:
        return False
    return payment.updated_at >= handed_over.occurred_at
