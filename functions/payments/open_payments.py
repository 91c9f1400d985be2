"""The payments that are not finished yet, by the region that has to do something next.

An index of the payments table, `open`, holds them and nothing else: an item is in it while it has
`open_in`, which the write of a final status removes. What it costs is two writes per payment,
because both its keys stay as they are while a payment progresses.

| key | |
|---|---|
| `open_in` | `<region>#<shard>`, or `<region>#arriving#<shard>` while it is handed over to that region |
| `created_at` | so the oldest come first |

Indexes are read eventually consistently: what one lists is read once more in the table itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from functions.payments import aws, ids
from functions.payments.errors import InvalidPaymentError, LedgerThrottledError, LedgerUnavailableError
from functions.payments.ledger import from_item
from functions.payments.model import Payment, partition

INDEX = "open"
READ_AT_ONCE = 100  # BatchGetItem takes no more keys


class Open(NamedTuple):
    """An entry of the index."""

    created_at: str
    payment_id: str


class OpenPayments(Protocol):
    """What the logic asks of the index."""

    def oldest(self, region: str, shard: str, *, arriving: bool, before: str) -> Iterator[Open]:
        """A region's open payments of one shard that were created before a time, oldest first."""
        ...

    def read(self, payment_ids: Sequence[str]) -> tuple[list[Payment], list[str]]:
        """Up to READ_AT_ONCE payments as last written in this region, and the ids of those that
        cannot be read as payments."""
        ...


class DynamoOpenPayments:
    """The index in this region's replica of the payments table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def oldest(self, region: str, shard: str, *, arriving: bool, before: str) -> Iterator[Open]:
        """See `OpenPayments.oldest`. A page is asked for when the one before is used up."""
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": INDEX,
            "KeyConditionExpression": "open_in = :partition AND created_at < :before",
            "ExpressionAttributeValues": {
                ":partition": {"S": partition(region, shard=shard, arriving=arriving)},
                ":before": {"S": before},
            },
        }
        while True:
            with _translated():
                answer = self._client.query(**request)
            yield from (Open(item["created_at"]["S"], item["payment_id"]["S"]) for item in answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def read(self, payment_ids: Sequence[str]) -> tuple[list[Payment], list[str]]:
        """See `OpenPayments.read`. What DynamoDB has no capacity for just now is left out."""
        keys = [{"payment_id": {"S": one}} for one in payment_ids]
        with _translated():
            answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
        payments, unreadable = [], []
        for item in answer["Responses"].get(self._table, []):
            try:
                payments.append(from_item(item))
            except InvalidPaymentError:
                unreadable.append(item["payment_id"]["S"])
        return payments, unreadable


def shards() -> Sequence[str]:
    """The shards of each region's part of the index (docs/decisions/the-sweeper-finishes-what-is-left.md)."""
    return ids.SHARDS


def _translated() -> Any:
    return aws.translated(throttled=LedgerThrottledError, unavailable=LedgerUnavailableError)
