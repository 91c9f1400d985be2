"""Faults on request: what each does, and that it does nothing unless it is asked for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from rollout.sandbox import Sandbox
from rollout.sandbox.faults import Control, Faults, FaultsRefusedError
from tests.sandbox.clients import ACCOUNT, AWAY, HOME, Clients, eventually

# Stops in the middle until there is the file that it is told to wait for.
WRITES = """
import os, time
def handler(event, context):
    if "write_to" in event:
        with open(event["write_to"], "a") as file:
            file.write("a")
            file.flush()
            while "until" in event and not os.path.exists(event["until"]):
                time.sleep(0.02)
            file.write("b")
    return {"statusCode": 200, "body": "done"}
"""
# No function in these tests runs for longer than this when it is let go on.
DONE_S = 1.5

Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def faults(sandbox: Sandbox) -> Iterator[Ask]:
    """Ask for faults; the document that is in force then. Nothing is left of them afterwards."""
    url = f"{sandbox.endpoint}/_ministack/faults"

    def ask(**document: Any) -> dict[str, Any]:
        answer = httpx.put(url, json=document, timeout=60)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    yield ask
    httpx.delete(url, timeout=60)


@pytest.fixture(scope="module")
def writes(aws: Clients) -> str:
    for region in (HOME, AWAY):
        aws.function("writes", WRITES, region=region)
        aws.invoke("writes", region=region)
    return "writes"


def struck(sandbox: Sandbox) -> dict[str, int]:
    found: dict[str, int] = httpx.get(f"{sandbox.endpoint}/_ministack/faults", timeout=60).json()["struck"]
    return found


def test_there_are_no_faults_unless_asked_for(sandbox: Sandbox) -> None:
    told = httpx.get(f"{sandbox.endpoint}/_ministack/faults", timeout=60).json()
    assert told["faults"] == Faults().as_document() | {"down": [], "crashes": [], "throttles": [], "lag": []}


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"fire": True}, "fire: no such fault; allowed: seed, down, crashes, throttles, lag"),
        ({"crashes": [{"function": "*", "probability": 2}]}, "probability: 2 is not allowed; allowed: from 0 to 1"),
        ({"crashes": [{"function": "*", "probability": 1, "when": "ever"}]}, "when: 'ever' is not allowed"),
        ({"lag": [{"seconds": 1}]}, "table: None is not allowed; allowed: a pattern of names"),
        ({"lag": [{"table": "*", "seconds": -1}]}, "seconds: -1 is not allowed; allowed: from 0 to 3600"),
        ([], "faults: [] is not allowed; allowed: an object"),
    ],
)
def test_a_document_is_refused_with_field_value_and_what_is_allowed(document: Any, said: str) -> None:
    with pytest.raises(FaultsRefusedError) as refused:
        Faults.from_document(document)
    assert str(refused.value).startswith(said)


def test_dice_follow_from_the_seed_and_the_function() -> None:
    def throws(seed: int, function: str) -> list[bool]:
        control = Control()
        control.set(Faults.from_document({"seed": seed, "throttles": [{"function": "*", "probability": 0.5}]}))
        return [control.throttled(function) for _ in range(64)]

    assert throws(1, "a") == throws(1, "a")
    assert len({tuple(throws(seed, name)) for seed in (1, 2) for name in ("a", "b")}) == 4


def crashed(aws: Clients, faults: Ask, when: str, path: Path, **event: Any) -> str:
    """What a function has written when it crashes; afterwards it works again."""
    faults(crashes=[{"function": "writes", "probability": 1, "when": when}])
    answer = aws.invoke("writes", {"write_to": str(path), **event})
    assert answer["error"]
    assert answer["payload"]["errorType"] == "Runtime.ExitError"
    faults()
    assert not aws.invoke("writes")["error"]
    return path.read_text() if path.exists() else ""


@pytest.mark.usefixtures("writes")
@pytest.mark.parametrize("crash", [("before", ""), ("after", "ab")], ids=lambda crash: crash[0])
def test_a_function_crashes_before_or_after_its_handler(
    aws: Clients, faults: Ask, tmp_path: Path, crash: tuple[str, str]
) -> None:
    when, written = crash
    assert crashed(aws, faults, when, tmp_path / "written") == written


@pytest.mark.usefixtures("writes")
def test_a_function_crashes_during_its_handler(aws: Clients, faults: Ask, tmp_path: Path) -> None:
    """At a moment that the dice choose, within a tenth of a second: on a busy machine before the first line too."""
    written = ""
    for number in range(40):
        written = crashed(aws, faults, "during", tmp_path / f"{number}", until=str(tmp_path / "never"))
        assert written in ("", "a")
        if written:
            break
    assert written == "a"


def test_a_throttled_function_is_not_run(aws: Clients, writes: str, faults: Ask, tmp_path: Path) -> None:
    path = tmp_path / "written"
    faults(throttles=[{"function": writes, "probability": 1}])
    with pytest.raises(ClientError) as refused:
        aws.invoke(writes, {"write_to": str(path)})
    assert refused.value.response["Error"]["Code"] == "TooManyRequestsException"
    assert not path.exists()


def test_functions_of_a_region_that_is_down_answer_nothing(aws: Clients, writes: str, faults: Ask) -> None:
    faults(down=[AWAY])
    with pytest.raises(ClientError) as refused:
        aws.invoke(writes, region=AWAY)
    assert refused.value.response["Error"]["Code"] == "ServiceException"
    assert not aws.invoke(writes, region=HOME)["error"]
    faults()
    assert not aws.invoke(writes, region=AWAY)["error"]


def test_a_workflow_stands_still_while_its_region_is_down(
    aws: Clients, writes: str, faults: Ask, tmp_path: Path
) -> None:
    """What was being done ends in the middle; back again, the task fails and its retrier does it once more."""
    path, go_on, states = tmp_path / "written", tmp_path / "go-on", aws("stepfunctions", AWAY)
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": writes, "Payload": {"write_to": str(path), "until": str(go_on)}},
        "TimeoutSeconds": 60,
        "Retry": [{"ErrorEquals": ["Lambda.ServiceException"], "IntervalSeconds": 1, "MaxAttempts": 1}],
        "End": True,
    }
    machine = states.create_state_machine(
        name="stands-still",
        definition=json.dumps({"StartAt": "Write", "States": {"Write": task}}),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/workflow",
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    assert eventually(lambda: path.exists() and path.read_text(), bool) == "a"
    faults(down=[AWAY])
    go_on.touch()
    time.sleep(DONE_S)
    assert path.read_text() == "a"
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    faults()
    done = eventually(
        lambda: states.describe_execution(executionArn=execution)["status"], lambda status: status != "RUNNING"
    )
    assert (done, path.read_text()) == ("SUCCEEDED", "aab")


def test_a_task_whose_region_is_down_does_not_use_up_its_time(
    aws: Clients, writes: str, faults: Ask, tmp_path: Path
) -> None:
    path, states = tmp_path / "written", aws("stepfunctions", AWAY)
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": writes, "Payload": {"write_to": str(path)}},
        "TimeoutSeconds": 5,
        "End": True,
    }
    machine = states.create_state_machine(
        name="waits",
        definition=json.dumps({"StartAt": "Write", "States": {"Write": task}}),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/workflow",
    )["stateMachineArn"]
    aws.invoke(writes, region=AWAY)
    faults(down=[AWAY])
    execution = states.start_execution(stateMachineArn=machine, input="{}")["executionArn"]
    time.sleep(6)
    assert states.describe_execution(executionArn=execution)["status"] == "RUNNING"
    faults()
    done = eventually(
        lambda: states.describe_execution(executionArn=execution)["status"], lambda status: status != "RUNNING"
    )
    assert (done, path.read_text()) == ("SUCCEEDED", "ab")


# -- replication -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(aws: Clients) -> str:
    dynamodb = aws("dynamodb")
    dynamodb.create_table(
        TableName="late",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    dynamodb.update_table(TableName="late", ReplicaUpdates=[{"Create": {"RegionName": AWAY}}])
    return "late"


def put(aws: Clients, region: str, id: str, value: str, **more: Any) -> None:
    aws("dynamodb", region).put_item(TableName="late", Item={"id": {"S": id}, "value": {"S": value}}, **more)


def value(aws: Clients, region: str, id: str) -> str | None:
    item = aws("dynamodb", region).get_item(TableName="late", Key={"id": {"S": id}}, ConsistentRead=True).get("Item")
    return item["value"]["S"] if item else None


def test_a_write_arrives_after_the_lag(aws: Clients, table: str, faults: Ask) -> None:
    faults(lag=[{"table": table, "seconds": 3}])
    put(aws, HOME, "1", "first")
    assert (value(aws, HOME, "1"), value(aws, AWAY, "1")) == ("first", None)
    assert eventually(lambda: value(aws, AWAY, "1"), bool) == "first"


def test_the_same_new_key_is_taken_in_two_regions_and_the_later_write_wins_in_both(
    aws: Clients, sandbox: Sandbox, table: str, faults: Ask
) -> None:
    faults(lag=[{"table": table, "seconds": 3}])
    before = struck(sandbox).get("write lost to a later one", 0)
    for region, wrote in ((HOME, "earlier"), (AWAY, "later")):
        put(aws, region, "2", wrote, ConditionExpression="attribute_not_exists(id)")
    assert (value(aws, HOME, "2"), value(aws, AWAY, "2")) == ("earlier", "later")
    assert eventually(lambda: value(aws, HOME, "2"), lambda found: found == "later") == "later"
    lost = eventually(lambda: struck(sandbox).get("write lost to a later one", 0), lambda found: found > before)
    assert lost == before + 1
    assert value(aws, AWAY, "2") == "later"


def test_writes_wait_while_a_region_is_down_and_meet_when_it_is_back(aws: Clients, table: str, faults: Ask) -> None:
    faults(lag=[{"table": table, "seconds": 0}], down=[AWAY])
    put(aws, HOME, "3", "from home")
    put(aws, AWAY, "4", "from away")
    put(aws, AWAY, "5", "earlier")
    put(aws, HOME, "5", "later")
    time.sleep(0.5)
    assert (value(aws, AWAY, "3"), value(aws, HOME, "4")) == (None, None)
    faults(lag=[{"table": table, "seconds": 0}])
    assert eventually(lambda: (value(aws, AWAY, "3"), value(aws, HOME, "4")), all) == ("from home", "from away")
    assert eventually(lambda: value(aws, AWAY, "5"), lambda found: found == "later") == "later"
    assert value(aws, HOME, "5") == "later"


def test_faults_that_end_leave_nothing_on_its_way(aws: Clients, table: str, faults: Ask) -> None:
    assert faults(lag=[{"table": table, "seconds": 600}])["replicating"] == 0
    put(aws, HOME, "6", "first")
    assert faults()["replicating"] == 0
    assert value(aws, AWAY, "6") == "first"


def test_replication_is_synchronous_without_faults(aws: Clients, table: str) -> None:
    put(aws, HOME, "7", "first")
    assert value(aws, AWAY, "7") == "first"


# -- the API ---------------------------------------------------------------------------------------


def api(clients: Clients, function: str, region: str) -> str:
    """A REST API in front of a function, whose own answer to what fails is 503 with Retry-After."""
    gateway = clients("apigateway", region)
    id = gateway.create_rest_api(name=f"front-{region}")["id"]
    root = gateway.get_resources(restApiId=id)["items"][0]["id"]
    gateway.put_method(restApiId=id, resourceId=root, httpMethod="GET", authorizationType="NONE")
    arn = f"arn:aws:lambda:{region}:{ACCOUNT}:function:{function}"
    gateway.put_integration(
        restApiId=id,
        resourceId=root,
        httpMethod="GET",
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations",
    )
    gateway.put_gateway_response(
        restApiId=id,
        responseType="DEFAULT_5XX",
        statusCode="503",
        responseParameters={"gatewayresponse.header.Retry-After": "'1'"},
    )
    gateway.create_deployment(restApiId=id, stageName="v1")
    return f"{clients.endpoint}/restapis/{id}/v1/_user_request_/"


@pytest.mark.parametrize(
    "document",
    [
        {"throttles": [{"function": "writes", "probability": 1}]},
        {"crashes": [{"function": "writes", "probability": 1, "when": "before"}]},
    ],
    ids=["throttled", "crashed"],
)
def test_an_api_answers_for_its_function_as_it_says(
    aws: Clients, writes: str, faults: Ask, document: dict[str, Any]
) -> None:
    url = api(aws, writes, HOME)
    assert httpx.get(url, timeout=60).text == "done"
    faults(**document)
    answer = httpx.get(url, timeout=60)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "1")


def test_upstream_still_answers_past_the_apis_own_response(plain_aws: Clients) -> None:
    plain_aws.function("writes", WRITES)
    url = api(plain_aws, "writes", HOME)
    plain_aws("lambda").put_function_concurrency(FunctionName="writes", ReservedConcurrentExecutions=0)
    answer = httpx.get(url, timeout=60)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, None)


def test_an_api_of_a_region_that_is_down_answers_nothing_of_its_own(aws: Clients, writes: str, faults: Ask) -> None:
    away, home = api(aws, writes, AWAY), api(aws, writes, HOME)
    faults(down=[AWAY])
    assert (httpx.get(away, timeout=60).status_code, httpx.get(home, timeout=60).status_code) == (500, 200)
    assert "Retry-After" not in httpx.get(away, timeout=60).headers
    faults()
    assert httpx.get(away, timeout=60).status_code == 200
