"""Payment events: what a change of a payment looks like to others, and putting it on the bus.

Events come at least once, and a consumer drops an `event_id` that it has seen. The id of a final status
follows from the payment and the status alone: the region that a payment was claimed from may have told of
its end, and the region that went on tells of it again. Any other event is one of a home, its epoch and a
version, because the records of two regions that have accepted one key have versions of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from functions.payments import aws
from functions.payments.errors import EventsUnavailableError
from functions.payments.model import Payment, Status

SOURCE = "tripoint.payments"
DETAIL_TYPES: Mapping[Status, str] = {status: f"Payment{status.value.capitalize()}" for status in Status}
HANDED_OVER = "PaymentHandedOver"
_ENTRIES_PER_CALL = 10  # PutEvents takes no more


class EventBus(Protocol):
    """What the logic asks of an event bus."""

    def publish(self, payments: Sequence[Payment]) -> list[str | None]:
        """Publish one event for each change; for each the reason it failed, or None."""
        ...


def detail(payment: Payment) -> dict[str, Any]:
    """What an event tells: ids, tokens and amounts; nothing personal, no payment method.

    `origin_region` is the region that publishes it, the payment's home; routes between regions
    match on it and on `regions_tried`, so that nothing goes in circles. A payment that is handed
    over has `next_region` too, which is none of `regions_tried`.
    """
    told = {
        "event_id": payment.event_id,
        "payment_id": payment.payment_id,
        "status": str(payment.status),
        "version": payment.version,
        "amount": payment.amount,
        "currency": payment.currency,
        "merchant_id": payment.merchant_id,
        "origin_region": payment.home_region,
        "regions_tried": list(payment.regions_tried),
        "occurred_at": payment.updated_at,
    }
    return told | ({"next_region": payment.next_region} if payment.next_region else {})


def detail_type(payment: Payment) -> str:
    """What kind of event a change is: a hand-over, or the status that was reached."""
    return HANDED_OVER if payment.next_region else DETAIL_TYPES[payment.status]


class EventBridgeBus:
    """The event bus of this region."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def publish(self, payments: Sequence[Payment]) -> list[str | None]:
        """See `EventBus.publish`."""
        failures: list[str | None] = []
        for start in range(0, len(payments), _ENTRIES_PER_CALL):
            failures += self._put(payments[start : start + _ENTRIES_PER_CALL])
        return failures

    def _put(self, payments: Sequence[Payment]) -> list[str | None]:
        try:
            with aws.translated(throttled=EventsUnavailableError, unavailable=EventsUnavailableError):
                answer = self._client.put_events(Entries=[self._entry(one) for one in payments])
        except EventsUnavailableError as error:
            return [str(error)] * len(payments)
        return [entry.get("ErrorCode") for entry in answer["Entries"]]

    def _entry(self, payment: Payment) -> dict[str, Any]:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": detail_type(payment),
            "Detail": json.dumps(detail(payment)),
        }
