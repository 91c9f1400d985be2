"""Every final state was published once. Deliveries that repeat one event id are one publication, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from functions.payments.model import Payment, Status
from rollout.reconcile.evidence import Breach, Event, Evidence, Invariant

FINAL = frozenset(status for status in Status if status.is_final)
_TOLD = ("merchant_id", "amount", "currency")


def breaches(evidence: Evidence, settled_down: Mapping[str, Payment]) -> Iterator[Breach]:
    """What does not hold of the final events of payments that have had their time."""
    for payment in settled_down.values():
        if not payment.status.is_final:
            continue
        found = (evidence.events or {}).get(payment.payment_id, ())
        if not found and not _journalled(evidence, payment):
            continue
        for what in _of_one(payment, found):
            yield Breach(Invariant.EVENTS, payment.payment_id, what)


def strangers(evidence: Evidence) -> Iterator[Breach]:
    """Events of payments that no region knows."""
    for payment_id, events in (evidence.events or {}).items():
        if not any(payment_id in ledger for ledger in evidence.ledgers.values()):
            told = (
                f"{events[0].region} published {events[0].detail.get('status')}, and no region's table has the payment"
            )
            yield Breach(Invariant.EVENTS, payment_id, told)


def redelivered(events: Sequence[Event]) -> int:
    """How many of a payment's events only repeat another one."""
    return sum(times - 1 for times in Counter(event.event_id for event in events).values())


def unjournalled(evidence: Evidence, settled_down: Mapping[str, Payment]) -> int:
    """How many final payments are older than the journal that would have their event, which has none."""
    return sum(
        payment.status.is_final
        and payment.payment_id not in (evidence.events or {})
        and not _journalled(evidence, payment)
        for payment in settled_down.values()
    )


def _journalled(evidence: Evidence, payment: Payment) -> bool:
    return payment.updated_at >= evidence.journalled_since.get(payment.home_region, "")


def _of_one(payment: Payment, events: Sequence[Event]) -> Iterator[str]:
    ids = sorted({event.event_id for event in events})
    if not ids:
        yield f"{payment.status} was never published"
    elif len(ids) > 1:
        told = ", ".join(sorted({str(event.detail.get("status")) for event in events}))
        yield f"published as {len(ids)} events ({told}): {', '.join(ids)}"
    else:
        for event in events:
            wrong = _wrong(payment, event)
            if wrong:
                yield f"the event in {event.region} does not say what the table says: {', '.join(wrong)}"
                return


def _wrong(payment: Payment, event: Event) -> list[str]:
    told = event.detail
    wrong = [name for name in _TOLD if told.get(name) != getattr(payment, name)]
    if told.get("status") != str(payment.status):
        wrong.insert(0, f"status {told.get('status')}")
    if told.get("origin_region") != event.region:
        wrong.append("origin_region")
    return wrong
