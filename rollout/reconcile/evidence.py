"""What was found, before anybody judges it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from functions.payments.model import Payment
from functions.processor.accounts import Account


class Invariant(StrEnum):
    """What must hold."""

    FINAL = "one final state"
    REPLICAS = "same in every region"
    ACCEPTED = "nothing accepted is lost"
    MONEY = "money taken = money settled"
    RECEIPTS = "one receipt, replicated"
    EVENTS = "published once"
    RESIDENCY = "nothing personal elsewhere"


@dataclass(frozen=True)
class Breach:
    """One thing that does not hold: of which payment (empty: of none in particular), and what differs."""

    invariant: Invariant
    payment_id: str
    what: str


@dataclass(frozen=True)
class Entry:
    """A payment as one region's table has it. ``texts`` are all its strings, ``names`` all its attributes' names."""

    payment: Payment
    texts: Collection[str]
    names: Collection[str]


@dataclass(frozen=True)
class Receipt:
    """A version of an object in a region's receipts bucket. ``body`` is None where only the size was asked for."""

    payment_id: str
    key: str
    size: int
    current: bool = True
    body: bytes | None = None


@dataclass(frozen=True)
class Event:
    """A line of a region's event journal."""

    region: str
    detail: Mapping[str, Any]
    names: Collection[str] = ()
    texts: Collection[str] = ()

    @property
    def event_id(self) -> str:
        return str(self.detail.get("event_id", ""))

    @property
    def payment_id(self) -> str:
        return str(self.detail.get("payment_id", ""))


@dataclass(frozen=True)
class Kept:
    """What a region's vault has of a payer."""

    created_at: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that was read, by region; what could not be read is None, and ``unread`` says why, by invariant.

    Attributes
    ----------
    begun_at
        When reading began. The tables of payments are read last, so what any other source has of a payment that was
        not written to since then is complete.
    journalled_since
        From when on each region's journal has every final event.
    payers_since
        From when on a vault still has what came into it.
    accepted
        The payments that callers were told of (202), each with the regions that did, as far as known.
    narrowed
        Whether only some payments are looked at, so that nothing can be said of what belongs to none of them.
    """

    begun_at: str
    regions: tuple[str, ...]
    ledgers: Mapping[str, Mapping[str, Entry]]
    receipts: Mapping[str, Mapping[str, Sequence[Receipt]]]
    accounts: Mapping[str, Account] | None
    events: Mapping[str, Sequence[Event]] | None
    journalled_since: Mapping[str, str] = field(default_factory=dict)
    vaults: Mapping[str, Mapping[str, Kept]]
    payers_since: str = ""
    # Vaults that DynamoDB copies to other regions: region -> where to.
    copied_vaults: Mapping[str, Collection[str]] = field(default_factory=dict)
    accepted: Mapping[str, Collection[str]] = field(default_factory=dict)
    unreadable: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unread: Mapping[Invariant, str] = field(default_factory=dict)
    narrowed: bool = False
