"""Global tables that replicate late, and meet: the last writer wins.

Upstream, and here unless a drill asks: a write is in every replica before it is answered, so conflicts cannot happen.

AWS: a multi-Region eventually consistent table replicates "typically within a second or less"; of two writes to one
item in different regions the later one wins in all of them, silently; while a region is isolated "DynamoDB keeps track
of any writes that have been performed but have not yet been propagated to all of the replica tables" and propagates
them when it is back (Developer Guide, "How DynamoDB global tables work").

Patched: `_replicate_write`. The time of a write is this machine's clock. Which tables: the `lag` of the faults; a table
without one replicates at once, also with a region that is down (the simulated processor's record stands for one party).
"""

from __future__ import annotations

import asyncio
import copy
import time
from dataclasses import dataclass
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.faults import CONTROL

Place = tuple[str, str, str, Any, Any]


@dataclass(frozen=True)
class Write:
    """One write to a replica: what an item became (None: deleted), when, and in which region."""

    account: str
    table: str
    origin: str
    at: float
    partition: Any
    sort: Any
    item: Any

    @property
    def rank(self) -> tuple[float, str]:
        return self.at, self.origin

    def place(self, region: str) -> Place:
        return self.account, region, self.table, self.partition, self.sort


class Replication:
    """The writes on their way, and which write each replica's items come from."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.on_their_way: dict[int, tuple[Write, str]] = {}
        self._newest: dict[Place, tuple[float, str]] = {}
        self._number = 0

    def send(self, write: Write, regions: list[str], lag_s: float) -> None:
        """Have a write arrive in the other regions after the lag."""
        self._newest[write.place(write.origin)] = write.rank
        for region in regions:
            self._number += 1
            self.on_their_way[self._number] = (write, region)
            if self.loop is not None:
                self.loop.call_soon_threadsafe(self.loop.call_later, lag_s, self.arrive, self._number)

    def settle(self) -> None:
        """After the faults have changed: what nothing holds back any more arrives, the oldest write first."""
        for number, (write, _) in sorted(self.on_their_way.items(), key=lambda one: one[1][0].rank):
            lag = CONTROL.lag_of(write.table)
            if lag is None or time.time() >= write.at + lag:
                self.arrive(number)
        if not self.on_their_way and not CONTROL.faults.lag:
            self._newest.clear()

    def arrive(self, number: int) -> None:
        """Bring a write to its region; it stays on its way while one of the two ends is down."""
        if number not in self.on_their_way:
            return
        write, region = self.on_their_way[number]
        if CONTROL.lag_of(write.table) is not None and (CONTROL.is_down(region) or CONTROL.is_down(write.origin)):
            return
        del self.on_their_way[number]
        place = write.place(region)
        if self._newest.get(place, (0.0, "")) > write.rank:
            CONTROL.count("write lost to a later one")
            return
        self._newest[place] = write.rank
        _store(write, region)


_REPLICATION = Replication()


def apply() -> None:
    tables = module("services.dynamodb")

    def replicate(original: Any, table: Any, event: str, old: Any, new: Any) -> None:
        name, regions = table["TableName"], tables._replica_group(table)
        lag = CONTROL.lag_of(name)
        if lag is None or not regions:
            original(table, event, old, new)
            return
        item = new if new is not None else old
        write = Write(
            account=tables.get_account_id(),
            table=name,
            origin=tables.get_region(),
            at=time.time(),
            partition=tables._extract_key_val(item.get(table["pk_name"])),
            sort=tables._extract_key_val(item.get(table["sk_name"])) if table["sk_name"] else "__no_sort__",
            item=copy.deepcopy(new),
        )
        _REPLICATION.send(write, [region for region in regions if region != write.origin], lag)

    wrap(tables, "_replicate_write", replicate)


def use_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Items are only written on the loop that serves requests."""
    _REPLICATION.loop = loop


def settle() -> None:
    _REPLICATION.settle()


def state() -> dict[str, int]:
    """How many writes are on their way."""
    return {"replicating": len(_REPLICATION.on_their_way)}


def _store(write: Write, region: str) -> None:
    tables, scope = module("services.dynamodb"), module("core.responses").request_scope
    with scope(write.account, region):
        replica = tables._tables.get(write.table)
        if replica is None:
            return
        before = replica["items"].get(write.partition, {}).get(write.sort)
        if write.item is None:
            tables._remove_item(replica, write.partition, write.sort)
        else:
            tables._set_item(replica, write.partition, write.sort, copy.deepcopy(write.item))
        if write.item is not None or before is not None:
            event = "REMOVE" if write.item is None else ("MODIFY" if before else "INSERT")
            tables._emit_stream_event(write.table, event, before, copy.deepcopy(write.item), replicate=False)
    with scope(write.account, write.origin):
        module("services.cloudwatch").record_metric(
            "AWS/DynamoDB",
            "ReplicationLatency",
            (time.time() - write.at) * 1000.0,
            "Milliseconds",
            {"TableName": write.table, "ReceivingRegion": region},
        )
