"""The whole workflow in one process: the real definition over the real logic, on faked AWS.

A `Fault` hits one operation on AWS or the processor, before or after it takes effect. A twin is a
second execution of the same payment that runs from start to end at one of those points: what an
at-least-once start does.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from functions import workflow
from functions.authorize.logic import authorize
from functions.capture.logic import capture
from functions.catalogue import WORKFLOW_FUNCTIONS
from functions.compensate.logic import compensate
from functions.complete.logic import complete
from functions.issue_receipt.logic import issue_receipt
from functions.payments.caught import Caught, caught
from functions.payments.model import Payment, Status
from functions.processor.accounts import Account, InMemoryAccounts
from functions.processor.simulator import CardSimulator
from functions.record_failure.logic import record_failure
from functions.validate.logic import validate
from tests.functions.fakes import REGION, InMemoryLedger, InMemoryReceipts, ticking_clock
from tests.functions.interpreter import Ended, run

DEFINITION: dict[str, Any] = json.loads(
    workflow.render({"partition": "aws", **{f"{name}_arn": name for name in WORKFLOW_FUNCTIONS}})
)


@dataclass
class Fault:
    """What happens at the n-th operation (from 0): an error, or a twin execution."""

    at: int
    after: bool
    error: Exception | None = None  # None: a twin runs here


@dataclass
class Stubborn:
    """An operation that never works, e.g. `processor.capture`."""

    operation: str
    after: bool
    error: Exception


class Faulty:
    """Passes calls on, and lets the platform make something of each."""

    def __init__(self, target: Any, name: str, platform: Platform) -> None:
        self._target, self._name, self._platform = target, name, platform

    def __getattr__(self, operation: str) -> Any:
        method = getattr(self._target, operation)

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._platform.operate(f"{self._name}.{operation}", lambda: method(*args, **kwargs))

        return call


@dataclass
class Platform:
    """One region, one payment, and what goes wrong with it."""

    payment: Payment
    faults: list[Fault] = field(default_factory=list)
    stubborn: list[Stubborn] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = ticking_clock()
        self.books = InMemoryAccounts()
        self.store = InMemoryLedger(self.payment)
        self.archive = InMemoryReceipts()
        self.operations: list[str] = []
        self.ended: list[Ended] = []
        self.ledger = Faulty(self.store, "ledger", self)
        self.receipts = Faulty(self.archive, "receipts", self)
        self.processor = Faulty(CardSimulator(self.books, self.clock), "processor", self)
        self.lambdas: dict[str, Any] = {}

    def execute(self) -> Ended:
        """Run one execution."""
        ended = run(DEFINITION, self.payment.to_document(), self.invoke)
        self.ended.append(ended)
        return ended

    def operate(self, name: str, call: Callable[[], Any]) -> Any:
        """One operation, with whatever befalls it."""
        number = len(self.operations)
        self.operations.append(name)
        self._befall(number, name, False)
        result = call()
        self._befall(number, name, True)
        return result

    def _befall(self, number: int, name: str, after: bool) -> None:
        for fault in self.faults:
            if (fault.at, fault.after) == (number, after):
                if fault.error is not None:
                    raise fault.error
                self.execute()
        for one in self.stubborn:
            if (one.operation, one.after) == (name, after):
                raise one.error

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """What the handlers do, with this platform's adapters."""
        payment = Payment.from_document(event)
        error = caught(event) or Caught("Unknown")
        steps: dict[str, Callable[[], Payment]] = {
            "validate": lambda: validate(payment, region=REGION),
            "authorize": lambda: authorize(payment, ledger=self.ledger, processor=self.processor, clock=self.clock),
            "capture": lambda: capture(payment, processor=self.processor),
            "issue_receipt": lambda: issue_receipt(payment, receipts=self.receipts),
            "complete": lambda: complete(payment, ledger=self.ledger, clock=self.clock).payment,
            "compensate": lambda: (
                compensate(
                    payment, reason=error.reason, ledger=self.ledger, processor=self.processor, clock=self.clock
                ).payment
            ),
            "record_failure": lambda: (
                record_failure(
                    payment,
                    caught=error,
                    compensation=caught(event, "compensation_error"),
                    ledger=self.ledger,
                    clock=self.clock,
                ).payment
            ),
        }
        return self.operate(f"lambda.{function}", lambda: steps[function]().to_document())

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
        """The invariants of issue 6 that one region can hold."""
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
