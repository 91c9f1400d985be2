"""Every settled payment has one receipt: one version of one object in every region, the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from functions.payments.model import Payment, Status
from rollout.reconcile.evidence import Breach, Evidence, Invariant, Receipt

_TOLD = ("payment_id", "merchant_id", "amount", "currency", "authorization_id", "capture_id", "captured_at")


def breaches(evidence: Evidence, settled_down: Mapping[str, Payment]) -> Iterator[Breach]:
    """What does not hold of the receipts of payments that have had their time."""
    for payment in settled_down.values():
        found = {region: evidence.receipts[region].get(payment.payment_id, ()) for region in evidence.regions}
        if payment.status is Status.SETTLED:
            whats = _of_settled(payment, found)
        # A refund may come after the receipt; what was never captured has none.
        elif payment.status in (Status.DECLINED, Status.FAILED):
            whats = _of_failed(payment, found)
        else:
            continue
        for what in whats:
            yield Breach(Invariant.RECEIPTS, payment.payment_id, what)


def strangers(evidence: Evidence) -> Iterator[Breach]:
    """Receipts of payments that no region knows."""
    unknown = {
        payment_id: region
        for region in reversed(evidence.regions)
        for payment_id in evidence.receipts[region]
        if not any(payment_id in ledger for ledger in evidence.ledgers.values())
    }
    for payment_id, region in unknown.items():
        key = evidence.receipts[region][payment_id][0].key
        yield Breach(Invariant.RECEIPTS, payment_id, f"{region} has {key}, and no region's table has the payment")


def _of_settled(payment: Payment, found: Mapping[str, Sequence[Receipt]]) -> Iterator[str]:
    lacking = [region for region, receipts in found.items() if not receipts]
    if lacking:
        yield f"no receipt in {', '.join(lacking)}"
    for region, receipts in found.items():
        if len(receipts) > 1:
            yield f"{region} has {len(receipts)} versions of {receipts[0].key}"
        elif receipts and not receipts[0].current:
            yield f"{region}: {receipts[0].key} is deleted"
        elif receipts and receipts[0].key != payment.receipt_key:
            yield f"{region} has {receipts[0].key} instead of {payment.receipt_key}"
    present = {region: receipts[0] for region, receipts in found.items() if receipts}
    kinds = {(receipt.size, receipt.body) for receipt in present.values()}
    if len(kinds) > 1:
        yield f"not the same in {', '.join(present)}"
    elif kinds and next(iter(kinds))[1] is not None:
        wrong = _wrong(payment, next(iter(kinds))[1] or b"")
        if wrong:
            yield f"the receipt does not say what the table says: {', '.join(wrong)}"


def _of_failed(payment: Payment, found: Mapping[str, Sequence[Receipt]]) -> Iterator[str]:
    present = [region for region, receipts in found.items() if receipts]
    if present:
        yield f"{payment.status}, with a receipt in {', '.join(present)}"


def _wrong(payment: Payment, body: bytes) -> list[str]:
    try:
        told = json.loads(body)
    except ValueError:
        return ["no JSON"]
    return [name for name in _TOLD if not isinstance(told, dict) or told.get(name) != getattr(payment, name)]
