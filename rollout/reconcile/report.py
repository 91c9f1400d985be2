"""What a reconciliation found, as text."""

from __future__ import annotations

from collections.abc import Iterator

from rollout.reconcile.evidence import Invariant
from rollout.reconcile.verdict import Verdict


def lines(verdict: Verdict, *, first: int) -> Iterator[str]:
    """A table of figures, the money, the invariants, and the first breaches of each."""
    width = max(map(len, verdict.figures))
    for name, number in verdict.figures.items():
        yield f"{name:<{width}}  {number:>14,}"
    if verdict.sums:
        yield ""
        yield f"{'minor units':<12}{'captured':>20}{'refunded':>20}{'settled':>20}{'difference':>12}"
    for currency, one in verdict.sums.items():
        yield f"{currency:<12}{one.captured:>20,}{one.refunded:>20,}{one.settled:>20,}{one.difference:>12,}"
    yield ""
    for invariant in Invariant:
        if invariant in verdict.unchecked:
            yield f"{invariant:<28}  not checked: {verdict.unchecked[invariant]}"
        else:
            number = verdict.count(invariant)
            yield f"{invariant:<28}  {'holds' if not number else f'{number:,} breaches' if number > 1 else '1 breach'}"
    for invariant in Invariant:
        found = [breach for breach in verdict.breaches if breach.invariant is invariant]
        if found:
            yield ""
            yield f"{invariant}:"
        for breach in found[:first]:
            yield f"  {breach.payment_id or '(no payment)'}: {breach.what}"
        if len(found) > first:
            yield f"  and {len(found) - first:,} more; all of them with --json FILE"


def sentence(verdict: Verdict, seconds: float) -> str:
    """The last line."""
    unchecked = f", {len(verdict.unchecked)} of {len(Invariant)} invariants not checked" if verdict.unchecked else ""
    number = len(verdict.breaches)
    told = "no breaches" if not number else "1 breach" if number == 1 else f"{number:,} breaches"
    return f"reconcile: {verdict.figures['payments']:,} payments, {told}{unchecked}, in {seconds:.1f} s"
