"""Reading the evidence: all pages of everything, regions and parts at the same time."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from functions.payments import ids
from functions.payments.clock import now
from functions.payments.errors import InvalidPaymentError, PaymentError
from functions.payments.ledger import from_item
from functions.processor.accounts import Account, DynamoAccounts
from rollout.outputs import OutputMissingError
from rollout.reconcile.evidence import Entry, Event, Evidence, Invariant, Kept, Receipt
from rollout.reconcile.residency import names_and_texts
from rollout.reconcile.times import before, written
from rollout.target import Target, one_line
from shared.config import Environment
from shared.errors import TripointError

SEGMENTS = 4  # of a table, read at the same time
GETS = 8  # receipts of a region, read at the same time; a client has ten connections
_TELL_EVERY_S = 5.0
_DAY_S = 86_400

PREFIX = "receipts/"
JOURNAL = "event_journal_name"

T = TypeVar("T")
Item = Mapping[str, Mapping[str, Any]]
Say = Callable[[str], None]


class ReadError(TripointError):
    """Something that the verdict needs cannot be read."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which evidence is wanted.

    Attributes
    ----------
    since
        Only payments created at that time or later; "" for all.
    merchant
        Only this merchant's; "" for all.
    accepted
        What callers were told of, see `Evidence.accepted`.
    bodies
        Whether receipts are read, not only listed with their sizes: a request for each, in every region.
    """

    since: str = ""
    merchant: str = ""
    accepted: Mapping[str, Sequence[str]] | None = None
    bodies: bool = True

    @property
    def narrowed(self) -> bool:
        return bool(self.since or self.merchant)


class _Counter:
    """Says now and then how far the reading is."""

    def __init__(self, say: Say) -> None:
        self._say, self._lock = say, threading.Lock()
        self._counts: dict[str, int] = defaultdict(int)
        self._last = time.monotonic()

    def add(self, what: str, number: int) -> None:
        with self._lock:
            self._counts[what] += number
            if time.monotonic() - self._last < _TELL_EVERY_S:
                return
            self._last = time.monotonic()
            told = ", ".join(f"{count:,} {thing}" for thing, count in self._counts.items())
        self._say(f"read so far: {told}")


class Reader:
    """Reads what is deployed, by the flat outputs, with an operator's credentials."""

    def __init__(self, environment: Environment, outputs: Mapping[str, Any], target: Target, say: Say) -> None:
        self._environment, self._outputs, self._target = environment, outputs, target
        self._regions = tuple(environment.regions)
        self._counter = _Counter(say)

    def read(self, wanted: Wanted) -> Evidence:
        """Everything there is.

        The payments are read after all the rest: so whatever is found elsewhere, its payment is there to be found.

        Raises
        ------
        ReadError, OutputMissingError
            Naming what cannot be read, and of which region.
        """
        begun_at, unread = now(), self._unread()
        retention = min(settings.residency.vault_retention_days for settings in self._environment.regions.values())
        journals: dict[str, Future[list[Event]]] = {}
        since: dict[str, Future[str]] = {}
        with ThreadPoolExecutor(max_workers=2 * SEGMENTS * len(self._regions) + 1) as pool:
            accounts = None if Invariant.MONEY in unread else pool.submit(self._accounts)
            vaults = {region: self._scan(pool, region, "vault_table_name", "payers") for region in self._regions}
            copies = self._everywhere(pool, self._vault_copies)
            receipts = self._everywhere(pool, lambda region: self._receipts(region, bodies=wanted.bodies))
            if Invariant.EVENTS not in unread:
                journals = self._everywhere(pool, lambda region: self._events(region, wanted.since))
                since = self._everywhere(pool, lambda region: self._journalled_since(region, begun_at))
            evidence = Evidence(
                begun_at=begun_at,
                regions=self._regions,
                ledgers={},
                receipts=_results(receipts),
                accounts=accounts.result() if accounts else None,
                events=_by_payment(_results(journals)) if journals else None,
                journalled_since=_results(since),
                vaults={region: _kept(_joined(parts)) for region, parts in vaults.items()},
                payers_since=before(begun_at, retention * _DAY_S),
                copied_vaults=_results(copies),
                accepted=wanted.accepted or {},
                unread=unread,
            )
            tables = {region: self._scan(pool, region, "payments_table_name", "payments") for region in self._regions}
            read = {region: _ledger(_joined(parts)) for region, parts in tables.items()}
        evidence = replace(
            evidence,
            ledgers={region: ledger for region, (ledger, _) in read.items()},
            unreadable={region: keys for region, (_, keys) in read.items()},
        )
        return narrowed(evidence, wanted) if wanted.narrowed else evidence

    def _unread(self) -> dict[Invariant, str]:
        unread = {}
        if self._environment.processor.kind != "simulator":
            unread[Invariant.MONEY] = "the processor keeps its record to itself (processor.kind is not simulator)"
        lacking = [region for region in self._regions if not self._outputs.get(f"compute-{region}.{JOURNAL}")]
        if lacking:
            unread[Invariant.EVENTS] = f"no event journal is deployed in {', '.join(lacking)}"
        return unread

    def _accounts(self) -> dict[str, Account]:
        region = self._environment.primary
        table, client = self._output(region, "processor_table_name"), self._target.client("dynamodb", region)
        accounts = {}
        with _readable(region, "the processor's record"):
            for account in DynamoAccounts(table, region, client).all():
                accounts[account.payment_id] = account
                self._counter.add("accounts", 1)
        return accounts

    def _scan(self, pool: ThreadPoolExecutor, region: str, output: str, what: str) -> list[Future[list[Item]]]:
        table, client = self._output(region, output), self._target.client("dynamodb", region)

        def segment(number: int) -> list[Item]:
            items: list[Item] = []
            pages = client.get_paginator("scan").paginate(
                TableName=table, ConsistentRead=True, Segment=number, TotalSegments=SEGMENTS
            )
            with _readable(region, f"table {table}"):
                for page in pages:
                    items += page["Items"]
                    self._counter.add(what, len(page["Items"]))
            return items

        return [pool.submit(segment, number) for number in range(SEGMENTS)]

    def _vault_copies(self, region: str) -> Collection[str]:
        table = self._output(region, "vault_table_name")
        with _readable(region, f"table {table}"):
            found = self._target.client("dynamodb", region).describe_table(TableName=table)["Table"]
        return [str(replica["RegionName"]) for replica in found.get("Replicas", [])]

    def _receipts(self, region: str, *, bodies: bool) -> Mapping[str, Sequence[Receipt]]:
        bucket, client = self._output(region, "receipts_bucket_name"), self._target.client("s3", region)
        found: dict[str, list[Receipt]] = defaultdict(list)

        def receipt(version: Mapping[str, Any]) -> Receipt:
            body = None
            if bodies:
                with _readable(region, f"{bucket}/{version['Key']}"):
                    answer = client.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
                    body = answer["Body"].read()
            self._counter.add("receipts", 1)
            id = version["Key"].rsplit("/", 1)[-1].removesuffix(".json")
            return Receipt(id, version["Key"], version["Size"], version["IsLatest"], body)

        with ThreadPoolExecutor(max_workers=GETS) as pool, _readable(region, f"bucket {bucket}"):
            for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=PREFIX):
                for one in pool.map(receipt, page.get("Versions", [])):
                    found[one.payment_id].append(one)
        return found

    def _events(self, region: str, since: str) -> list[Event]:
        group = self._outputs[f"compute-{region}.{JOURNAL}"]
        start = {"startTime": int(datetime.fromisoformat(since).timestamp() * 1000)} if since else {}
        events = []
        pages = self._target.client("logs", region).get_paginator("filter_log_events")
        with _readable(region, f"log group {group}"):
            for page in pages.paginate(logGroupName=group, **start):
                for line in page["events"]:
                    detail = json.loads(line["message"])["detail"]
                    events.append(Event(region, detail, *names_and_texts(detail)))
                self._counter.add("events", len(page["events"]))
        return events

    def _journalled_since(self, region: str, at: str) -> str:
        """A journal knows nothing of what was published before it was made, and forgets."""
        group = self._outputs[f"compute-{region}.{JOURNAL}"]
        with _readable(region, f"log group {group}"):
            groups = self._target.client("logs", region).describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        made = [one["creationTime"] for one in groups if one["logGroupName"] == group]
        if not made:
            raise ReadError(f"{region}: log group {group} is not there")
        kept = before(at, self._environment.regions[region].logs.retention_days * _DAY_S)
        return max(written(datetime.fromtimestamp(made[0] / 1000, UTC)), kept)

    def _output(self, region: str, name: str) -> str:
        value = self._outputs.get(f"data-{region}.{name}")
        if not value:
            raise OutputMissingError(f"data-{region} is not deployed (no output {name}); run: tripoint rollout")
        return str(value)

    def _everywhere(self, pool: ThreadPoolExecutor, read: Callable[[str], T]) -> dict[str, Future[T]]:
        return {region: pool.submit(read, region) for region in self._regions}


