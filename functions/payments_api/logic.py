"""Accepting payments, without HTTP."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from functions.payments import clock as clocks
from functions.payments import ids
from functions.payments.errors import FinalError, IdempotencyKeyReusedError, PaymentNotFoundError
from functions.payments.executions import Workflow
from functions.payments.ledger import Ledger, Regions
from functions.payments.model import Payment, Status
from functions.payments.request import PaymentRequest
from functions.payments.vault import Payer, Vault


class Health(StrEnum):
    """Whether traffic should come to this region."""

    OK = "ok"
    DRAINING = "draining"
    UNAVAILABLE = "unavailable"


class PayerElsewhereError(FinalError):
    """The vault of another region keeps the payer; the data does not leave that region."""

    def __init__(self, region: str) -> None:
        self.region = region
        super().__init__(f"the payer of this payment is kept in {region}: ask there")


class Submission(NamedTuple):
    """The payment a request stands for, and whether this request made it."""

    payment: Payment
    created: bool


def submit(
    request: PaymentRequest,
    *,
    ledger: Ledger,
    vault: Vault,
    region: str,
    clock: clocks.Clock = clocks.now,
) -> Submission:
    """Write a payment to the ledger, or find the one that the same request made before.

    The payer goes to the vault first: a ledger that says `payer_region` is never wrong. What a
    request leaves in the vault without becoming a payment (it is refused below, or dies here)
    is reached by nobody and expires.

    A drained region accepts payments like any other: clients come for as long as their DNS
    answers last, and refusing them would lose payments that this region is able to make.

    Raises
    ------
    IdempotencyKeyReusedError
        When another request came with this key before.
    """
    payment = request.to_payment(region=region, at=clock())
    if request.payer is not None:
        vault.keep(payment.payment_id, request.payer, at=payment.created_at)
    existing = ledger.create(payment)
    if existing is None:
        return Submission(payment, True)
    if existing.request_hash != payment.request_hash:
        raise IdempotencyKeyReusedError("this Idempotency-Key came with another request before")
    return Submission(existing, False)


def ensure_started(payment: Payment, *, workflow: Workflow, region: str) -> None:
    """Start the workflow of a payment that shows no sign of work yet.

    On a repetition too: the first request may have died between the ledger and the start.
    """
    untouched = payment.status is Status.RECEIVED and not payment.compensating and not payment.next_region
    if untouched and payment.home_region == region:
        workflow.start(payment)


def find(payment_id: str, *, merchant: str, ledger: Ledger) -> Payment:
    """A merchant's payment with an id, or PaymentNotFoundError: another merchant's is as good as none."""
    payment = ledger.get(payment_id) if ids.is_payment_id(payment_id) else None
    if payment is None or payment.merchant_id != merchant:
        raise PaymentNotFoundError("no such payment")
    return payment


def find_payer(payment: Payment, *, vault: Vault, region: str, clock: clocks.Clock = clocks.now) -> Payer:
    """The payer of a payment, if this region keeps it.

    Raises
    ------
    PayerElsewhereError
        Naming the region to ask.
    PaymentNotFoundError
        When there is no payer (any more).
    """
    keeper = payment.payer_region
    if keeper and keeper != region:
        raise PayerElsewhereError(keeper)
    payer = vault.get(payment.payment_id, at=clock()) if keeper else None
    if payer is None:
        raise PaymentNotFoundError("nothing is kept about the payer of this payment")
    return payer


def health(*, regions: Regions, region: str) -> Health:
    """Whether a region is drained; raises when its table cannot be read as a payment would be."""
    return Health.DRAINING if regions.is_drained(region) else Health.OK
