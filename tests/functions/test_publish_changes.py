"""Change data capture: which changes become events, and what happens to those that cannot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from functions import catalogue
from functions.payments.events import DETAIL_TYPES, HANDED_OVER, SOURCE, EventBridgeBus, detail
from functions.payments.ledger import to_item
from functions.payments.model import Payment, Status
from functions.publish_changes.handler import handler
from functions.publish_changes.logic import publish
from tests.functions.fakes import REGION, Context, RecordingBus, a_payment

NUMBERS = count(1)
AUTHORIZED = a_payment().changed(at="later", status=Status.AUTHORIZED, authorization_id="auth_1")


HANDED = a_payment().changed(at="later", next_region="us-east-1")


def record(after: Payment | dict[str, Any] | None, before: Payment | None = None, **images: Any) -> dict[str, Any]:
    """A record of the table's stream."""
    change = {"SequenceNumber": f"{next(NUMBERS):020d}", **images}
    if after is not None:
        change["NewImage"] = to_item(after) if isinstance(after, Payment) else after
    if before is not None:
        change["OldImage"] = to_item(before)
    return {"eventID": change["SequenceNumber"], "eventSource": "aws:dynamodb", "dynamodb": change}


def number(one: dict[str, Any]) -> str:
    return str(one["dynamodb"]["SequenceNumber"])


def published(*records: dict[str, Any]) -> list[Payment]:
    bus = RecordingBus()
    assert not any(publish(records, region=REGION, bus=bus).values())
    return bus.published


class Events:
    """An EventBridge client that remembers, and refuses the payment ids it is told to."""

    def __init__(self, refused: Sequence[str] = ()) -> None:
        self.calls: list[list[dict[str, Any]]] = []
        self.refused = refused

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.calls.append(Entries)
        refused = [any(one in entry["Detail"] for one in self.refused) for entry in Entries]
        return {"Entries": [{"ErrorCode": "ThrottlingException"} if no else {"EventId": "1"} for no in refused]}


def test_every_new_status_is_published_once() -> None:
    """PAY-10."""
    settled = AUTHORIZED.changed(at="later", status=Status.SETTLED)
    assert published(record(a_payment()), record(AUTHORIZED, a_payment()), record(settled, AUTHORIZED)) == [
        replace(one, request_hash=a_payment().request_hash) for one in (a_payment(), AUTHORIZED, settled)
    ]


def test_a_hand_over_is_published_once_and_says_where_to() -> None:
    """PAY-05: by the home until then, whatever else the stream has merged into the change."""
    events = Events()
    for one in (record(HANDED, a_payment()), record(HANDED)):
        (payment,) = published(one)
        EventBridgeBus(events, "bus").publish([payment])
        assert not published({**one, "dynamodb": {**one["dynamodb"], "NewImage": to_item(moved(payment))}})
    assert [call[0]["DetailType"] for call in events.calls] == ["PaymentHandedOver"] * 2
    told = json.loads(events.calls[0][0]["Detail"])
    assert (told["origin_region"], told["regions_tried"], told["next_region"]) == (REGION, [REGION], "us-east-1")


def moved(payment: Payment) -> Payment:
    return replace(payment, home_region="us-east-1")


def test_changes_that_the_stream_has_merged_still_tell_the_last_status() -> None:
    """PAY-10: replication may merge writes."""
    settled = AUTHORIZED.changed(at="later", status=Status.SETTLED)
    assert [one.status for one in published(record(settled, a_payment()))] == [Status.SETTLED]


@pytest.mark.parametrize(
    "silent",
    [
        record(a_payment(home_region="us-east-1")),
        record(None, a_payment()),
        record(a_payment().changed(at="later", compensating="why"), a_payment()),
        record(a_payment(), a_payment()),
        record({"payment_id": {"S": f"region#{REGION}"}, "drained": {"BOOL": True}}),
        record(HANDED.changed(at="later", next_region="", home_region=REGION), HANDED),
        record(HANDED.changed(at="later"), HANDED),
    ],
    ids=[
        "another region's",
        "a delete",
        "the mark of compensation",
        "nothing changed",
        "an item about a region",
        "a payment taken over",
        "handed over before",
    ],
)
def test_what_is_no_news_here_is_not_published(silent: dict[str, Any]) -> None:
    """PAY-10: of all regions' streams only the home's speaks."""
    assert published(silent) == []


