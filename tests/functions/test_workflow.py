"""The payment workflow: its definition, and what it makes of payments when things go wrong."""

from __future__ import annotations

import inspect
import json
import re
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from functions import workflow
from functions.catalogue import WORKFLOW_FUNCTIONS
from functions.payments import errors
from functions.payments.caught import Caught
from functions.payments.errors import (
    CapturedElsewhereError,
    FinalError,
    LedgerThrottledError,
    PaymentMovedError,
    ProcessorRejectedError,
    ProcessorTimeoutError,
    ProcessorUnavailableError,
    ReceiptsUnavailableError,
    TransientError,
    UndoneUnknownError,
)
from functions.payments.model import Status
from functions.payments.progress import Progress
from functions.processor.scenarios import TOKENS
from functions.record_failure.logic import record_failure
from functions.workflow import SUBSTITUTIONS, SubstitutionError
from tests.functions.fakes import REGION, InMemoryLedger, a_payment
from tests.functions.interpreter import NamedError
from tests.functions.platform import DEFINITION, Fault, Platform, Stubborn, executed

STATES: dict[str, Any] = DEFINITION["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
OWN_ERRORS = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if name.endswith("Error")}
# Those of payments; other functions have their own.
TRANSIENT = {name for name, kind in OWN_ERRORS.items() if issubclass(kind, TransientError)} - {"TransientError"}
PLATFORM_ERRORS = re.compile(r"Lambda\.|States\.|Sandbox\.|Runtime\.")
DECLINES = {"PaymentDeclinedError", "CaptureDeclinedError"}

# -- the definition ----------------------------------------------------------------------------


def successors(state: dict[str, Any]) -> set[str]:
    following = {rule["Next"] for rule in (*state.get("Catch", ()), *state.get("Choices", ()))}
    return following | {state[key] for key in ("Next", "Default") if key in state}


