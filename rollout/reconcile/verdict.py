"""The verdict over the evidence: figures, breaches, and what could not be checked. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from functions.payments.model import Payment, Status
from rollout.reconcile import events, ledgers, money, receipts, residency
from rollout.reconcile.evidence import Breach, Evidence, Invariant
from rollout.reconcile.times import before


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a reconciliation found.

    Attributes
    ----------
    figures
        A line of the table each: what was counted -> how many.
    sums
        Money by currency, in minor units.
    breaches
        What does not hold, by invariant and payment.
    unchecked
        The invariants that nothing can be said of, each with the reason.
    """

    figures: Mapping[str, int]
    sums: Mapping[str, money.Sum]
    breaches: Sequence[Breach]
    unchecked: Mapping[Invariant, str]

    @property
    def ok(self) -> bool:
        """Whether all that was checked holds."""
        return not self.breaches

    def count(self, invariant: Invariant) -> int:
        """How many breaches of one invariant there are."""
        return sum(breach.invariant is invariant for breach in self.breaches)

    def as_dict(self) -> dict[str, Any]:
        """The verdict as JSON."""
        return {
            "ok": self.ok,
            "figures": dict(self.figures),
            "money": {currency: {**asdict(one), "difference": one.difference} for currency, one in self.sums.items()},
            "invariants": {str(one): None if one in self.unchecked else self.count(one) for one in Invariant},
            "unchecked": {str(one): why for one, why in self.unchecked.items()},
            "breaches": [
                {"invariant": str(one.invariant), "payment_id": one.payment_id, "what": one.what}
                for one in self.breaches
            ],
        }


def judge(evidence: Evidence, *, settle_within_s: float | None = None) -> Verdict:
    """Compare everything with everything.

    Parameters
    ----------
    settle_within_s
        How long a payment may take. What was written to within that time before the reading began is counted as open,
        and no more is asked of it. None: every payment is to be finished.
    """
    known = {key for ledger in evidence.ledgers.values() for key in ledger}
    payments = {key: ledgers.reference(evidence, key) for key in sorted(known)}
    done = {key: one for key, one in payments.items() if not _young(evidence, key, settle_within_s)}
    found = [*ledgers.breaches(evidence, done)]
    if not evidence.narrowed:
        found += [*ledgers.accepted(evidence), *receipts.strangers(evidence), *events.strangers(evidence)]
        found += money.strangers(evidence)
    sums: Mapping[str, money.Sum] = {}
    if evidence.accounts is not None:
        of_money = [*money.breaches(evidence.accounts, done)]
        sums = money.sums(evidence.accounts, done)
        found += of_money
    found += receipts.breaches(evidence, done)
    if evidence.events is not None:
        found += events.breaches(evidence, done)
    found += [*residency.copied(evidence), *residency.breaches(evidence, done)]
    order = list(Invariant)
    return Verdict(
        figures=_figures(evidence, payments, done),
        sums=sums,
        breaches=sorted(found, key=lambda one: (order.index(one.invariant), one.payment_id, one.what)),
        unchecked=evidence.unread,
    )


def _young(evidence: Evidence, payment_id: str, settle_within_s: float | None) -> bool:
    """Whether a payment still has time: any region's copy of it was written to lately."""
    if settle_within_s is None:
        return False
    copies = [ledger[payment_id].payment for ledger in evidence.ledgers.values() if payment_id in ledger]
    latest = max(copy.updated_at for copy in copies)
    return latest > before(evidence.begun_at, settle_within_s)


def _figures(evidence: Evidence, payments: Mapping[str, Payment], done: Mapping[str, Payment]) -> dict[str, int]:
    by_status = Counter(payment.status for payment in payments.values())
    figures = {"payments": len(payments)}
    figures |= {str(status): by_status[status] for status in Status if by_status[status]}
    figures["not looked at: still open, or just finished"] = len(payments) - len(done)
    if evidence.accepted:
        figures["accepted, as callers were told"] = len(evidence.accepted)
    if evidence.accounts is not None:
        figures["accounts at the processor"] = len(evidence.accounts)
        figures["captures"] = sum(account.captured > 0 for account in evidence.accounts.values())
        figures["refunds"] = sum(account.refunded > 0 for account in evidence.accounts.values())
    for region in evidence.regions:
        figures[f"receipts in {region}"] = sum(map(len, evidence.receipts[region].values()))
    if evidence.events is not None:
        figures["final events"] = sum(map(len, evidence.events.values()))
        figures["of these repeated deliveries"] = sum(map(events.redelivered, evidence.events.values()))
        figures["final states older than the journal"] = events.unjournalled(evidence, done)
    figures["payers in vaults"] = sum(map(len, evidence.vaults.values()))
    figures["of these left by refused or repeated requests"] = residency.left_over(evidence)
    figures["moved between regions"] = sum(len(set(one.regions_tried)) > 1 for one in payments.values())
    return figures
