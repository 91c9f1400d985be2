"""Which changes of the ledger are news, and what became of publishing each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from functions.payments import ids
from functions.payments.errors import EventsUnavailableError
from functions.payments.events import EventBus
from functions.payments.ledger import from_item
from functions.payments.model import Payment

Record = Mapping[str, Any]


def news(record: Record, *, region: str) -> Payment | None:
    """The payment whose new status or hand-over a stream record tells, if this region is to
    publish it.

    Every region's stream carries every write of a global table: only the payment's home speaks,
    until another region has taken the payment over. Other writes, deletes, and items about
    regions are no news.

    Raises
    ------
    InvalidPaymentError
        When the image is no payment.
    """
    change = record["dynamodb"]
    image = change.get("NewImage")
    if not image:
        return None
    if ids.is_region_item(image.get("payment_id", {}).get("S", "")):
        return None
    home = image.get("home_region", {}).get("S")
    if home is not None and home != region:
        return None
    before = change.get("OldImage") or {}
    handed_over = "next_region" in image and image["next_region"] != before.get("next_region")
    if before.get("status") == image.get("status") and before and not handed_over:
        return None
    return from_item(image)


def publish(records: Sequence[Record], *, region: str, bus: EventBus) -> dict[str, Exception | None]:
    """Publish what is news, ten to a call; the error of each record by its sequence number."""
    errors: dict[str, Exception | None] = {}
    waiting: list[tuple[str, Payment]] = []
    for record in records:
        number = record["dynamodb"]["SequenceNumber"]
        errors[number] = None
        try:
            payment = news(record, region=region)
        except Exception as error:  # poison: it fails alone
            errors[number] = error
        else:
            if payment is not None:
                waiting.append((number, payment))
    failures = bus.publish([payment for _, payment in waiting])
    for (number, _), failure in zip(waiting, failures, strict=True):
        if failure is not None:
            errors[number] = EventsUnavailableError(failure)
    return errors
