"""The whole workflow in one process: the real definition over the real logic, on faked AWS.

A `Fault` hits one operation on AWS or the processor, before or after it takes effect. A twin is a
second execution of the same payment that runs from start to end at one of those points: what an
at-least-once start does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from functions import workflow
from functions.authorize.logic import authorize
from functions.capture.logic import capture
from functions.catalogue import WORKFLOW_FUNCTIONS
from functions.compensate.logic import compensate
from functions.complete.logic import complete
from functions.hand_over.logic import hand_over
from functions.issue_receipt.logic import issue_receipt
from functions.payments.caught import Caught, caught
from functions.payments.errors import (
    LedgerThrottledError,
    LedgerUnavailableError,
    PaymentError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
    ReceiptsUnavailableError,
)
from functions.payments.events import HANDED_OVER, detail, detail_type
from functions.payments.executions import execution_name
from functions.payments.ledger import to_item
from functions.payments.model import Payment, Status
from functions.processor.accounts import Account, InMemoryAccounts
from functions.processor.simulator import CardSimulator
from functions.publish_changes.logic import news
from functions.record_failure.logic import record_failure
from functions.take_over.logic import HandOver, take_over
from functions.validate.logic import validate
from tests.functions.fakes import REGION, InMemoryLedger, InMemoryReceipts, a_payment, ticking_clock
from tests.functions.interpreter import Ended, NamedError, run

DEFINITION: dict[str, Any] = json.loads(
    workflow.render({"partition": "aws", **{f"{name}_arn": name for name in WORKFLOW_FUNCTIONS}})
)


FAULT_ERRORS: tuple[Exception, ...] = (
    LedgerThrottledError(),
    LedgerUnavailableError(),
    ProcessorTimeoutError(),
    ProcessorUnavailableError(),
    ReceiptsUnavailableError(),
    NamedError("States.Timeout"),
    NamedError("Lambda.TooManyRequestsException"),
    NamedError("Runtime.ExitError"),
    KeyError("a bug"),
    PermissionError("AccessDenied"),
)
"""What a search lets an operation fail with."""


@dataclass
class Fault:
    """What happens at the n-th operation (from 0): an error, or a twin execution."""

    at: int
    after: bool
    error: Exception | None = None  # None: a twin runs here


@dataclass
class Stubborn:
    """An operation that never works, e.g. `processor.capture`; in one region or everywhere."""

    operation: str
    after: bool
    error: Exception
    region: str = ""


class Faulty:
    """Passes calls on, and lets the platform make something of each."""

    def __init__(self, target: Any, name: str, platform: Platform, region: str) -> None:
        self._target, self._name, self._platform, self._region = target, name, platform, region

    def __getattr__(self, operation: str) -> Any:
        method = getattr(self._target, operation)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._platform.operate(
                f"{self._name}.{operation}", lambda: method(*args, **kwargs), region=self._region
            )

        return call


@dataclass
class Machine:
    """The state machine of a region: a STANDARD one takes a name once."""

    platform: Platform
    region: str

    def start(self, payment: Payment) -> None:
        execution = (self.region, execution_name(payment))
        if self.platform.express or execution not in self.platform.started:
            self.platform.started.append(execution)
            self.platform.run(payment, self.region)


@dataclass(kw_only=True)
class Step:
    """What the handlers of the workflow do, with the adapters of a region."""

    region: str
    order: Sequence[str]
    ledger: Any
    receipts: Any
    processor: Any
    clock: Callable[[], str]
    avoid: Collection[str] = ()

    def perform(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """One task of the workflow, from document to document."""
        payment = Payment.from_document(event)
        error = caught(event) or Caught("Unknown")
        ledger, processor, clock = self.ledger, self.processor, self.clock
        steps: dict[str, Callable[[], Payment]] = {
            "validate": lambda: validate(payment, region=self.region),
            "authorize": lambda: authorize(payment, ledger=ledger, processor=processor, clock=clock),
            "capture": lambda: capture(payment, processor=processor),
            "issue_receipt": lambda: issue_receipt(payment, receipts=self.receipts),
            "complete": lambda: complete(payment, ledger=ledger, clock=clock).payment,
            "hand_over": lambda: hand_over(payment, order=self.order, ledger=ledger, clock=clock, avoid=self.avoid),
            "compensate": lambda: (
                compensate(payment, reason=error.reason, ledger=ledger, processor=processor, clock=clock).payment
            ),
            "record_failure": lambda: (
                record_failure(
                    payment,
                    caught=error,
                    compensation=caught(event, "compensation_error"),
                    ledger=ledger,
                    clock=clock,
                ).payment
            ),
        }
        return steps[function]().to_document()


@dataclass
class Platform:
    """One payment in the regions of a failover order, and what goes wrong with it.

    Replication takes no time here: the regions share a ledger. What take_over makes of a replica
    that is behind is shown by tests of its own.
    """

    payment: Payment
    faults: list[Fault] = field(default_factory=list)
    stubborn: list[Stubborn] = field(default_factory=list)
    order: tuple[str, ...] = (REGION,)
    express: bool = False

    def __post_init__(self) -> None:
        self.clock = ticking_clock()
        self.books = InMemoryAccounts()
        self.store = InMemoryLedger(self.payment)
        self.archive = InMemoryReceipts()
        self.operations: list[str] = []
        self.ended: list[Ended] = []
        self.started: list[tuple[str, str]] = []
        self.delivered = 0
        self.dead_letters: list[Payment] = []

    def execute(self) -> Ended:
        """Run one execution of the payment as it was accepted, and what follows elsewhere."""
        ended = self.run(self.payment, self.payment.home_region)
        self.deliver()
        return ended

    def run(self, payment: Payment, region: str) -> Ended:
        """Run one execution in a region."""
        ended = run(DEFINITION, payment.to_document(), lambda *call: self.invoke(*call, region=region))
        self.ended.append(ended)
        return ended

    @property
    def handed_over(self) -> list[Payment]:
        """What change capture has published as handed over so far, in any region."""
        told = []
        for before, after in pairwise(self.store.history):
            change = {"NewImage": to_item(after), "OldImage": to_item(before), "SequenceNumber": "1"}
            told += [news({"dynamodb": change}, region=region) for region in self.order]
        return [one for one in told if one and detail_type(one) == HANDED_OVER]

    def deliver(self) -> None:
        """Deliver the hand-overs that have not been delivered yet."""
        while self.delivered < len(self.handed_over):
            self.delivered += 1
            self.take_over(self.handed_over[self.delivered - 1])

    def take_over(self, handed_over: Payment) -> None:
        """Deliver a hand-over until the next region takes it, three times at most."""
        region = handed_over.next_region
        event = json.loads(json.dumps({"detail": detail(handed_over)}))
        ledger, workflow = (
            Faulty(target, name, self, region)
            for target, name in ((self.store, "ledger"), (Machine(self, region), "workflow"))
        )
        for _ in range(3):
            with suppress(PaymentError, NamedError, KeyError, PermissionError):
                told = HandOver.from_event(event, region=region)
                take_over(told, ledger=ledger, workflow=workflow, clock=self.clock, sleep=lambda _: None)
                return
        self.dead_letters.append(handed_over)

    def operate(self, name: str, call: Callable[[], Any], *, region: str) -> Any:
        """One operation, with whatever befalls it."""
        number = len(self.operations)
        self.operations.append(name)
        self._befall(number, name, False, region)
        result = call()
        self._befall(number, name, True, region)
        return result

    def _befall(self, number: int, name: str, after: bool, region: str) -> None:
        for fault in self.faults:
            if (fault.at, fault.after) == (number, after):
                if fault.error is not None:
                    raise fault.error
                self.execute()
        for one in self.stubborn:
            if (one.operation, one.after) == (name, after) and one.region in ("", region):
                raise one.error

    def invoke(self, function: str, event: dict[str, Any], region: str = "") -> dict[str, Any]:
        """One task, with this platform's adapters."""
        region = region or Payment.from_document(event).home_region
        step = Step(
            region=region,
            order=self.order,
            ledger=Faulty(self.store, "ledger", self, region),
            receipts=Faulty(self.archive, "receipts", self, region),
            processor=Faulty(CardSimulator(self.books, self.clock, region=region), "processor", self, region),
            clock=self.clock,
        )
        return self.operate(f"lambda.{function}", lambda: step.perform(function, event), region=region)

    @property
    def final(self) -> Payment:
        """The payment as the ledger has it."""
        return self.store.payments[self.payment.payment_id]

    @property
    def account(self) -> Account:
        """The payment as the processor has it."""
        found = self.books.load(self.payment.payment_id)
        return found or Account(self.payment.payment_id, self.payment.amount, "EUR", "none")

    def check(self) -> None:
        """The invariants of a payment, as far as they can be seen without replication."""
        account, payment = self.account, self.final
        story = (payment, account, self.operations, self.ended)
        closings = [
            one
            for before, one in zip(self.store.history, self.store.history[1:], strict=False)
            if one.status.is_final and before.status is not one.status
        ]
        assert len(closings) <= 1, story
        kept = account.captured - account.refunded
        if payment.status is Status.SETTLED:
            assert kept == payment.amount, story
            assert [payment.receipt_key] == list(self.archive.objects), story
            assert payment.capture_id, story
        elif payment.status.is_final and not payment.reason.startswith("compensation_failed"):
            assert kept == 0, story
            assert account.captured or not account.authorized, story
            assert (payment.status is Status.REFUNDED) == (account.refunded > 0), story
            assert payment.reason, story
        assert [one.version for one in self.store.history] == list(range(1, payment.version + 1)), story
        assert len(set(payment.regions_tried)) == len(payment.regions_tried) <= len(self.order), story
        assert payment.regions_tried[-1] == payment.home_region, story
        assert not (payment.status.is_final and payment.next_region), story
        for before, after in pairwise(self.store.history):  # nobody works on what is handed over
            assert not before.next_region or after.home_region == before.next_region, story
        if not self.express:
            assert len(set(self.started)) == len(self.started), story


def executed(token: str = "tok_visa", *faults: Fault, stubborn: tuple[Stubborn, ...] = ()) -> Platform:
    """A payment after one execution and whatever befell it; the invariants hold."""
    platform = Platform(a_payment(payment_method=token), list(faults), list(stubborn))
    platform.execute()
    platform.check()
    return platform
