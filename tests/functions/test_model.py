"""What a payment is, and the only ways in which it may change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.payments import ids
from functions.payments.errors import (
    FinalError,
    InvalidPaymentError,
    PaymentClosedError,
    PaymentCompensatingError,
    PaymentMovedError,
    TransientError,
    TransitionNotAllowedError,
    shown,
)
from functions.payments.ledger import from_item, to_item
from functions.payments.model import ALLOWED_FROM, Payment, Status
from tests.functions.fakes import a_payment

STATUSES = st.sampled_from(Status)
TEXT = st.text(max_size=20)
GIVEN = st.text(min_size=1, max_size=20)
PAYMENTS = st.builds(
    Payment,
    payment_id=GIVEN,
    merchant_id=GIVEN,
    amount=st.integers(1, 10**12),
    currency=GIVEN,
    payment_method=GIVEN,
    home_region=GIVEN,
    regions_tried=st.lists(GIVEN, min_size=1, max_size=3).map(tuple),
    created_at=GIVEN,
    updated_at=GIVEN,
    status=STATUSES,
    version=st.integers(1, 1000),
    capture_id=TEXT,
    reason=TEXT,
    accepted_in=TEXT,
    epoch=st.integers(1, 9),
    claimed_from=TEXT,
)


@given(STATUSES, st.lists(STATUSES, max_size=8))
def test_a_final_status_is_never_left(start: Status, wanted: list[Status]) -> None:
    """PAY-04."""
    payment = a_payment(status=start)
    for to in wanted:
        before = payment
        try:
            if payment.may_become(to):
                payment = payment.changed(at="later", status=to)
        except (PaymentClosedError, TransitionNotAllowedError):
            pass
        if before.status.is_final:
            assert payment is before


@given(STATUSES, STATUSES)
def test_a_change_is_allowed_repeated_or_refused_and_nothing_else(start: Status, to: Status) -> None:
    payment = a_payment(status=start)
    try:
        allowed = payment.may_become(to)
    except (PaymentClosedError, TransitionNotAllowedError):
        assert start is not to
        assert start not in ALLOWED_FROM[to]
    else:
        assert allowed == (start in ALLOWED_FROM[to])


@pytest.mark.parametrize("to", [Status.AUTHORIZED, Status.SETTLED])
def test_a_payment_that_is_being_undone_does_not_progress(to: Status) -> None:
    """PAY-04."""
    before = next(iter(ALLOWED_FROM[to]))
    with pytest.raises(PaymentCompensatingError):
        a_payment(status=before, compensating="why").may_become(to)


def test_every_version_has_its_own_event_id_that_never_changes() -> None:
    payment = a_payment()
    following = payment.changed(at="later", status=Status.AUTHORIZED)
    assert following.version == payment.version + 1
    assert following.event_id != payment.event_id
    assert payment.event_id == ids.event_id(payment.payment_id, Status.RECEIVED, "", payment.home_region, 1, 1)
    assert payment.event_id != replace(payment, home_region="there").event_id  # a twin's first version


@given(st.sampled_from([status for status in Status if status.is_final]), PAYMENTS, PAYMENTS)
def test_the_end_of_a_payment_has_one_event_id_whoever_tells_it(status: Status, one: Payment, other: Payment) -> None:
    """PAY-10, PAY-23: a home that was given up for dead, and the one that went on."""
    one, other = (replace(each, payment_id="pay_1", status=status) for each in (one, other))
    assert one.event_id == other.event_id
    assert one.event_id != replace(one, status=Status.AUTHORIZED).event_id


def test_only_the_home_region_works_on_a_payment() -> None:
    """PAY-23."""
    assert a_payment(home_region="here").at_home_in("here")
    with pytest.raises(PaymentMovedError):
        a_payment(home_region="here").at_home_in("there")


def test_a_settled_payment_counts_as_authorized_but_not_as_failed() -> None:
    assert a_payment(status=Status.SETTLED).may_become(Status.AUTHORIZED) is False
    with pytest.raises(PaymentClosedError):
        a_payment(status=Status.SETTLED).may_become(Status.FAILED)


@given(PAYMENTS)
def test_a_payment_survives_the_workflow_and_the_ledger_unchanged(payment: Payment) -> None:
    assert Payment.from_document(payment.to_document()) == payment
    assert from_item(to_item(payment)) == payment


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", True),
        ("amount", 12.5),
        ("amount", "12"),
        ("amount", 0),
        ("version", None),
        ("status", "PAID"),
        ("regions_tried", "eu-west-1"),
        ("regions_tried", [1]),
        ("merchant_id", 7),
    ],
)
def test_a_document_of_the_wrong_type_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(InvalidPaymentError) as refused:
        Payment.from_document({**a_payment().to_document(), field: value})
    assert refused.value.field == field


def test_a_document_that_lacks_a_field_is_refused_by_name() -> None:
    document = a_payment().to_document()
    del document["currency"]
    with pytest.raises(InvalidPaymentError, match="currency"):
        Payment.from_document(document)
    with pytest.raises(InvalidPaymentError, match="an object"):
        Payment.from_document(["payment"])


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_two_merchants_or_keys_never_share_a_payment(m1: str, k1: str, m2: str, k2: str) -> None:
    pairs = {(m.replace("\n", ""), k.replace("\n", "")) for m, k in ((m1, k1), (m2, k2))}
    try:
        found = {ids.payment_id(m, k) for m, k in pairs}
    except UnicodeEncodeError:  # a lone surrogate: the request refuses it before
        return
    assert len(found) == len(pairs)
    assert all(ids.is_payment_id(one) and len(one) == 30 for one in found)


def test_the_payment_id_of_a_key_is_pinned() -> None:
    """Another derivation would charge again for every key in flight during a deployment."""
    assert ids.payment_id("m-1", "key-1") == "pay_ytwmazhyh2346rkaef4hdvlr4h"


def test_an_error_message_never_shows_a_card_number() -> None:
    """PAY-22."""
    assert "4111111111111111" not in shown("4111111111111111")
    assert shown(["x" * 500]).endswith("...")
    assert shown(object()) == '"object"'


def test_an_error_is_transient_or_final_and_named_so() -> None:
    assert not {*TransientError.__subclasses__()} & {*FinalError.__subclasses__()}
    for kind in (*TransientError.__subclasses__(), *FinalError.__subclasses__()):
        assert kind.__name__.endswith("Error")
