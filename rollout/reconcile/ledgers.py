"""Every payment has one final state, the same in every region, and none that was accepted is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from functions.payments.model import Payment
from rollout.reconcile.evidence import Breach, Evidence, Invariant

_SHOWN = 3


def reference(evidence: Evidence, payment_id: str) -> Payment:
    """The payment as the region knows it that has its latest version; the first of the regions when several do."""
    found = (evidence.ledgers[region].get(payment_id) for region in evidence.regions)
    return max((entry.payment for entry in found if entry), key=lambda payment: payment.version)


def breaches(evidence: Evidence, settled_down: Mapping[str, Payment]) -> Iterator[Breach]:
    """What does not hold of the payments that have had their time, by their reference."""
    for payment in settled_down.values():
        yield from _of_one(evidence, payment)
    for region, keys in evidence.unreadable.items():
        for key in keys:
            yield Breach(Invariant.FINAL, key, f"{region}: the item is no payment")


def accepted(evidence: Evidence) -> Iterator[Breach]:
    """Payments that callers were told of and that no region knows."""
    for payment_id in evidence.accepted:
        if not any(payment_id in ledger for ledger in evidence.ledgers.values()):
            yield Breach(Invariant.ACCEPTED, payment_id, "accepted, and no region's table has it")


def _of_one(evidence: Evidence, payment: Payment) -> Iterator[Breach]:
    copies = {region: evidence.ledgers[region].get(payment.payment_id) for region in evidence.regions}
    final = {
        region: entry.payment.status for region, entry in copies.items() if entry and entry.payment.status.is_final
    }
    if len(set(final.values())) > 1:
        told = ", ".join(f"{status} in {region}" for region, status in final.items())
        yield Breach(Invariant.FINAL, payment.payment_id, f"final in two ways: {told}")
        return
    if not payment.status.is_final:
        waits = f" for {payment.next_region}" if payment.next_region else f" in {payment.home_region}"
        yield Breach(Invariant.FINAL, payment.payment_id, f"{payment.status} since {payment.updated_at}{waits}")
    for region, entry in copies.items():
        if entry is None:
            yield Breach(Invariant.REPLICAS, payment.payment_id, f"{region} does not have it")
        elif entry.payment != payment:
            yield Breach(Invariant.REPLICAS, payment.payment_id, f"{region}: {_difference(entry.payment, payment)}")


def _difference(here: Payment, there: Payment) -> str:
    different = [
        f"{one.name} {getattr(here, one.name)!s} instead of {getattr(there, one.name)!s}"
        for one in fields(Payment)
        if getattr(here, one.name) != getattr(there, one.name)
    ]
    more = f" and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
    return ", ".join(different[:_SHOWN]) + more
