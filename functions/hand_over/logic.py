"""Giving a payment that this region cannot finish to the next region.

The hand-over is one write to the ledger, `next_region`, and nothing else: change capture turns
it into the event that reaches the next region's `take_over`. So it cannot happen that the event
is out and the ledger does not know, and an event that gets lost is published again from the
stream.

From that write on nobody works on the payment until the other region has taken it over: no step
here may write any more (`Payment.at_home_in`), and the other region starts only from a replica that
has this very version. What a late twin still does at the processor here, the processor answers
as it answered before, or it refuses: operation keys follow from the payment, not from the region.
The new home runs the whole workflow again and for the same reason charges nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from functions.payments import clock as clocks
from functions.payments.errors import NoRegionLeftError
from functions.payments.failover import next_region
from functions.payments.ledger import Ledger
from functions.payments.model import Payment
from functions.payments.progress import hand_on


def hand_over(
    payment: Payment,
    *,
    order: Sequence[str],
    ledger: Ledger,
    avoid: Collection[str] = (),
    clock: clocks.Clock = clocks.now,
) -> Payment:
    """Write down which region is to finish a payment: none of those to avoid.

    One that was claimed may not be undone (see `compensate`), so the last region must not keep it: it
    goes round once more. Each round waits for the sweeper, so that it does not go round all the time.

    Raises
    ------
    NoRegionLeftError
        When every region that could take it has had it: it is to be undone here.
    PaymentMovedError
        When it is handed over already: by a twin, or by this step, whose answer was lost.
    PaymentClosedError, PaymentCompensatingError
        When a twin has finished it or is undoing it.
    """
    region = next_region(order, payment.home_region, payment.regions_tried, avoid)
    anew = region is None and bool(payment.claimed_from) and payment.resumed > 0
    if anew:
        region = next_region(order, payment.home_region, (), avoid)
    if region is None:
        raise NoRegionLeftError(f"{payment.payment_id} has been in {', '.join(payment.regions_tried)}")
    return hand_on(ledger, payment, region, clock=clock, anew=anew).payment
