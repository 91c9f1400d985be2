"""The ledger: one item per payment in the payments table, read and written in this region.

| attribute | type | |
|---|---|---|
| `payment_id` | S | partition key |
| `merchant_id`, `currency`, `payment_method` | S | as requested |
| `amount` | N | minor units |
| `request_hash` | S | tells a repeated request from another one |
| `status` | S | see `model.Status` |
| `version` | N | 1 at creation, one more with every write |
| `event_id` | S | see `events` |
| `home_region` | S | the one region that works on it; streams filter on it |
| `regions_tried` | L of S | homes so far, the present one last |
| `next_region` | S | handed over to it; absent once it has taken the payment over |
| `payer_region` | S | whose vault keeps the payer; absent without one |
| `accepted_in`, `claimed_from` | S | see `model.Payment` |
| `epoch` | N | 1 at creation, one more with every change of home |
| `created_at`, `updated_at` | S | UTC, ISO 8601, ms |
| `authorization_id`, `capture_id`, `captured_at`, `refund_id`, `receipt_key` | S | once known |
| `reason` | S | why DECLINED, FAILED or REFUNDED |
| `compensating` | S | reason; present from the moment undoing began |
| `resumed` | N | how often its present home has started it anew; absent before that |
| `open_in` | S | see `open_payments`; absent once the status is final |

Conditions hold in this region only: the table is an eventually consistent global table.

Beside the payments there are items about regions, see `regions`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Protocol

from functions.payments import aws, ids
from functions.payments.errors import (
    LedgerThrottledError,
    LedgerUnavailableError,
    PaymentNotFoundError,
)
from functions.payments.model import Payment

Item = Mapping[str, Mapping[str, Any]]

_NAMES = tuple(field.name for field in fields(Payment))
# What a request has said changes only when another acceptance counts; everything else that is known goes
# with every write, because a step may know what the ledger has not been told yet (the capture).
_FIXED = frozenset(
    {
        "payment_id",
        "merchant_id",
        "amount",
        "currency",
        "payment_method",
        "request_hash",
        "payer_region",
        "created_at",
    }
)


class Ledger(Protocol):
    """What the logic asks of a ledger."""

    def create(self, payment: Payment) -> Payment | None:
        """Add a payment. None when it was added, else the one that has its id already."""
        ...

    def get(self, payment_id: str) -> Payment | None:
        """The payment as last written in this region (strongly consistent)."""
        ...

    def update(self, payment: Payment, *, expected: Payment) -> Payment | None:
        """Replace `expected` by its next version. None when done, else what is there instead.
        What `expected` has and the next version has not is removed.

        Raises PaymentNotFoundError when nothing is there.
        """
        ...


class Regions(Protocol):
    """What the health check asks of the payments table."""

    def is_drained(self, region: str) -> bool:
        """Whether traffic is to leave a region (strongly consistent in this one)."""
        ...


class DynamoLedger:
    """A ledger in DynamoDB. One round trip for each operation, whatever its outcome."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def create(self, payment: Payment) -> Payment | None:
        """See `Ledger.create`."""
        return self._unless_refused(
            self._client.put_item,
            Item=to_item(payment),
            ConditionExpression="attribute_not_exists(payment_id)",
        )

    def get(self, payment_id: str) -> Payment | None:
        """See `Ledger.get`."""
        item = self._get(payment_id)
        return from_item(item) if item else None

    def is_drained(self, region: str) -> bool:
        """See `Regions.is_drained`."""
        item = self._get(ids.region_item_id(region)) or {}
        return item.get("drained", {}).get("BOOL") is True

    def update(self, payment: Payment, *, expected: Payment) -> Payment | None:
        """See `Ledger.update`."""
        before, after = to_item(expected), to_item(payment)
        changes = {name: value for name, value in after.items() if name not in _FIXED or value != before.get(name)}
        gone = [name for name in before if name not in after and name not in _FIXED]
        guards = ("status", "version", "home_region")
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        if gone:
            update += " REMOVE " + ", ".join(f"#{name}" for name in gone)
        return self._unless_refused(
            self._client.update_item,
            Key={"payment_id": {"S": payment.payment_id}},
            UpdateExpression=update,
            ConditionExpression=" AND ".join(f"#{name} = :was_{name}" for name in guards),
            ExpressionAttributeNames={f"#{name}": name for name in (*changes, *gone)},
            ExpressionAttributeValues={
                **{f":{name}": value for name, value in changes.items()},
                **{f":was_{name}": before[name] for name in guards},
            },
        )

    def _get(self, key: str) -> Item | None:
        with _translated():
            answer = self._client.get_item(TableName=self._table, Key={"payment_id": {"S": key}}, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def _unless_refused(self, write: Any, **request: Any) -> Payment | None:
        # The refused write returns the item it met: no second trip, and no gap between them.
        try:
            with _translated():
                write(
                    TableName=self._table,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **request,
                )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item = error.response.get("Item")
            if not item:
                raise PaymentNotFoundError("the ledger has no such payment") from None
            return from_item(item)
        return None


def to_item(payment: Payment) -> dict[str, dict[str, Any]]:
    """A payment in DynamoDB's JSON; what is not known is not written."""
    item: dict[str, dict[str, Any]] = {"event_id": {"S": payment.event_id}}
    for name in _NAMES:
        value = getattr(payment, name)
        if not value:
            continue
        if isinstance(value, int):
            item[name] = {"N": str(value)}
        elif isinstance(value, tuple):
            item[name] = {"L": [{"S": part} for part in value]}
        else:
            item[name] = {"S": str(value)}
    if not payment.status.is_final:
        item["open_in"] = {"S": payment.open_in}
    return item


def from_item(item: Item) -> Payment:
    """A payment from DynamoDB's JSON (an item, or an image of a stream record).

    Raises
    ------
    InvalidPaymentError
        When an attribute is missing or of the wrong type.
    """
    return Payment.from_document({name: _value(item[name]) for name in _NAMES if name in item})


def _value(attribute: Mapping[str, Any]) -> object:
    kind, value = next(iter(attribute.items()))
    if kind == "N":
        return int(value) if str(value).lstrip("-").isdigit() else value
    if kind == "L":
        return [_value(part) for part in value]
    return value


def _translated() -> Any:
    return aws.translated(throttled=LedgerThrottledError, unavailable=LedgerUnavailableError)
