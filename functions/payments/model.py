"""A payment and the only ways in which its state may change. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from enum import StrEnum
from typing import Any

from functions.payments import ids
from functions.payments.errors import (
    InvalidPaymentError,
    PaymentClosedError,
    PaymentCompensatingError,
    PaymentMovedError,
    TransitionNotAllowedError,
)


class Status(StrEnum):
    """Where a payment stands, as the API, the ledger and the events name it."""

    RECEIVED = "RECEIVED"
    AUTHORIZED = "AUTHORIZED"
    SETTLED = "SETTLED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    REFUNDED = "REFUNDED"

    @property
    def is_final(self) -> bool:
        """A final status is never left."""
        return self not in (Status.RECEIVED, Status.AUTHORIZED)


ALLOWED_FROM: Mapping[Status, frozenset[Status]] = {
    Status.RECEIVED: frozenset(),
    Status.AUTHORIZED: frozenset({Status.RECEIVED}),
    Status.SETTLED: frozenset({Status.AUTHORIZED}),
    Status.DECLINED: frozenset({Status.RECEIVED}),
    Status.FAILED: frozenset({Status.RECEIVED, Status.AUTHORIZED}),
    Status.REFUNDED: frozenset({Status.RECEIVED, Status.AUTHORIZED}),
}

RESUMES = 3
"""How often a region starts the workflow of an open payment anew before it gives it to another one. Beyond that only
where every region has had it."""

_PROGRESS = frozenset({Status.AUTHORIZED, Status.SETTLED})


@dataclass(frozen=True, kw_only=True)
class Payment:
    """One payment, as the ledger keeps it and as the workflow's steps hand it on.

    Amounts are in the currency's minor unit. `payment_method` is a token of the processor's
    vault, never a card number. `compensating` holds the reason once undoing has begun: from
    then on the payment can only end as FAILED or REFUNDED.

    `regions_tried` are the homes so far, the present one last. While `next_region` is set, the
    payment is handed over but not yet taken over: nobody works on it. `payer_region` is where
    the vault keeps the payer's personal data, which no payment holds. `resumed` counts how often
    its present home has started its workflow anew, because the payment was left open.

    `accepted_in` is the region of the acceptance that counts, of two there may be; `epoch` grows with
    every change of home. By these the processor tells who may still act for the payment (see
    `processor.protocol`). `claimed_from` is the home whose word was not waited for: it was down, or
    had accepted the same key as another region. What was finished there is not known here, so nothing
    that might have been settled is given back (see `compensate`).
    """

    payment_id: str
    merchant_id: str
    amount: int
    currency: str
    payment_method: str
    home_region: str
    regions_tried: tuple[str, ...]
    created_at: str
    updated_at: str
    status: Status = Status.RECEIVED
    version: int = 1
    request_hash: str = ""
    payer_region: str = ""
    next_region: str = ""
    authorization_id: str = ""
    capture_id: str = ""
    captured_at: str = ""
    refund_id: str = ""
    receipt_key: str = ""
    reason: str = ""
    compensating: str = ""
    resumed: int = 0
    accepted_in: str = ""
    epoch: int = 1
    claimed_from: str = ""

    @property
    def event_id(self) -> str:
        """The id of the event that tells this version, see `events`."""
        if self.status.is_final:
            return ids.event_id(self.payment_id, self.status)
        told = (self.status, self.next_region, self.home_region, self.epoch, self.version)
        return ids.event_id(self.payment_id, *told)

    @property
    def owner(self) -> str:
        """The region that has to do something next."""
        return self.next_region or self.home_region

    @property
    def open_in(self) -> str:
        """Where the index of open payments has it: its owner, and whether it is still to arrive there."""
        return partition(self.owner, shard=ids.shard(self.payment_id), arriving=bool(self.next_region))

    def may_become(self, to: Status) -> bool:
        """Whether the change is still to be made; False when it (or more) already was.

        Raises
        ------
        PaymentClosedError, PaymentCompensatingError, TransitionNotAllowedError
            When it can never be made.
        """
        if self.status is to or (to is Status.AUTHORIZED and self.status is Status.SETTLED):
            return False
        if self.status.is_final:
            raise PaymentClosedError(f"{self.payment_id} is {self.status}, not to become {to}")
        if self.compensating and to in _PROGRESS:
            raise PaymentCompensatingError(f"{self.payment_id} is being undone")
        if self.status not in ALLOWED_FROM[to]:
            raise TransitionNotAllowedError(f"{self.payment_id}: {self.status} to {to}")
        return True

    def at_home_in(self, region: str) -> Payment:
        """This payment, if `region` is the one that works on it.

        Not from the moment it is handed over: were the old home to write once more, its write
        and the new home's would meet in the replicas, where the later one silently wins.
        """
        if self.home_region != region or self.next_region:
            raise PaymentMovedError(f"{self.payment_id} is at home in {self.next_region or self.home_region}")
        return self

    def taken_by(self, region: str, *, at: str, unasked: bool = False) -> Payment:
        """This payment with a new home; `unasked` when the old one has not handed it over.

        With a claim every region is worth a try again: those that had it before may have been cut short.
        """
        anew = unasked or self.claimed_from == self.home_region
        tried = (region,) if anew else (*(one for one in self.regions_tried if one != region), region)
        # Undoing that was begun elsewhere is not known to have been done: the processor says what was.
        claimed = {"claimed_from": self.home_region, "compensating": ""} if unasked else {}
        return self.changed(
            at=at, home_region=region, regions_tried=tried, next_region="", epoch=self.epoch + 1, resumed=0, **claimed
        )

    def changed(self, *, at: str, **facts: Any) -> Payment:
        """The next version of this payment."""
        return replace(self, version=self.version + 1, updated_at=at, **facts)

    def to_document(self) -> dict[str, Any]:
        """What one step of the workflow hands to the next: facts that are known, no more."""
        document = {
            name: getattr(self, name)
            for name in _FIELDS
            if name != "request_hash" and getattr(self, name) not in ("", 0)
        }
        return document | {"status": str(self.status), "regions_tried": list(self.regions_tried)}

    @classmethod
    def from_document(cls, document: object) -> Payment:
        """Read what `to_document` wrote; what else is in it (a caught error) is left alone.

        Raises
        ------
        InvalidPaymentError
            Naming the first field that is missing or of the wrong type.
        """
        if not isinstance(document, Mapping):
            raise InvalidPaymentError("payment", document, "an object")
        values: dict[str, Any] = {}
        for name, annotation in _FIELDS.items():
            if name in document:
                values[name] = _read(name, annotation, document[name])
            elif name in _REQUIRED:
                raise InvalidPaymentError(name, None, f"a {annotation}")
        return cls(**values)


def partition(region: str, *, shard: str, arriving: bool) -> str:
    """A partition of the index of open payments: of one region, at home there or handed over to it."""
    return f"{region}#{'arriving#' if arriving else ''}{shard}"


_FIELDS: Mapping[str, str] = {field.name: str(field.type) for field in fields(Payment)}
_REQUIRED = frozenset(field.name for field in fields(Payment) if field.default is MISSING)


def _read(name: str, annotation: str, value: object) -> object:
    if annotation == "Status":
        if isinstance(value, str) and value in Status.__members__:
            return Status(value)
        raise InvalidPaymentError(name, value, ", ".join(Status))
    if annotation == "int":
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        raise InvalidPaymentError(name, value, "a positive integer")
    if annotation.startswith("tuple"):
        if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
            return tuple(value)
        raise InvalidPaymentError(name, value, "a list of strings")
    if isinstance(value, str):
        return value
    raise InvalidPaymentError(name, value, "a string")
