"""The processor took what was settled: once per payment, and nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from functions.payments.model import Payment, Status
from functions.processor.accounts import Account
from rollout.reconcile.evidence import Breach, Evidence, Invariant


@dataclass
class Sum:
    """Money of one currency, in its minor unit: what the processor took and gave back, and what the tables settled."""

    captured: int = 0
    refunded: int = 0
    settled: int = 0

    @property
    def difference(self) -> int:
        return self.captured - self.refunded - self.settled


def held(account: Account) -> int:
    """What the processor has reserved and neither taken nor released, in minor units."""
    return 0 if account.voided else max(0, account.authorized - account.captured)


def breaches(accounts: Mapping[str, Account], settled_down: Mapping[str, Payment]) -> Iterator[Breach]:
    """What does not hold between the payments that have had their time and their accounts."""
    for payment in settled_down.values():
        if payment.status.is_final:
            for what in _of_one(payment, accounts.get(payment.payment_id)):
                yield Breach(Invariant.MONEY, payment.payment_id, what)


def strangers(evidence: Evidence) -> Iterator[Breach]:
    """Accounts of payments that no region knows."""
    for payment_id, account in (evidence.accounts or {}).items():
        if not any(payment_id in ledger for ledger in evidence.ledgers.values()):
            yield Breach(
                Invariant.MONEY,
                payment_id,
                f"the processor knows it (captured {account.captured}, held {held(account)} {account.currency}), "
                "and no region's table does",
            )


def sums(accounts: Mapping[str, Account], settled_down: Mapping[str, Payment]) -> dict[str, Sum]:
    """The sums by currency, of the payments that have had their time."""
    found: dict[str, Sum] = defaultdict(Sum)
    for payment in settled_down.values():
        if payment.status is Status.SETTLED:
            found[payment.currency].settled += payment.amount
        account = accounts.get(payment.payment_id)
        if account is not None and (account.captured or account.refunded):
            found[account.currency].captured += account.captured
            found[account.currency].refunded += account.refunded
    return dict(sorted(found.items()))


def _of_one(payment: Payment, account: Account | None) -> Iterator[str]:
    taken = payment.status in (Status.SETTLED, Status.REFUNDED)
    if account is None:
        if taken:
            yield f"{payment.status}, and the processor does not know it"
        return
    if (account.amount, account.currency) != (payment.amount, payment.currency):
        yield f"charged {account.amount} {account.currency} instead of {payment.amount} {payment.currency}"
        return
    wanted = payment.amount if taken else 0
    given_back = account.captured if payment.status is not Status.SETTLED else 0
    if account.captured and not taken and account.refunded == account.captured:
        yield f"{payment.status}, though captured and refunded"  # nothing is lost, and the table tells another story
    elif account.captured != wanted or account.refunded != given_back:
        reason = f" ({payment.reason})" if payment.reason else ""
        yield f"{payment.status}{reason}, captured {account.captured}, refunded {account.refunded} of {payment.amount}"
    elif held(account):
        yield f"{payment.status}, and {held(account)} {account.currency} are still held"
    elif taken and _another_capture(payment, account):
        yield f"{payment.status} with capture {payment.capture_id!r}, which is not the processor's"


def _another_capture(payment: Payment, account: Account) -> bool:
    """Whether a payment names a capture that is not the processor's. One that was refunded because no answer of the
    capture came names none."""
    unanswered = payment.status is Status.REFUNDED and not payment.capture_id
    known = account.outcomes.get("capture", {}).get("reference", payment.capture_id)
    return not unanswered and payment.capture_id != known
