"""Three regions, each with its own replica of the ledger, and everything that can go wrong between them.

The logic and the workflow's definition are the real ones. Here are AWS and the processor: replicas to which
writes of other regions come late and in any order, where the last writer wins; streams; a bus between the
regions; a processor that all share. What happens next, a test says: `World` has a method for each thing that
can.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.payments.errors import FinalError, PaymentError, PaymentNotFoundError, TransientError
from functions.payments.events import HANDED_OVER, detail, detail_type
from functions.payments.executions import execution_name
from functions.payments.failover import Standing, to_avoid
from functions.payments.ledger import to_item
from functions.payments.model import Payment
from functions.payments.open_payments import Open
from functions.payments.request import PaymentRequest
from functions.payments.vault import Payer
from functions.payments_api.logic import ensure_started, submit
from functions.processor.accounts import InMemoryAccounts
from functions.processor.simulator import CardSimulator
from functions.publish_changes.logic import news
from functions.record_failure.logic import UNRESOLVED
from functions.sweep_payments.logic import Rules, Sweep, Sweeper
from functions.take_over.logic import HandOver, take_over
from tests.functions.fakes import InMemoryReceipts
from tests.functions.interpreter import Ended, NamedError, run
from tests.functions.platform import DEFINITION, Step
from tests.model.tasks import Task, stop_at

ORDER = ("us-east-1", "eu-west-1", "ap-southeast-1")
WORKFLOW_S = DEFINITION["TimeoutSeconds"]
STALE_AFTER_S, DOWN_AFTER_S = 300, 180
_BEGIN = datetime(2025, 3, 1, 12, tzinfo=UTC)


class GaveUpError(NamedError):
    """Step Functions waits no longer for a function, which goes on all the same."""

    def __init__(self) -> None:
        super().__init__("States.Timeout")


@dataclass(frozen=True)
class Written:
    """A payment as one write has made it; the later one wins everywhere."""

    payment: Payment
    stamp: tuple[int, str]


@dataclass
class Region:
    """What is kept in one region, and what is on its way to it."""

    name: str
    items: dict[str, Written] = field(default_factory=dict)
    coming: list[Written] = field(default_factory=list)
    stream: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    receipts: InMemoryReceipts = field(default_factory=InMemoryReceipts)
    vault: dict[str, Payer] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    up: bool = True

    def store(self, written: Written) -> None:
        """Have it in this replica, unless it has a later one."""
        payment_id = written.payment.payment_id
        before = self.items.get(payment_id)
        if before is not None and before.stamp >= written.stamp:
            return
        self.items[payment_id] = written
        change = {"NewImage": to_item(written.payment), "SequenceNumber": str(written.stamp[0])}
        self.stream.append({"dynamodb": change | ({"OldImage": to_item(before.payment)} if before else {})})


class Faulty:
    """Stops before and after every operation of an adapter: it may fail before or after its effect."""

    def __init__(self, target: Any, name: str) -> None:
        self._target, self._name = target, name

    def __getattr__(self, operation: str) -> Any:
        method, point = getattr(self._target, operation), f"{self._name}.{operation}"

        def call(*args: Any, **kwargs: Any) -> Any:
            stop_at(point)
            answer = method(*args, **kwargs)
            stop_at(f"{point} done")
            return answer

        return call


@dataclass
class Replica:
    """The ledger of a region, and its index of open payments."""

    world: World
    region: Region

    def create(self, payment: Payment) -> Payment | None:
        known = self.get(payment.payment_id)
        return known or self._write(payment)

    def get(self, payment_id: str) -> Payment | None:
        written = self.region.items.get(payment_id)
        return written.payment if written else None

    def update(self, payment: Payment, *, expected: Payment) -> Payment | None:
        known = self.get(payment.payment_id)
        if known is None:
            raise PaymentNotFoundError(payment.payment_id)
        if any(getattr(known, name) != getattr(expected, name) for name in ("status", "version", "home_region")):
            return known
        return self._write(replace(payment, request_hash=payment.request_hash or known.request_hash))

    def _write(self, payment: Payment) -> None:
        if payment.reason.startswith(UNRESOLVED):
            self.world.given_up.add(payment.payment_id)
        written = Written(payment, (self.world.tick(), self.region.name))
        self.region.store(written)
        for other in self.world.regions.values():
            if other is not self.region:
                other.coming.append(written)

    # the index

    def oldest(self, region: str, shard: str, *, arriving: bool, before: str) -> Iterator[Open]:
        found = [one.payment for one in self.region.items.values() if not one.payment.status.is_final]
        here = [one for one in found if one.owner == region and bool(one.next_region) is arriving]
        return iter(sorted(Open(one.created_at, one.payment_id) for one in here if one.created_at < before))

    def read(self, payment_ids: Sequence[str]) -> tuple[list[Payment], list[str]]:
        return [self.region.items[one].payment for one in payment_ids], []

    # the items about regions

    def standings(self, regions: Sequence[str], *, at: str) -> Mapping[str, Standing]:
        dead = {one for one in regions if not self.world.regions[one].up} | self.world.suspected
        return {one: Standing.DOWN if one in dead else Standing.ALIVE for one in regions}

    def beat(self, region: str, *, at: str) -> None:
        return None


@dataclass
class Vault:
    region: Region

    def keep(self, payment_id: str, payer: Payer, *, at: str) -> None:
        self.region.vault.setdefault(payment_id, payer)

    def get(self, payment_id: str, *, at: str) -> Payer | None:
        return self.region.vault.get(payment_id)


@dataclass
class Machine:
    """The state machine of a region: a STANDARD one takes a name once, EXPRESS runs again."""

    world: World
    region: Region

    def start(self, payment: Payment) -> None:
        name = execution_name(payment)
        if self.world.express or name not in self.region.names:
            self.region.names.add(name)
            self.world.execute(payment, self.region)


class World:
    """Regions, and one method for each thing that can happen."""

    def __init__(self, *, express: bool = False) -> None:
        self.express = express
        self.regions = {name: Region(name) for name in ORDER}
        self.suspected: set[str] = set()
        self.books = InMemoryAccounts()
        self.tasks: list[Task] = []
        self.ended: list[tuple[str, Ended]] = []
        self.published: list[tuple[str, str, dict[str, Any]]] = []
        self.accepted: dict[str, set[str]] = {}
        self.given_up: set[str] = set()
        self.payers: dict[tuple[str, str], set[Payer]] = {}
        self._ms = 0
        self._writes = 0

    # -- time -----------------------------------------------------------------------------------

    def clock(self) -> str:
        self._ms += 1
        at = _BEGIN + timedelta(milliseconds=self._ms)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def tick(self) -> int:
        self._writes += 1
        return self._writes

    def wait(self, seconds: int) -> None:
        """Time passes. An execution does not outlast its machine's limit, where that works."""
        self._ms += seconds * 1000
        if seconds >= WORKFLOW_S:
            for task in self.tasks:
                if task.at and task.name != "function" and self.regions[task.region].up:
                    task.kill()
            self.tidy()

    # -- what is asked for -------------------------------------------------------------------------

    def submit(self, request: PaymentRequest, region: str) -> Task:
        """A merchant asks a region for a payment."""
        here = self.regions[region]
        ledger, vault, machine = (
            Faulty(target, name)
            for target, name in (
                (Replica(self, here), "ledger"),
                (Vault(here), "vault"),
                (Machine(self, here), "workflow"),
            )
        )

        def work() -> str:
            try:
                payment, _ = submit(request, ledger=ledger, vault=vault, region=region, clock=self.clock)
            except (PaymentError, NamedError) as error:
                return type(error).__name__
            self.accepted.setdefault(payment.payment_id, set()).add(region)
            try:
                ensure_started(payment, workflow=machine, region=region)
            except (PaymentError, NamedError) as error:
                return type(error).__name__
            return payment.payment_id

        if request.payer:
            payment_id = request.to_payment(region=region, at="").payment_id
            self.payers.setdefault((region, payment_id), set()).add(request.payer)
        return self._task("request", region, work)

    def execute(self, payment: Payment, region: Region) -> Task:
        """An execution of the workflow begins."""
        document = payment.to_document()

        def work() -> None:
            ended = run(DEFINITION, document, lambda *call: self._invoke(*call, region=region))
            self.ended.append((payment.payment_id, ended))

        return self._task("execution", region.name, work)

    def _invoke(self, function: str, event: dict[str, Any], *, region: Region) -> dict[str, Any]:
        replica = Replica(self, region)
        step = Step(
            region=region.name,
            order=ORDER,
            ledger=Faulty(replica, "ledger"),
            receipts=Faulty(region.receipts, "receipts"),
            processor=Faulty(CardSimulator(self.books, self.clock, region=region.name), "processor"),
            clock=self.clock,
            avoid=to_avoid(replica.standings(ORDER, at="")),
        )
        try:
            stop_at(f"lambda.{function}")
        except GaveUpError:
            self._task("function", region.name, lambda: _swallow(lambda: step.perform(function, event)))
            raise
        answer = step.perform(function, event)
        stop_at(f"lambda.{function} done")
        return answer

    def _task(self, name: str, region: str, work: Callable[[], Any]) -> Task:
        task = Task(name, region, work)
        self.tasks.append(task)
        return task

    # -- what happens by itself ----------------------------------------------------------------------

    def step(self, task: Task, thrown: BaseException | None = None) -> None:
        """A task goes on, where its region works."""
        if task.at and self.regions[task.region].up:
            task.step(thrown)
            self.tidy()

    def finish(self, task: Task) -> None:
        """A task runs to its end, undisturbed."""
        while task.at and self.regions[task.region].up:
            self.step(task)

    def crash(self, number: int) -> None:
        """A task ends where it stands."""
        if self.tasks:
            self.tasks[number % len(self.tasks)].kill()
            self.tidy()

    def take_for_dead(self, region: str) -> None:
        """The others take a region's payments over; it goes on all the same."""
        self.suspected = {region}
        self.wait(DOWN_AFTER_S + 10)
        for name in ORDER:
            self.sweep(name)

    def tidy(self) -> None:
        self.tasks = [task for task in self.tasks if task.at]

    def replicate(self, region: str, number: int = 0) -> None:
        """A write of another region arrives."""
        here = self.regions[region]
        if here.up and here.coming:
            here.store(here.coming.pop(number % len(here.coming)))

    def publish(self, region: str, *, again: bool = False) -> None:
        """Change capture gets the next record of the stream."""
        here = self.regions[region]
        if not here.up or not here.stream:
            return
        record = here.stream[0] if again else here.stream.pop(0)
        payment = news(record, region=region)
        if payment is None:
            return
        told = json.loads(json.dumps(detail(payment)))
        self.published.append((region, detail_type(payment), told))
        if detail_type(payment) == HANDED_OVER:
            self.regions[payment.next_region].events.append({"detail": told})

    def deliver(self, region: str, number: int = 0, *, again: bool = False) -> Task | None:
        """A hand-over reaches the region that is to take it."""
        here = self.regions[region]
        if not here.up or not here.events:
            return None
        number %= len(here.events)
        event = here.events[number] if again else here.events.pop(number)
        ledger, machine = Faulty(Replica(self, here), "ledger"), Faulty(Machine(self, here), "workflow")

        def work() -> str:
            try:
                told = HandOver.from_event(event, region=region)
                take_over(told, ledger=ledger, workflow=machine, clock=self.clock, sleep=lambda _: None)
            except (TransientError, NamedError) as error:
                return type(error).__name__
            return ""

        return self._task("take_over", region, work)

    def lose(self, region: str) -> None:
        """A hand-over gets lost on its way."""
        if self.regions[region].events:
            self.regions[region].events.pop(0)

    def sweep(self, region: str) -> Sweep | None:
        """A region's sweeper runs."""
        here = self.regions[region]
        if not here.up:
            return None
        replica = Replica(self, here)
        rules = Rules(region=region, order=ORDER, stale_after_s=STALE_AFTER_S, down_after_s=DOWN_AFTER_S)
        machine = Machine(self, here)
        sweeper = Sweeper(
            rules, regions=replica, open_payments=replica, ledger=replica, workflow=machine, clock=self.clock
        )
        return sweeper.run()

    # -- the end -----------------------------------------------------------------------------------

    def settle_down(self) -> None:
        """All is well from now on, and everything that is to happen happens."""
        self.suspected.clear()
        for region in self.regions.values():
            region.up = True
        for round in range(20):
            self.calm()
            if all(one.payment.status.is_final for region in self.regions.values() for one in region.items.values()):
                return
            self.wait(STALE_AFTER_S if round < 8 else 2 * 3600)
            for name in ORDER:
                self.sweep(name)
        self.calm()

    def calm(self, *, but: str = "") -> None:
        """What is under way arrives and is worked on; but nothing arrives in one region."""
        while True:
            busy = bool(self.tasks)
            while self.tasks:
                self.finish(self.tasks[0])
            for name, region in self.regions.items():
                if name == but:
                    continue
                while region.coming:
                    busy = True
                    self.replicate(name)
                while region.stream:
                    busy = True
                    self.publish(name)
                while region.events:
                    busy = True
                    self.deliver(name)
            if not busy:
                return

    def stop(self) -> None:
        """End every thread."""
        while self.tasks:
            self.tasks.pop().kill()


def _swallow(work: Callable[[], Any]) -> None:
    try:
        work()
    except (PaymentError, FinalError):
        return
