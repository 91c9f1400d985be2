"""A payment whose region cannot finish it: handed over, taken over, finished once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions import catalogue
from functions.hand_over.logic import hand_over
from functions.payments.errors import (
    InvalidPaymentError,
    LedgerConflictError,
    NoRegionLeftError,
    PaymentClosedError,
    PaymentCompensatingError,
    PaymentMovedError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
    ReceiptsUnavailableError,
    ReplicaBehindError,
    WorkflowThrottledError,
)
from functions.payments.events import detail, detail_type
from functions.payments.executions import StepFunctionsWorkflow, execution_name
from functions.payments.failover import next_region
from functions.payments.ledger import DynamoLedger, to_item
from functions.payments.model import Payment, Status
from functions.processor.scenarios import TOKENS
from functions.take_over.handler import handler as take_over_handler
from functions.take_over.logic import HandOver, take_over
from tests.functions.conftest import Cloud
from tests.functions.fakes import REGION, Context, InMemoryLedger, RecordingWorkflow, a_payment
from tests.functions.interpreter import NamedError
from tests.functions.platform import FAULT_ERRORS, Fault, Platform, Stubborn

HOME, SECOND, THIRD = REGION, "ap-southeast-1", "us-east-1"
ORDER = ("us-east-1", "eu-west-1", "ap-southeast-1")
RECEIVED = a_payment()
HANDED_OVER = RECEIVED.changed(at="later", next_region=SECOND)
TAKEN_OVER = HANDED_OVER.changed(at="later", next_region="", home_region=SECOND, regions_tried=(HOME, SECOND), epoch=2)

# -- which region is next ----------------------------------------------------------------------

REGIONS = st.sampled_from("abcdefgh")
ORDERS = st.lists(REGIONS, min_size=1, max_size=8, unique=True)


@given(ORDERS, REGIONS, st.lists(REGIONS, max_size=8))
def test_the_next_region_is_never_one_that_was_tried(order: list[str], home: str, tried: list[str]) -> None:
    """PAY-05."""
    region = next_region(order, home, tried)
    if region is None:
        assert set(order) <= {home, *tried}
    else:
        assert region in order
        assert region not in (home, *tried)


@given(st.lists(ORDERS, min_size=1, max_size=9), REGIONS)
def test_every_region_gets_a_payment_once_at_most_even_if_the_order_changes(orders: list[list[str]], home: str) -> None:
    """PAY-05: no payment goes in circles."""
    tried = [home]
    for order in [*orders, *[orders[-1]] * 9]:
        region = next_region(order, tried[-1], tried)
        if region is not None:
            tried.append(region)
    assert len(tried) == len(set(tried))
    assert next_region(orders[-1], tried[-1], tried) is None


@pytest.mark.parametrize(
    ("home", "tried", "expected"),
    [("a", "a", "b"), ("c", "c", "a"), ("b", "ab", "c"), ("c", "bc", "a"), ("c", "abc", None), ("x", "x", "a")],
)
def test_the_regions_stand_in_a_circle(home: str, tried: str, expected: str | None) -> None:
    """PAY-05."""
    assert next_region("abc", home, tried) == expected


# -- handing over ------------------------------------------------------------------------------


def handed_over_by(ledger: InMemoryLedger, payment: Payment = RECEIVED) -> Payment:
    return hand_over(payment, order=ORDER, ledger=ledger, clock=lambda: "later")


@pytest.mark.parametrize("status", [Status.RECEIVED, Status.AUTHORIZED])
def test_a_hand_over_is_one_write_that_names_the_next_region(status: Status) -> None:
    """PAY-23: the status stays, the version tells the change."""
    payment = a_payment(status=status)
    ledger = InMemoryLedger(payment)
    after = handed_over_by(ledger, payment)
    assert ledger.history == [payment, after]
    assert (after.status, after.version, after.next_region) == (status, 2, SECOND)
    assert (after.home_region, after.regions_tried) == (HOME, (HOME,))


def test_a_step_that_lags_hands_over_what_the_ledger_has() -> None:
    """PAY-23: the answer of the authorization was lost; what it wrote was not."""
    ledger = InMemoryLedger(a_payment(status=Status.AUTHORIZED, version=2, authorization_id="auth_1"))
    after = handed_over_by(ledger)
    assert (after.status, after.version, after.authorization_id) == (Status.AUTHORIZED, 3, "auth_1")


@pytest.mark.parametrize(
    ("current", "error"),
    [
        (HANDED_OVER, PaymentMovedError),
        (TAKEN_OVER, PaymentMovedError),
        (a_payment(version=3, status=Status.SETTLED), PaymentClosedError),
        (a_payment(version=3, compensating="why"), PaymentCompensatingError),
    ],
    ids=["repeated after a lost answer", "taken over already", "settled by a twin", "being undone by a twin"],
)
def test_what_is_no_longer_to_be_handed_over_is_not_written(current: Payment, error: type[Exception]) -> None:
    """PAY-23."""
    ledger = InMemoryLedger(current)
    with pytest.raises(error):
        handed_over_by(ledger)
    assert ledger.history == [current]


def test_after_the_last_region_there_is_none_left() -> None:
    """PAY-23."""
    ledger = InMemoryLedger(a_payment(regions_tried=(THIRD, SECOND, HOME)))
    with pytest.raises(NoRegionLeftError):
        handed_over_by(ledger, a_payment(regions_tried=(THIRD, SECOND, HOME)))
    with pytest.raises(NoRegionLeftError):
        hand_over(RECEIVED, order=[HOME], ledger=ledger)
    assert len(ledger.history) == 1


def test_nobody_works_on_a_payment_that_is_handed_over() -> None:
    """PAY-23: not the old home any more, not the new one yet."""
    for region in ORDER:
        with pytest.raises(PaymentMovedError):
            HANDED_OVER.at_home_in(region)
    assert TAKEN_OVER.at_home_in(SECOND) is TAKEN_OVER


def test_the_event_of_a_hand_over_says_where_to() -> None:
    """PAY-05: and it is never a region that had the payment."""
    assert detail_type(HANDED_OVER) == catalogue.HANDED_OVER
    told = detail(HANDED_OVER)
    assert told == {
        "event_id": HANDED_OVER.event_id,
        "payment_id": HANDED_OVER.payment_id,
        "status": "RECEIVED",
        "version": 2,
        "amount": 1299,
        "currency": "EUR",
        "merchant_id": "m-1",
        "origin_region": HOME,
        "regions_tried": [HOME],
        "next_region": SECOND,
        "occurred_at": "later",
    }
    assert detail_type(TAKEN_OVER) == "PaymentReceived"
    assert "next_region" not in detail(TAKEN_OVER)


# -- taking over -------------------------------------------------------------------------------


def event(payment: Payment = HANDED_OVER, **changes: Any) -> dict[str, Any]:
    return json.loads(json.dumps({"detail": detail(payment) | changes}))


def told(payment: Payment = HANDED_OVER) -> HandOver:
    return HandOver.from_event(event(payment), region=payment.next_region)


class Replica(InMemoryLedger):
    """A replica that lags: it gets the next version with every pause."""

    def __init__(self, *versions: Payment | None) -> None:
        super().__init__()
        self.coming = list(versions)
        self.pauses: list[float] = []
        self.replicate()

    def replicate(self, pause: float = 0) -> None:
        self.pauses.append(pause)
        if self.coming and (payment := self.coming.pop(0)):
            self.payments[payment.payment_id] = payment


def taken_over(ledger: InMemoryLedger, workflow: RecordingWorkflow, payment: Payment = HANDED_OVER) -> bool:
    sleep: Callable[[float], None] = getattr(ledger, "replicate", lambda _: None)
    return take_over(told(payment), ledger=ledger, workflow=workflow, clock=lambda: "later", sleep=sleep).applied


def test_the_next_region_becomes_home_and_starts_the_workflow() -> None:
    """PAY-23."""
    ledger, workflow = InMemoryLedger(HANDED_OVER), RecordingWorkflow()
    assert taken_over(ledger, workflow)
    assert workflow.started == [TAKEN_OVER] == [ledger.payments[RECEIVED.payment_id]]
    assert execution_name(TAKEN_OVER) == f"{RECEIVED.payment_id}-2" != execution_name(RECEIVED)


def test_an_event_that_comes_again_starts_again_and_changes_nothing() -> None:
    """PAY-23: the first delivery may have died before the start, which the name makes harmless."""
    ledger = InMemoryLedger(TAKEN_OVER.changed(at="later", status=Status.AUTHORIZED))
    workflow = RecordingWorkflow()
    assert not taken_over(ledger, workflow)
    assert len(ledger.history) == 1
    assert [execution_name(one) for one in workflow.started] == [execution_name(TAKEN_OVER)]


@pytest.mark.parametrize(
    "current",
    [
        TAKEN_OVER.changed(at="later", status=Status.SETTLED),
        TAKEN_OVER.changed(at="later", next_region=THIRD),
        TAKEN_OVER.changed(at="later", home_region=THIRD, regions_tried=(HOME, SECOND, THIRD)),
    ],
    ids=["final", "handed on", "at home elsewhere"],
)
def test_an_event_that_comes_too_late_does_nothing(current: Payment) -> None:
    """PAY-23."""
    ledger, workflow = InMemoryLedger(current), RecordingWorkflow()
    assert not taken_over(ledger, workflow)
    assert (len(ledger.history), workflow.started) == (1, [])


@pytest.mark.parametrize("before", [None, RECEIVED], ids=["nothing there yet", "an older version"])
def test_a_replica_that_lags_is_waited_for(before: Payment | None) -> None:
    """PAY-23."""
    replica, workflow = Replica(before, before, HANDED_OVER), RecordingWorkflow()
    assert taken_over(replica, workflow)
    assert (len(replica.pauses), len(workflow.started)) == (3, 1)


def test_a_replica_that_stays_behind_lets_the_event_come_again() -> None:
    """PAY-23: nothing is written on what is not known."""
    replica, workflow = Replica(RECEIVED), RecordingWorkflow()
    with pytest.raises(ReplicaBehindError):
        taken_over(replica, workflow)
    assert (sum(replica.pauses) < 5, replica.history, workflow.started) == (True, [], [])


def test_the_twin_of_this_region_is_not_taken_for_the_payment_that_was_handed_over() -> None:
    """PAY-23: two regions accepted one key at the same time, and have not met yet; versions agree."""
    twin = a_payment(home_region=SECOND, regions_tried=(SECOND,), version=2, status=Status.AUTHORIZED)
    replica, workflow = Replica(twin), RecordingWorkflow()
    with pytest.raises(ReplicaBehindError):
        taken_over(replica, workflow)
    late = Replica(twin, HANDED_OVER)  # the last writer has won meanwhile
    assert taken_over(late, workflow)


def test_a_crash_before_the_start_is_healed_by_the_next_delivery() -> None:
    """PAY-23."""
    ledger = InMemoryLedger(HANDED_OVER)
    with pytest.raises(WorkflowThrottledError):
        taken_over(ledger, RecordingWorkflow(WorkflowThrottledError()))
    workflow = RecordingWorkflow()
    assert not taken_over(ledger, workflow)
    assert workflow.started == [TAKEN_OVER]


def test_two_deliveries_at_once_make_one_write() -> None:
    """PAY-23."""

    class Overtaken(InMemoryLedger):
        after = TAKEN_OVER

        def get(self, payment_id: str) -> Payment | None:
            seen = super().get(payment_id)
            self.payments[payment_id] = self.after
            return seen

    ledger, workflow = Overtaken(HANDED_OVER), RecordingWorkflow()
    assert not taken_over(ledger, workflow)
    assert workflow.started == [TAKEN_OVER]
    ledger = Overtaken(HANDED_OVER)
    ledger.after = HANDED_OVER.changed(at="even later")
    with pytest.raises(LedgerConflictError):
        taken_over(ledger, workflow)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"next_region": THIRD}, "next_region"),
        ({"next_region": None}, "next_region"),
        ({"regions_tried": HOME}, "regions_tried"),
        ({"regions_tried": [HOME, SECOND], "origin_region": SECOND}, "origin_region"),
        ({"origin_region": THIRD}, "origin_region"),
        ({"occurred_at": None}, "occurred_at"),
        ({"occurred_at": ""}, "occurred_at"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"payment_id": "region#eu-west-1"}, "payment_id"),
    ],
)
def test_an_event_that_a_rule_should_not_have_sent_here_is_refused(changes: dict[str, Any], field: str) -> None:
    """PAY-05: no loop, even if the rules are wrong."""
    with pytest.raises(InvalidPaymentError) as refused:
        HandOver.from_event(event(**changes), region=SECOND)
    assert refused.value.field == field
    with pytest.raises(InvalidPaymentError, match="detail"):
        HandOver.from_event({}, region=SECOND)


def test_the_handler_takes_over_in_its_own_region(cloud: Cloud) -> None:
    """PAY-23: from event to item and execution, on AWS in memory."""
    payment = a_payment(home_region=THIRD, regions_tried=(THIRD,), next_region=REGION, request_hash="h", version=2)
    cloud.states  # noqa: B018
    cloud.dynamodb.put_item(TableName="payments", Item=to_item(payment))
    for taken in (True, False):
        answer = take_over_handler(event(payment), Context())
        assert answer == {"payment_id": payment.payment_id, "taken_over": taken}
    found = DynamoLedger(cloud.dynamodb, "payments").get(payment.payment_id)
    assert found
    assert (found.home_region, found.regions_tried) == (REGION, (THIRD, REGION))
    assert (found.next_region, found.version, found.request_hash) == ("", 3, "h")
    (execution,) = cloud.executions()
    assert execution["name"] == f"{payment.payment_id}-2"
    given = cloud.states.describe_execution(executionArn=execution["executionArn"])["input"]
    assert Payment.from_document(json.loads(given)).at_home_in(REGION).version == 3


def test_an_execution_that_ended_as_moved_does_not_keep_the_payment_from_coming_back(cloud: Cloud) -> None:
    """PAY-23: the region that lost the race for a key has run an execution of that payment already."""
    workflow = StepFunctionsWorkflow(cloud.states, cloud.machine_arn)
    workflow.start(RECEIVED)
    workflow.start(TAKEN_OVER)
    assert len(cloud.executions()) == 2


# -- the whole way -----------------------------------------------------------------------------


def across(
    token: str = "tok_visa",
    *faults: Fault,
    stubborn: tuple[Stubborn, ...] = (),
    order: tuple[str, ...] = ORDER,
    express: bool = False,
) -> Platform:
    payment = a_payment(payment_method=token)
    platform = Platform(payment, list(faults), list(stubborn), order=order, express=express)
    platform.execute()
    platform.check()
    return platform


def told_as(platform: Platform) -> list[str]:
    return [ended.state for ended in platform.ended]


@pytest.mark.parametrize("token", [f"tok_unreachable_from_{HOME}", f"tok_capture_unreachable_from_{HOME}"])
def test_a_payment_that_its_region_cannot_finish_is_finished_by_the_next_one(token: str) -> None:
    """PAY-05, PAY-23."""
    platform = across(token)
    assert told_as(platform) == ["HandedOver", "Settled"]
    assert (platform.final.status, platform.final.home_region) == (Status.SETTLED, SECOND)
    assert platform.final.regions_tried == (HOME, SECOND)
    assert platform.account.captured == 1299
    assert platform.started == [(SECOND, f"{platform.payment.payment_id}-2")]


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("processor.authorize", ProcessorTimeoutError()),
        ("processor.capture", ProcessorUnavailableError()),
        ("receipts.put", ReceiptsUnavailableError()),
        ("lambda.authorize", NamedError("States.Timeout")),
        ("lambda.capture", NamedError("Lambda.TooManyRequestsException")),
        ("lambda.issue_receipt", NamedError("Runtime.ExitError")),
        ("lambda.complete", NamedError("Lambda.ServiceException")),
    ],
)
@pytest.mark.parametrize("broken", [(HOME,), (HOME, SECOND)])
@pytest.mark.parametrize("after", [False, True])
def test_whatever_a_region_cannot_do_another_one_does_once(
    operation: str, error: Exception, broken: tuple[str, ...], after: bool
) -> None:
    """PAY-23: done and not told, or not done: captured once, settled once, one receipt."""
    platform = across(stubborn=tuple(Stubborn(operation, after, error, region) for region in broken))
    settled_here = (operation, after) == ("lambda.complete", True)  # the ledger knows; only the answer was lost
    assert told_as(platform) == (["Settled"] if settled_here else ["HandedOver"] * len(broken) + ["Settled"])
    assert platform.account.captured == 1299
    assert platform.account.refunded == 0


@pytest.mark.parametrize(
    ("token", "stubborn", "status", "reason"),
    [
        ("tok_unavailable", (), Status.FAILED, "ProcessorUnavailableError"),
        ("tok_timeout", (), Status.FAILED, "ProcessorTimeoutError"),
        ("tok_capture_unavailable", (), Status.FAILED, "ProcessorUnavailableError"),
        ("tok_capture_lost", (), Status.REFUNDED, "ProcessorTimeoutError"),
        ("tok_visa", ("receipts.put", ReceiptsUnavailableError()), Status.REFUNDED, "ReceiptsUnavailableError"),
    ],
)
def test_what_no_region_can_do_is_undone_and_recorded_by_the_last_one(
    token: str, stubborn: tuple[Any, ...], status: Status, reason: str
) -> None:
    """PAY-23: every region once, then the money goes back; the merchant is told the first error."""
    broken = (Stubborn(stubborn[0], False, stubborn[1]),) if stubborn else ()
    platform = across(token, stubborn=broken)
    assert told_as(platform) == ["HandedOver", "HandedOver", "Compensated"]
    assert (platform.final.status, platform.final.reason) == (status, reason)
    assert platform.final.regions_tried == (HOME, SECOND, THIRD)
    assert platform.account.voided or platform.account.refunded == 1299


@pytest.mark.parametrize("token", ["tok_declined", "tok_insufficient_funds", "tok_capture_declined"])
def test_a_decline_is_an_answer_and_goes_nowhere(token: str) -> None:
    """PAY-04, PAY-05."""
    assert across(token).final.regions_tried == (HOME,)


def test_a_payment_that_cannot_be_handed_over_is_undone_where_it_is() -> None:
    """PAY-23: the ledger does not take the hand-over."""
    broken = (
        Stubborn("processor.capture", False, ProcessorUnavailableError()),
        Stubborn("lambda.hand_over", False, NamedError("Lambda.Unknown")),
    )
    platform = across(stubborn=broken)
    assert told_as(platform) == ["Compensated"]
    assert (platform.final.status, platform.final.reason) == (Status.FAILED, "ProcessorUnavailableError")


def test_a_hand_over_whose_answer_is_lost_every_time_is_a_hand_over() -> None:
    """PAY-23: the ledger has it, so undoing it here is refused."""
    broken = (Stubborn("lambda.hand_over", True, NamedError("States.Timeout"), HOME),)
    platform = across(f"tok_unreachable_from_{HOME}", stubborn=broken)
    assert told_as(platform) == ["Moved", "Settled"]
    assert platform.final.status is Status.SETTLED


@pytest.mark.parametrize("express", [False, True])
@pytest.mark.parametrize(
    "token", [f"tok_unreachable_from_{HOME}", f"tok_capture_unreachable_from_{HOME}", "tok_timeout"]
)
def test_events_and_requests_that_come_again_change_nothing(token: str, express: bool) -> None:
    """PAY-10, PAY-23: an Express machine runs again each time."""
    platform = across(token, express=express)
    final, account = platform.final, platform.account
    for handed_over in reversed(platform.handed_over):
        platform.take_over(handed_over)
    platform.execute()
    platform.check()
    assert (platform.final, platform.account, platform.dead_letters) == (final, account, [])


def test_a_late_twin_in_the_old_region_does_nothing_to_a_payment_that_moved() -> None:
    """PAY-23: at every single point of an execution, the whole way elsewhere happens in between."""
    token = f"tok_unreachable_from_{HOME}"
    for after in (False, True):
        for point in range(len(across(token).operations)):
            platform = across(token, Fault(point, after), express=True)
            assert platform.final.status is Status.SETTLED
            assert platform.account.captured == 1299


ERRORS = st.sampled_from(FAULT_ERRORS)
FAULTS = st.builds(Fault, at=st.integers(0, 50), after=st.booleans(), error=ERRORS)
TWINS = st.builds(Fault, at=st.integers(0, 30), after=st.booleans(), error=st.none())
UNREACHABLE = [f"tok_{what}unreachable_from_{region}" for what in ("", "capture_") for region in ORDER]
CHOSEN = st.sampled_from(["tok_visa", *UNREACHABLE, *TOKENS])
OPERATIONS = [
    "processor.authorize",
    "processor.capture",
    "receipts.put",
    "ledger.update",
    "workflow.start",
    *[f"lambda.{name}" for name in ("authorize", "capture", "issue_receipt", "complete", "hand_over")],
]
STUBBORN = st.builds(Stubborn, st.sampled_from(OPERATIONS), st.booleans(), ERRORS, st.sampled_from(["", *ORDER]))


@settings(max_examples=150)
@given(
    token=CHOSEN,
    twins=st.lists(TWINS, max_size=1),
    faults=st.lists(FAULTS, max_size=3),
    stubborn=st.lists(STUBBORN, max_size=3),
    order=st.sampled_from([ORDER, ORDER[::-1], ORDER[1:], (HOME,)]),
    express=st.booleans(),
)
def test_no_payment_is_lost_or_doubled_on_its_way_through_the_regions(
    *,
    token: str,
    twins: list[Fault],
    faults: list[Fault],
    stubborn: list[Stubborn],
    order: tuple[str, ...],
    express: bool,
) -> None:
    """PAY-05, PAY-23: finished exactly once, captured what is settled, no region twice, no loop."""
    platform = across(token, *twins, *faults, stubborn=tuple(stubborn), order=order, express=express)
    given_up = platform.dead_letters or "FailureNotRecorded" in told_as(platform)
    assert platform.final.status.is_final or given_up, platform.ended
    for handed_over in platform.handed_over:  # delivered once more, at last
        platform.take_over(handed_over)
        platform.check()


def test_a_dead_letter_that_is_sent_again_finishes_the_payment() -> None:
    """PAY-23: the next region's workflow did not start; the payment waits and is not lost."""
    broken = Stubborn("workflow.start", False, WorkflowThrottledError(), SECOND)
    platform = across(f"tok_unreachable_from_{HOME}", stubborn=(broken,))
    assert [one.next_region for one in platform.dead_letters] == [SECOND]
    assert platform.final.status is Status.RECEIVED
    platform.stubborn.clear()
    platform.take_over(platform.dead_letters[0])
    platform.check()
    assert platform.final.status is Status.SETTLED


def test_a_settled_payment_that_was_never_handed_over_costs_nothing_more() -> None:
    """PAY-21."""
    platform = across()
    assert [name for name in platform.operations if not name.startswith("lambda.")] == [
        "processor.authorize",
        "ledger.update",
        "processor.capture",
        "receipts.put",
        "ledger.update",
    ]