def paths(name: str, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    path = (*before, name)
    following = successors(STATES[name]) - set(before)
    return [one for after in sorted(following) for one in paths(after, path)] or [path]


def test_every_state_is_reached_and_every_path_ends() -> None:
    """PAY-04."""
    ways = paths(DEFINITION["StartAt"])
    assert {state for way in ways for state in way} == set(STATES)
    assert {STATES[way[-1]]["Type"] for way in ways} == {"Succeed", "Fail"}
    for state in STATES.values():
        assert successors(state) <= set(STATES)


def test_every_error_it_names_exists_and_every_transient_one_is_retried() -> None:
    """PAY-04."""
    rules = [rule for state in TASKS.values() for rule in (*state["Retry"], *state["Catch"])]
    named = {name for rule in rules for name in rule["ErrorEquals"] if not PLATFORM_ERRORS.match(name)}
    assert named <= set(OWN_ERRORS)
    retried = {name for state in TASKS.values() for rule in state["Retry"] for name in rule["ErrorEquals"]}
    # Raised outside of the workflow only: by the API, the publisher of events, and the taker-over.
    elsewhere = {"WorkflowThrottledError", "WorkflowUnavailableError", "EventsUnavailableError"}
    elsewhere |= {"VaultUnavailableError", "ReplicaBehindError"}
    assert retried & set(OWN_ERRORS) == TRANSIENT - elsewhere


def test_a_decline_is_never_retried_nor_is_anything_final() -> None:
    """PAY-04."""
    final = {kind.__name__ for kind in FinalError.__subclasses__()}
    assert final >= DECLINES
    for state in TASKS.values():
        retried = {name for rule in state["Retry"] for name in rule["ErrorEquals"]}
        assert not retried & (final | {"States.ALL", "States.TaskFailed"})


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_bounded_backs_off_with_jitter_and_catches_everything(name: str) -> None:
    """PAY-04."""
    state = TASKS[name]
    assert state["Resource"] == "arn:aws:states:::lambda:invoke"
    assert state["TimeoutSeconds"] <= 10
    assert state["Catch"][-1]["ErrorEquals"] == ["States.ALL"]
    for rule in state["Retry"]:
        assert rule["BackoffRate"] > 1
        assert rule["JitterStrategy"] == "FULL"
        assert rule["IntervalSeconds"] < rule["MaxDelaySeconds"] <= 8
    platform = {"Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException"}
    platform |= {"Lambda.TooManyRequestsException", "Lambda.Unknown", "States.Timeout"}
    assert platform <= {error for rule in state["Retry"] for error in rule["ErrorEquals"]}


def test_from_authorization_on_every_failure_is_undone() -> None:
    """PAY-04: even when what the authorization did is unknown."""
    for name in ("Authorize", "Capture", "IssueReceipt", "Complete"):
        assert TASKS[name]["Catch"][-1]["Next"] == "Compensate"


def test_what_another_region_may_be_spared_is_handed_over_and_nothing_else() -> None:
    """PAY-05, PAY-23: exactly the errors that were worth a retry here; no decline, nothing invalid."""
    for name, state in TASKS.items():
        handed_over = [rule["ErrorEquals"] for rule in state["Catch"] if rule["Next"] == "HandOver"]
        retried = [error for rule in state["Retry"] for error in rule["ErrorEquals"]]
        hands_over = ("Validate", "Authorize", "Capture", "IssueReceipt", "Complete")
        assert handed_over == ([retried] if name in hands_over else [])
    # The error that led there stays what is told to the merchant.
    assert {rule["ResultPath"] for rule in TASKS["HandOver"]["Catch"]} == {"$.handover_error"}


def delay(rule: dict[str, Any]) -> float:
    steps = range(rule["MaxAttempts"])
    return sum(min(rule["IntervalSeconds"] * rule["BackoffRate"] ** step, rule["MaxDelaySeconds"]) for step in steps)


def longest(cost: dict[str, float]) -> float:
    return max(sum(cost.get(name, 0) for name in way) for way in paths(DEFINITION["StartAt"]))


def test_an_express_execution_fits_its_five_minutes_whatever_is_exhausted() -> None:
    """PAY-04: every task of the longest path times out every time; or is throttled every time.

    The sweeper starts again what nobody has written for longer than that.
    """
    hanging = {
        name: state["TimeoutSeconds"] * (1 + state["Retry"][1]["MaxAttempts"]) + delay(state["Retry"][1])
        for name, state in TASKS.items()
    }
    throttled = {name: delay(state["Retry"][0]) for name, state in TASKS.items()}
    assert longest(hanging) <= DEFINITION["TimeoutSeconds"] <= 240
    assert longest(throttled) <= DEFINITION["TimeoutSeconds"]


def test_a_substitution_that_is_missing_or_unused_is_named() -> None:
    good = dict.fromkeys(SUBSTITUTIONS, "x")
    assert "${" not in workflow.render(good)
    with pytest.raises(SubstitutionError, match="missing: capture_arn"):
        workflow.render({name: "x" for name in SUBSTITUTIONS if name != "capture_arn"})
    with pytest.raises(SubstitutionError, match="unused: typo_arn"):
        workflow.render(good | {"typo_arn": "x"})


def test_the_partition_and_the_functions_are_whatever_they_are_said_to_be() -> None:
    """PAY-15."""
    values = {name: f"${{aws_lambda_function.{name}.arn}}" for name in SUBSTITUTIONS} | {"partition": "aws-cn"}
    rendered = json.loads(workflow.render(values))
    assert rendered["States"]["Validate"]["Resource"] == "arn:aws-cn:states:::lambda:invoke"
    called = {state["Parameters"]["FunctionName"] for state in rendered["States"].values() if "Parameters" in state}
    assert called == {values[f"{name}_arn"] for name in WORKFLOW_FUNCTIONS}
    assert "us-east-1" not in workflow.DEFINITION.read_text()


# -- payments ----------------------------------------------------------------------------------

OUTCOMES = {
    "tok_visa": ("Settled", Status.SETTLED, ""),
    "tok_declined": ("Declined", Status.DECLINED, "card_declined"),
    "tok_insufficient_funds": ("Declined", Status.DECLINED, "insufficient_funds"),
    "tok_expired_card": ("Declined", Status.DECLINED, "expired_card"),
    "tok_unavailable": ("Compensated", Status.FAILED, "ProcessorUnavailableError"),
    "tok_timeout": ("Compensated", Status.FAILED, "ProcessorTimeoutError"),
    "tok_authorize_lost": ("Compensated", Status.FAILED, "ProcessorTimeoutError"),
    "tok_fail_once": ("Settled", Status.SETTLED, ""),
    "tok_timeout_once": ("Settled", Status.SETTLED, ""),
    "tok_lost_once": ("Settled", Status.SETTLED, ""),
    "tok_capture_fail_once": ("Settled", Status.SETTLED, ""),
    "tok_capture_declined": ("Compensated", Status.FAILED, "capture_declined"),
    "tok_capture_unavailable": ("Compensated", Status.FAILED, "ProcessorUnavailableError"),
    "tok_capture_timeout": ("Compensated", Status.FAILED, "ProcessorTimeoutError"),
    "tok_capture_lost": ("Compensated", Status.REFUNDED, "ProcessorTimeoutError"),
    "tok_void_fail_once": ("Compensated", Status.FAILED, "capture_declined"),
    "tok_refund_lost_once": ("Compensated", Status.REFUNDED, "ProcessorTimeoutError"),
    # The money may be released yet: open, for the sweeper.
    "tok_void_unavailable": ("FailureNotRecorded", Status.AUTHORIZED, ""),
    "tok_refund_unavailable": ("FailureNotRecorded", Status.AUTHORIZED, ""),
}


@pytest.mark.parametrize("token", [*TOKENS, "tok_visa"])
def test_every_scenario_ends_in_its_recorded_state(token: str) -> None:
    """PAY-04, PAY-23."""
    platform = executed(token)
    state, status, reason = OUTCOMES[token]
    assert platform.ended[0].state == state, platform.ended
    assert (platform.final.status, platform.final.reason) == (status, reason)


NEVER_RELEASED = ("tok_void_unavailable", "tok_refund_unavailable")


@pytest.mark.parametrize("token", NEVER_RELEASED)
def test_money_that_no_region_could_release_calls_for_a_human(token: str) -> None:
    """PAY-04: the sweeper has started it anew, in the last region that was left, too."""
    platform = Platform(a_payment(payment_method=token, resumed=4))
    platform.execute()
    assert platform.ended[0].state == "CompensationFailed"
    assert platform.final.status is Status.FAILED
    assert platform.final.reason.startswith("compensation_failed: ProcessorUnavailableError")


@pytest.mark.parametrize("token", sorted({*TOKENS, "tok_visa"} - {*NEVER_RELEASED}))
def test_running_a_finished_payment_again_changes_nothing(token: str) -> None:
    """PAY-04: an Express start is repeated by every repeated request."""
    platform = executed(token)
    before, account = platform.final, platform.account
    platform.execute()
    platform.check()
    assert platform.account == account
    assert platform.final == before


def test_a_settled_payment_takes_this_many_operations_and_no_more() -> None:
    """PAY-21: the budget. One write to accept it comes before (the API's)."""
    assert [name for name in executed().operations if not name.startswith("lambda.")] == [
        "processor.authorize",
        "ledger.update",
        "processor.capture",
        "receipts.put",
        "ledger.update",
    ]


@pytest.mark.parametrize(
    ("operation", "error", "status"),
    [
        ("lambda.validate", NamedError("Lambda.Unknown"), Status.FAILED),
        ("lambda.authorize", NamedError("States.Timeout"), Status.FAILED),
        ("ledger.update", LedgerThrottledError(), Status.RECEIVED),
        ("lambda.capture", NamedError("Runtime.ExitError"), Status.FAILED),
        ("lambda.capture", KeyError("a bug"), Status.FAILED),
        ("receipts.put", ReceiptsUnavailableError(), Status.REFUNDED),
        ("lambda.issue_receipt", PermissionError("AccessDenied"), Status.REFUNDED),
        ("lambda.complete", NamedError("Lambda.TooManyRequestsException"), Status.REFUNDED),
        ("lambda.record_failure", NamedError("Lambda.Unknown"), Status.SETTLED),
    ],
)
def test_a_step_that_never_works_ends_in_the_state_that_tells_it(
    operation: str, error: Exception, status: Status
) -> None:
    """PAY-04."""
    platform = executed(stubborn=(Stubborn(operation, False, error),))
    assert platform.final.status is status
    if status is Status.RECEIVED:
        assert platform.ended[0].state == "FailureNotRecorded"


def test_a_settlement_whose_answer_is_lost_stays_settled() -> None:
    """PAY-23: the payment is not refunded because nobody heard that it was settled."""
    platform = executed(stubborn=(Stubborn("lambda.complete", True, NamedError("States.Timeout")),))
    assert "Compensate" in platform.ended[0].path
    assert (platform.ended[0].state, platform.final.status) == ("Settled", Status.SETTLED)
    assert platform.account.refunded == 0


def test_undoing_is_marked_once_and_keeps_its_first_reason() -> None:
    """PAY-04: the compensation that is tried again does not write its mark again."""
    platform = executed("tok_void_fail_once")
    marks = [one for one in platform.store.history if one.compensating and not one.status.is_final]
    assert [one.compensating for one in marks] == ["capture_declined"]
    twin = Platform(a_payment(status=Status.AUTHORIZED, compensating="first"))
    with suppress(ProcessorUnavailableError):
        twin.invoke("compensate", {**a_payment().to_document(), "error": {"Error": "SecondError"}})
    assert twin.final.reason == "first"


def test_a_failure_that_may_hold_money_is_undone_and_not_just_recorded() -> None:
    """PAY-04: a restarted execution that fails early, of a payment that an earlier one authorized."""
    platform = Platform(a_payment())
    document = platform.invoke("authorize", a_payment().to_document())
    assert document["status"] == "AUTHORIZED"
    platform.stubborn.append(Stubborn("processor.authorize", False, ProcessorRejectedError()))
    ended = platform.execute()
    platform.check()
    assert ended.path == ["Validate", "Authorize", "RecordFailure", "Compensate", "CompensationOutcome", "Compensated"]
    assert platform.final.status is Status.FAILED
    assert platform.account.voided


def test_a_payment_that_moved_to_another_region_is_left_alone() -> None:
    """PAY-23."""
    platform = Platform(a_payment())
    platform.store.payments[a_payment().payment_id] = a_payment(home_region="us-east-1", version=2)
    ended = platform.execute()
    assert ended.state == "Moved"
    assert platform.final == a_payment(home_region="us-east-1", version=2)
    assert not platform.account.voided
    assert platform.run(a_payment(home_region="us-east-1"), REGION).path == ["Validate", "Moved"]
    assert issubclass(PaymentMovedError, FinalError)


def test_money_captured_by_an_unknown_workflow_is_never_given_back_unasked() -> None:
    """PAY-23: it was settled in a way that this ledger has not heard of. The sweeper asks again."""
    twin = Platform(a_payment())
    twin.execute()
    platform = Platform(a_payment(), stubborn=[Stubborn("processor.authorize", False, ProcessorTimeoutError())])
    platform.books = twin.books
    ended = platform.execute()
    assert ended.state == "FailureNotRecorded"
    assert CapturedElsewhereError.__name__ in ended.output["compensation_error"]["Error"]
    assert platform.account.refunded == 0
    assert not platform.final.status.is_final


def test_an_execution_started_with_something_else_ends_as_failed() -> None:
    """PAY-04."""
    platform = Platform(a_payment(currency="XXX"))
    assert platform.execute().state == "Failed"
    assert (platform.final.status, platform.final.reason) == (Status.FAILED, "InvalidPaymentError")
    assert not platform.books.load(a_payment().payment_id)


@pytest.mark.parametrize("token", ["tok_visa", "tok_capture_lost", "tok_capture_declined", "tok_declined"])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_single_point_leaves_the_payment_repairable(token: str, after: bool) -> None:
    """PAY-23: the execution dies for good; the one that follows finishes the payment."""
    budget = len(executed(token).operations)
    for point in range(budget):
        platform = Platform(a_payment(payment_method=token), [Fault(point, after, SystemExit())])  # type: ignore[arg-type]
        with suppress(SystemExit):  # nothing follows an operation that raised: then it ran through
            platform.execute()
        platform.execute()
        platform.check()
        assert platform.final.status.is_final


@pytest.mark.parametrize(
    ("error", "resumed", "gives_up"),
    [
        ("ProcessorThrottledError", 0, False),
        ("ProcessorUnavailableError", 3, False),
        ("Lambda.TooManyRequestsException", 3, False),
        ("ProcessorUnavailableError", 4, True),  # every region has had it
        ("ProcessorRejectedError", 0, True),
        ("CapturedElsewhereError", 0, True),
    ],
)
def test_held_money_is_given_up_only_when_refused_or_when_every_region_has_tried(
    error: str, resumed: int, gives_up: bool
) -> None:
    """PAY-04: a processor that is overloaded for a minute leaves no money held for good."""
    ledger = InMemoryLedger()
    held = replace(a_payment(), status=Status.AUTHORIZED, compensating="capture_declined", resumed=resumed)
    ledger.create(held)

    def record() -> Progress:
        return record_failure(held, caught=Caught("capture_declined"), compensation=Caught(error), ledger=ledger)

    if gives_up:
        told, applied = record()
        assert (told.status, applied) == (Status.FAILED, True)
        assert told.reason == f"compensation_failed: {error} after capture_declined"
    else:
        with pytest.raises(UndoneUnknownError):
            record()
        assert ledger.get(held.payment_id).status is Status.AUTHORIZED


def test_money_that_stays_held_is_told_even_if_a_twin_had_failed_the_payment_before() -> None:
    """PAY-04: the reason calls for a human; the payment has failed once, and is counted once."""
    ledger = InMemoryLedger()
    held = a_payment()
    ledger.create(held)
    twin, failed = record_failure(held, caught=Caught("LedgerThrottledError"), compensation=None, ledger=ledger)
    assert failed
    held = replace(held, status=Status.AUTHORIZED)
    stuck = Caught("ProcessorUnavailableError")
    told, applied = record_failure(held, caught=Caught("CaptureDeclinedError"), compensation=stuck, ledger=ledger)
    assert not applied
    assert told.status is twin.status is Status.FAILED
    assert told.reason.startswith("compensation_failed")
    again, applied = record_failure(held, caught=Caught("CaptureDeclinedError"), compensation=stuck, ledger=ledger)
    assert (again.version, applied) == (told.version, False)