def narrowed(evidence: Evidence, wanted: Wanted) -> Evidence:
    """The evidence of a merchant's payments, or of those since a time, alone."""
    chosen = {
        key
        for ledger in evidence.ledgers.values()
        for key, entry in ledger.items()
        if entry.payment.created_at >= wanted.since and wanted.merchant in ("", entry.payment.merchant_id)
    }

    def of(found: Mapping[str, T]) -> dict[str, T]:
        return {key: value for key, value in found.items() if key in chosen}

    return replace(
        evidence,
        ledgers={region: of(ledger) for region, ledger in evidence.ledgers.items()},
        receipts={region: of(receipts) for region, receipts in evidence.receipts.items()},
        vaults={region: of(vault) for region, vault in evidence.vaults.items()},
        accounts=None if evidence.accounts is None else of(evidence.accounts),
        events=None if evidence.events is None else of(evidence.events),
        narrowed=True,
    )


def _ledger(items: Iterable[Item]) -> tuple[dict[str, Entry], list[str]]:
    """The payments of a table, and the keys of what is neither a payment nor about a region."""
    payments: dict[str, Entry] = {}
    unreadable = []
    for item in items:
        key = item["payment_id"]["S"]
        if ids.is_region_item(key):
            continue
        try:
            payment = from_item(item)
        except InvalidPaymentError:
            unreadable.append(key)
            continue
        names, texts = names_and_texts({name: _plain(value) for name, value in item.items()})
        payments[key] = Entry(payment, texts, names)
    return payments, unreadable


def _kept(items: Iterable[Item]) -> dict[str, Kept]:
    found = {}
    for item in items:
        _, values = names_and_texts(_plain(item.get("payer", {"M": {}})))
        found[item["payment_id"]["S"]] = Kept(item.get("created_at", {}).get("S", ""), tuple(values))
    return found


def _plain(attribute: Mapping[str, Any]) -> object:
    [(kind, value)] = attribute.items()
    if kind == "M":
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if kind == "L" else value


def _by_payment(events: Mapping[str, list[Event]]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for journal in events.values():
        for event in journal:
            found[event.payment_id].append(event)
    return dict(found)


def _joined(parts: Iterable[Future[list[Item]]]) -> Iterator[Item]:
    for part in parts:
        yield from part.result()


def _results(futures: Mapping[str, Future[T]]) -> dict[str, T]:
    return {region: future.result() for region, future in futures.items()}


@contextmanager
def _readable(region: str, what: str) -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, PaymentError) as error:
        raise ReadError(f"{region}: {what} cannot be read: {one_line(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(f"{region}: {what} holds what does not belong there: {one_line(error)}") from error
