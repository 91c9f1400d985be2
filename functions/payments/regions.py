"""What the payments table says about regions, beside the payments.

| item | attributes | written by |
|---|---|---|
| `region#<region>` | `drained` (BOOL) | who drains or restores a region, in any region |
| `region#<region>#heartbeat` | `seen_at` (S, as the payments' times) | that region's sweeper, each minute |

Read in this region's replica: whether another region is down is decided without asking that region,
and without any control plane.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from functions.payments import aws, clock, ids
from functions.payments.errors import LedgerThrottledError, LedgerUnavailableError
from functions.payments.failover import Standing


class Regions(Protocol):
    """What the logic asks of the items about regions."""

    def standings(self, regions: Sequence[str], *, at: str) -> Mapping[str, Standing]:
        """How each region stands at a time, as far as this one knows (strongly consistent here)."""
        ...

    def beat(self, region: str, *, at: str) -> None:
        """Show the others that a region does its work."""
        ...


class DynamoRegions:
    """The items about regions in this region's replica of the payments table.

    A region is down when its heartbeat is older than `down_after_s`. That is also how long the
    replication from there may stand still before its payments are finished elsewhere.
    """

    def __init__(self, client: Any, table: str, *, down_after_s: int) -> None:
        self._client = client
        self._table = table
        self._down_after_s = down_after_s

    def standings(self, regions: Sequence[str], *, at: str) -> Mapping[str, Standing]:
        """See `Regions.standings`. One round trip for up to 50 regions."""
        keys = [name(region) for region in regions for name in (ids.region_item_id, ids.heartbeat_item_id)]
        request = {self._table: {"Keys": [{"payment_id": {"S": key}} for key in keys], "ConsistentRead": True}}
        with _translated():
            answer = self._client.batch_get_item(RequestItems=request)
        if answer.get("UnprocessedKeys"):
            raise LedgerThrottledError("BatchGetItem: UnprocessedKeys")
        items = {item["payment_id"]["S"]: item for item in answer["Responses"].get(self._table, [])}
        dead_since = clock.before(at, self._down_after_s)
        return {
            region: _standing(
                items.get(ids.region_item_id(region), {}), items.get(ids.heartbeat_item_id(region), {}), dead_since
            )
            for region in regions
        }

    def beat(self, region: str, *, at: str) -> None:
        """See `Regions.beat`."""
        with _translated():
            self._client.update_item(
                TableName=self._table,
                Key={"payment_id": {"S": ids.heartbeat_item_id(region)}},
                UpdateExpression="SET seen_at = :at",
                ExpressionAttributeValues={":at": {"S": at}},
            )


def _standing(switch: Mapping[str, Any], heartbeat: Mapping[str, Any], dead_since: str) -> Standing:
    seen_at, drained = heartbeat.get("seen_at", {}).get("S", ""), switch.get("drained", {}).get("BOOL") is True
    if not seen_at and not drained:
        return Standing.UNKNOWN
    if seen_at < dead_since:
        return Standing.DOWN
    return Standing.DRAINED if drained else Standing.ALIVE


def _translated() -> Any:
    return aws.translated(throttled=LedgerThrottledError, unavailable=LedgerUnavailableError)
