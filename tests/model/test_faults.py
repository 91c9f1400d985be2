"""The search within one region: errors before and after any effect of any step of the workflow, and its twins."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from functions.processor.scenarios import TOKENS
from tests.functions.platform import FAULT_ERRORS, Fault, Stubborn, executed

_LONG = settings.get_profile(os.environ.get("HYPOTHESIS_PROFILE", "model"))
# There is less to find than between three regions.
FEWER = settings(_LONG, max_examples=_LONG.max_examples // 3)

ERRORS = st.sampled_from(FAULT_ERRORS)
FAULTS = st.builds(Fault, at=st.integers(0, 24), after=st.booleans(), error=ERRORS)
TWINS = st.builds(Fault, at=st.integers(0, 14), after=st.booleans(), error=st.none())
CHOSEN = st.sampled_from(["tok_visa", *TOKENS])
OPERATIONS = ["processor.authorize", "processor.capture", "receipts.put", "lambda.complete", "lambda.capture"]
STUBBORN = st.builds(Stubborn, st.sampled_from(OPERATIONS), st.booleans(), ERRORS)


@FEWER
@given(CHOSEN, st.lists(FAULTS, max_size=4), st.lists(STUBBORN, max_size=1))
def test_no_fault_loses_or_doubles_money(token: str, faults: list[Fault], stubborn: list[Stubborn]) -> None:
    """PAY-04, PAY-23: errors before and after any effect of any step."""
    platform = executed(token, *faults, stubborn=tuple(stubborn))
    recorded = platform.ended[0].state not in ("FailureNotRecorded", "Moved")
    assert platform.final.status.is_final or not recorded


@FEWER
@given(CHOSEN, st.lists(TWINS, min_size=1, max_size=2), st.lists(FAULTS, max_size=3), st.lists(STUBBORN, max_size=1))
def test_no_twin_loses_or_doubles_money(
    token: str, twins: list[Fault], faults: list[Fault], stubborn: list[Stubborn]
) -> None:
    """PAY-04, PAY-23: a second execution in the middle of the first, as Express allows."""
    platform = executed(token, *twins, *faults, stubborn=tuple(stubborn))
    recorded = any(ended.state not in ("FailureNotRecorded", "Moved") for ended in platform.ended)
    assert platform.final.status.is_final or not recorded
