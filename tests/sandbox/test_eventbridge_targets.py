"""Events reach other regions' buses once, functions with retries, and queues when undeliverable."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.sandbox.clients import ACCOUNT, AWAY, HOME, Clients

FAR = "ap-southeast-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/forwards"
SOURCE = "tripoint.payments"


def make_bus(aws: Clients, name: str, region: str) -> tuple[str, str]:
    """A bus with a queue of all that arrives; the bus's ARN and the queue's URL."""
    events = aws("events", region)
    arn = events.create_event_bus(Name=name)["EventBusArn"]
    url, queue = aws.queue(f"{name}-arrived", region=region)
    route(aws, name, region, f"{name}-arrived", queue)
    return arn, url


def route(aws: Clients, bus: str, region: str, rule: str, target: str, **settings: Any) -> None:
    events = aws("events", region)
    events.put_rule(Name=rule, EventBusName=bus, EventPattern=json.dumps({"source": [SOURCE]}))
    events.put_targets(Rule=rule, EventBusName=bus, Targets=[{"Id": "t", "Arn": target, **settings}])


def publish(aws: Clients, bus: str, region: str = HOME) -> None:
    aws("events", region).put_events(
        Entries=[{"Source": SOURCE, "DetailType": "Settled", "Detail": '{"origin_region": "x"}', "EventBusName": bus}]
    )


def test_an_event_reaches_another_regions_bus_and_keeps_its_region_of_origin(aws: Clients) -> None:
    make_bus(aws, "forwards", HOME)
    there, arrived = make_bus(aws, "forwards", AWAY)
    route(aws, "forwards", HOME, "to-away", there, RoleArn=ROLE)
    publish(aws, "forwards")
    (event,) = [json.loads(body) for body in aws.receive(arrived, region=AWAY)]
    assert event["region"] == HOME
    assert event["detail"] == {"origin_region": "x"}


def test_upstream_still_drops_events_for_other_regions(plain_aws: Clients) -> None:
    make_bus(plain_aws, "forwards", HOME)
    there, arrived = make_bus(plain_aws, "forwards", AWAY)
    route(plain_aws, "forwards", HOME, "to-away", there, RoleArn=ROLE)
    publish(plain_aws, "forwards")
    assert plain_aws.receive(arrived, region=AWAY, wait_s=1.0) == []


def test_an_event_is_not_forwarded_to_a_third_bus(aws: Clients) -> None:
    make_bus(aws, "chain", HOME)
    second, second_arrived = make_bus(aws, "chain", AWAY)
    third, third_arrived = make_bus(aws, "chain", FAR)
    route(aws, "chain", HOME, "on", second, RoleArn=ROLE)
    route(aws, "chain", AWAY, "on", third, RoleArn=ROLE)
    publish(aws, "chain")
    assert len(aws.receive(second_arrived, region=AWAY)) == 1
    assert aws.receive(third_arrived, region=FAR, wait_s=0.5) == []
    publish(aws, "chain", AWAY)  # published anew it goes on
    assert len(aws.receive(third_arrived, region=FAR)) == 1


def test_an_undeliverable_event_ends_in_the_targets_queue_with_the_reason(aws: Clients) -> None:
    make_bus(aws, "dead", HOME)
    url, queue = aws.queue("undelivered")
    missing = f"arn:aws:events:{AWAY}:{ACCOUNT}:event-bus/nowhere"
    route(aws, "dead", HOME, "to-nowhere", missing, RoleArn=ROLE, DeadLetterConfig={"Arn": queue})
    publish(aws, "dead")
    (message,) = aws("sqs").receive_message(QueueUrl=url, MessageAttributeNames=["All"], WaitTimeSeconds=20)["Messages"]
    assert json.loads(message["Body"])["source"] == SOURCE
    assert message["MessageAttributes"]["TARGET_ARN"]["StringValue"] == missing


def test_upstream_still_loses_undeliverable_events(plain_aws: Clients) -> None:
    make_bus(plain_aws, "dead", HOME)
    url, queue = plain_aws.queue("undelivered")
    missing = f"arn:aws:sqs:{HOME}:{ACCOUNT}:nowhere"
    route(plain_aws, "dead", HOME, "to-nowhere", missing, DeadLetterConfig={"Arn": queue})
    publish(plain_aws, "dead")
    assert plain_aws.receive(url, wait_s=0.5) == []


def test_a_function_that_fails_is_retried_and_its_event_kept(aws: Clients) -> None:
    make_bus(aws, "failing", HOME)
    url, queue = aws.queue("failed-events")
    arn = aws.function(
        "fails-on-events", "def handler(e, c): raise ValueError(e['id'])", DeadLetterConfig={"TargetArn": queue}
    )["FunctionArn"]
    aws("lambda").put_function_event_invoke_config(FunctionName="fails-on-events", MaximumRetryAttempts=0)
    route(aws, "failing", HOME, "to-function", arn)
    publish(aws, "failing")
    (body,) = aws.receive(url)
    assert json.loads(body)["source"] == SOURCE


def journal(aws: Clients, bus: str) -> str:
    """A log group that gets what is on a bus; its name."""
    name = f"/aws/events/{bus}"
    aws("logs").create_log_group(logGroupName=name)
    aws("events").create_event_bus(Name=bus)
    route(aws, bus, HOME, f"{bus}-journal", f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:{name}")
    publish(aws, bus)
    return name


def test_a_log_group_gets_events_as_lines(aws: Clients) -> None:
    (line,) = aws("logs").filter_log_events(logGroupName=journal(aws, "noted"))["events"]
    event = json.loads(line["message"])
    assert (event["source"], event["detail"]) == (SOURCE, {"origin_region": "x"})
    assert abs(line["timestamp"] / 1000 - time.time()) < 60


def test_upstream_still_loses_events_for_log_groups(plain_aws: Clients) -> None:
    assert plain_aws("logs").filter_log_events(logGroupName=journal(plain_aws, "noted"))["events"] == []


def test_an_event_for_a_log_group_that_is_not_there_is_undeliverable(aws: Clients) -> None:
    make_bus(aws, "unnoted", HOME)
    url, queue = aws.queue("unnoted-events")
    missing = f"arn:aws:logs:{HOME}:{ACCOUNT}:log-group:/aws/events/nowhere"
    route(aws, "unnoted", HOME, "to-nowhere", missing, DeadLetterConfig={"Arn": queue})
    publish(aws, "unnoted")
    (body,) = aws.receive(url)
    assert json.loads(body)["source"] == SOURCE


def lines(aws: Clients, group: str, number: int) -> None:
    aws("logs").create_log_group(logGroupName=group)
    aws("logs").create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)
    events = [{"timestamp": now + one, "message": str(one)} for one in range(number)]
    aws("logs").put_log_events(logGroupName=group, logStreamName="s", logEvents=events)


def test_a_long_log_is_read_page_by_page(aws: Clients) -> None:
    lines(aws, "/long", 25)
    pages = list(aws("logs").get_paginator("filter_log_events").paginate(logGroupName="/long", limit=10))
    assert [len(page["events"]) for page in pages] == [10, 10, 5]
    assert [event["message"] for page in pages for event in page["events"]] == [str(one) for one in range(25)]


def test_upstream_still_shows_the_first_page_only(plain_aws: Clients) -> None:
    lines(plain_aws, "/long", 25)
    assert "nextToken" not in plain_aws("logs").filter_log_events(logGroupName="/long", limit=10)