def test_a_change_has_the_same_event_id_however_often_it_is_delivered() -> None:
    """PAY-10."""
    one = record(AUTHORIZED, a_payment())
    first, again = published(one, one)
    assert detail(first)["event_id"] == detail(again)["event_id"] == AUTHORIZED.event_id


def test_an_event_tells_ids_and_amounts_and_nothing_else() -> None:
    """PAY-22, PAY-05."""
    assert detail(AUTHORIZED) == {
        "event_id": AUTHORIZED.event_id,
        "payment_id": AUTHORIZED.payment_id,
        "status": "AUTHORIZED",
        "version": 2,
        "amount": 1299,
        "currency": "EUR",
        "merchant_id": "m-1",
        "origin_region": REGION,
        "regions_tried": [REGION],
        "occurred_at": "later",
    }


def test_events_go_to_the_bus_ten_at_a_time() -> None:
    """PAY-05."""
    events = Events()
    assert EventBridgeBus(events, "bus").publish([AUTHORIZED] * 23) == [None] * 23
    assert [len(call) for call in events.calls] == [10, 10, 3]
    entry = events.calls[0][0]
    assert (entry["EventBusName"], entry["Source"], entry["DetailType"]) == ("bus", SOURCE, "PaymentAuthorized")
    assert json.loads(entry["Detail"]) == detail(AUTHORIZED)


def test_the_catalogue_names_the_events_for_the_rules() -> None:
    assert catalogue.EVENT_SOURCE == SOURCE
    assert set(catalogue.EVENT_DETAIL_TYPES) == {*DETAIL_TYPES.values(), HANDED_OVER}
    assert catalogue.HANDED_OVER == HANDED_OVER


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"home_region": {"S": REGION}},
        {**to_item(a_payment()), "amount": {"S": "12"}},
        {**to_item(a_payment()), "status": {"S": "PAID"}},
        {**to_item(a_payment()), "version": {"N": "1.5"}},
        {**to_item(a_payment()), "home_region": {"BOOL": True}},
    ],
)
def test_a_poison_record_fails_alone(image: dict[str, Any]) -> None:
    """PAY-10."""
    good, poison, more = record(a_payment()), record(image or {"x": {"S": "y"}}), record(AUTHORIZED, a_payment())
    bus = RecordingBus()
    errors = publish([good, poison, more], region=REGION, bus=bus)
    assert [key for key, error in errors.items() if error] == [number(poison)]
    assert len(bus.published) == 2


def test_the_handler_reports_exactly_the_records_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """PAY-10."""
    other = a_payment(payment_id="pay_refused")
    records = [record(a_payment()), record({"x": {"S": "y"}}), record(other), record(AUTHORIZED, a_payment())]
    events = Events(refused=["pay_refused"])
    monkeypatch.setattr("functions.payments.aws.client", lambda *_: events)
    answer = handler({"Records": records}, Context())
    failed = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
    assert failed == [number(records[1]), number(records[2])]
    assert sum(map(len, events.calls)) == 3


def test_a_batch_of_nothing_but_failures_is_reported_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """PAY-10."""
    monkeypatch.setattr("functions.payments.aws.client", lambda *_: Events(refused=["pay_"]))
    records = [record(a_payment()), record(AUTHORIZED, a_payment())]
    assert len(handler({"Records": records}, Context())["batchItemFailures"]) == 2


def test_without_news_the_bus_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events()
    monkeypatch.setattr("functions.payments.aws.client", lambda *_: events)
    assert handler({"Records": [record(None, a_payment())]}, Context()) == {"batchItemFailures": []}
    assert events.calls == []
