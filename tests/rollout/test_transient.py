"""Which errors are tried again, and when."""

from __future__ import annotations

import pytest

from rollout.engine.transient import FIRST_WAIT_S, LONGEST_WAIT_S, passing, wait_s
from rollout.terraform import TerraformError


def failed(*texts: str, **how: bool) -> TerraformError:
    errors = [{"severity": "error", "summary": text, "detail": ""} for text in texts]
    return TerraformError("apply", list(texts), errors=errors, **how)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("api error ThrottlingException: Rate exceeded", "throttled by AWS"),
        ("api error RequestLimitExceeded: Request limit exceeded.", "throttled by AWS"),
        ("https response error StatusCode: 503, RequestID: x, api error SlowDown: Please reduce", "throttled by AWS"),
        ("https response error StatusCode: 500, RequestID: x, InternalFailure", "AWS had an error"),
        ("https response error StatusCode: 502, RequestID: x", "AWS had an error"),
        ("RequestError: send request failed: read tcp: connection reset by peer", "connection lost"),
        ("dial tcp: lookup sqs.eu-west-1.amazonaws.com: Temporary failure in name resolution", "connection lost"),
        ("net/http: TLS handshake timeout", "no answer in time"),
        (
            "OperationAborted: A conflicting conditional operation is currently in progress",
            "another operation is under way",
        ),
        (
            "ConflictException: Unable to complete operation due to concurrent modification",
            "another operation is under way",
        ),
        ("The role defined for the function cannot be assumed by Lambda.", "a role is not known everywhere yet"),
    ],
)
def test_errors_that_pass_are_known_by_what_they_say(text: str, what: str) -> None:
    assert passing(failed(text)) == what


@pytest.mark.parametrize(
    "text",
    [
        "api error AccessDenied: User is not authorized",
        "Error acquiring the state lock",
        "BucketAlreadyExists: The requested bucket name is not available",
        "InvalidParameterValue: The parameter CidrBlock is invalid",
        "LimitExceededException: Too many keys",
        "dial tcp 127.0.0.1:4566: connect: connection refused",
    ],
)
def test_everything_else_is_not_tried_again(text: str) -> None:
    assert passing(failed(text)) is None


def test_one_error_that_stays_is_enough_to_give_up() -> None:
    assert passing(failed("ThrottlingException", "AccessDenied")) is None


@pytest.mark.parametrize("how", ["locked", "cut_off", "stale"])
def test_a_lock_and_a_killed_terraform_are_no_errors_that_pass(how: str) -> None:
    assert passing(failed("ThrottlingException", **{how: True})) is None


def test_waits_double_up_to_a_limit_and_differ_from_stack_to_stack() -> None:
    longest = [wait_s(retry, lambda low, high: high) for retry in range(6)]
    assert longest == [5, 10, 20, 40, LONGEST_WAIT_S, LONGEST_WAIT_S]
    assert all(FIRST_WAIT_S / 2 <= wait_s(0) <= FIRST_WAIT_S for _ in range(100))
