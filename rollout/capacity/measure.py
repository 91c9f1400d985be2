"""Measures what one payment asks of AWS, by running the real handlers on AWS in memory (moto).

    python -m rollout.capacity.measure            writes rollout/capacity/measured.json
    python -m rollout.capacity.measure --print    prints the same

Payments go in at the API's handler. What it starts the workflow with goes through the states of
`functions/workflow/payment.asl.json`, each invoking its handler; the stream records of what was written go to
`publish_changes` in batches. Every call is counted at botocore's `before-send`, every answer at `response-received`:
what lies between is the emulated AWS and is taken off the handlers' CPU time. The card processor is the simulator, once
in its table and once behind HTTP on the loopback address.

Counts are exact and repeatable. Durations are of this machine's CPU, which is not Lambda's: Lambda at 1,769 MB has one
vCPU (Lambda developer guide, "Configure Lambda function memory").
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import statistics
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.metadata import version
from math import ceil
from typing import Any

from functions.catalogue import FUNCTIONS, WORKFLOW_FUNCTIONS
from functions.workflow import render
from rollout.capacity.measured import FILE, READ, SETTLED, FunctionUse, Measured, Scenario
from shared.errors import TripointError

PAYMENTS = 100
"""Payments of each scenario: enough for full batches of stream records."""
BATCH_SIZE = 100
"""Stream records of one invocation, as the compute layer's mapping has it (held to that by a test)."""

TOKENS: Mapping[str, str] = {SETTLED: "tok_visa", "declined": "tok_declined", "compensated": "tok_capture_declined"}
"""The card that leads to each scenario, which is named after the workflow's last state."""
REGION = "us-east-1"
ACCOUNT = "123456789012"
MERCHANT = "merchant-0001"
MERCHANT_ROLES = "tripoint-merchant-{}-bench"
MACHINE = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:payments"
VALUES: Mapping[str, str] = {
    "PAYMENTS_TABLE": "payments",
    "PROCESSOR_TABLE": "processor",
    "MERCHANT_ROLES": MERCHANT_ROLES,
    "VAULT_TABLE": "vault",
    "VAULT_RETENTION_DAYS": "400",
    "FAILOVER_ORDER": f"{REGION},eu-west-1",
    "DOWN_AFTER_S": "180",
    "STALE_AFTER_S": "300",
    "METRICS_REGIONS": f"{REGION},eu-west-1",
    "RECEIPTS_BUCKET": "receipts",
    "RECEIPTS_KEY_ARN": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
    "STATE_MACHINE_ARN": MACHINE,
    "EVENT_BUS_NAME": "payments",
    "PROCESSOR_SECRET_ID": "processor-key",
    "PROCESSOR_TIMEOUT_MS": "5000",
    "LOG_LEVEL": "INFO",
    "POWERTOOLS_SERVICE_NAME": "payments",
    "POWERTOOLS_METRICS_NAMESPACE": "tripoint/measure",
}
PARTITION_KEYS: Mapping[str, str] = {"payments": "payment_id", "processor": "operation_key", "vault": "payment_id"}
PAYER = {"name": "Ada Lovelace", "email": "ada@example.com", "address": "12 St James's Square, London SW1Y 4JH"}
STREAMED = "payments"
INDEX, INDEXED = f"{STREAMED}.open", "open_in"
"""The index of open payments, and the attribute by which a payment is in it."""


class MeasureError(TripointError):
    """Something is measured that this module has not been taught."""


@dataclass
class Tally:
    """What has been counted in one scenario."""

    calls: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    own_s: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    quantities: Counter[str] = field(default_factory=Counter)
    payload_bytes: int = 0


@dataclass
class Invocation:
    """One invocation under way: what it has called so far, and how long others took."""

    function: str
    away_s: float = 0.0
    sent_at: float = 0.0
    calls: list[str] = field(default_factory=list)
    writes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    processor_bytes: int = 0
    objects: list[int] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)


class Probe:
    """Sees every call that botocore sends, and charges it to the invocation under way."""

    def __init__(self) -> None:
        self.invocation: Invocation | None = None

    def before_send(self, request: Any, event_name: str, **_: Any) -> None:
        """A handler of botocore's `before-send`; answers nothing, so that the emulator does."""
        if self.invocation is None:
            return
        service, operation = event_name.split(".")[1:]
        self.invocation.calls.append(f"{service}.{operation}")
        self._look_into(service, operation, request)
        self.invocation.sent_at = time.thread_time()

    def response_received(self, **_: Any) -> None:
        """A handler of botocore's `response-received`."""
        if self.invocation is not None:
            self.invocation.away_s += time.thread_time() - self.invocation.sent_at

    def _look_into(self, service: str, operation: str, request: Any) -> None:
        now = self.invocation
        if now is None:
            return
        if service == "s3":
            # Of a body with a checksum behind it, this header has the length.
            length = request.headers.get("X-Amz-Decoded-Content-Length") or request.headers["Content-Length"]
            now.objects.append(int(length))
            return
        document = json.loads(request.body) if request.body else {}
        if service == "dynamodb":
            self._look_into_dynamodb(now, operation, document)
        elif operation == "StartExecution":
            now.started.append(document["input"])
        elif operation == "PutEvents":
            now.events += [len(json.dumps(entry)) for entry in document["Entries"]]

    @staticmethod
    def _look_into_dynamodb(now: Invocation, operation: str, document: dict[str, Any]) -> None:
        table = document.get("TableName", "")
        match operation:
            case "PutItem":
                name = PARTITION_KEYS[table]
                now.writes.append((table, {name: document["Item"][name]}))
            case "UpdateItem" | "DeleteItem":
                now.writes.append((table, document["Key"]))
            case "GetItem":
                now.reads.append(table)
            case _:
                raise MeasureError(f"dynamodb.{operation}: teach rollout/capacity/measure.py what it consumes")


class CountingOutput(io.TextIOBase):
    """Standard output of the functions: Lambda sends it to CloudWatch Logs."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, text: str) -> int:
        self.written += len(text.encode())
        return len(text)


class ProcessorServer(ThreadingHTTPServer):
    """The simulator behind the HTTP protocol of `functions.processor.http`, on the loopback address."""

    daemon_threads = True

    def __init__(self) -> None:
        from functions.payments.errors import PaymentDeclinedError, PaymentError
        from functions.processor.accounts import InMemoryAccounts
        from functions.processor.protocol import Charge, Operation, operation_key
        from functions.processor.simulator import CardSimulator

        simulator = CardSimulator(InMemoryAccounts())

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                _, _, payment_id, name = self.path.split("/")
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                operation = Operation(name)
                call = getattr(simulator, operation.value)
                try:
                    outcome = call(Charge(payment_id, **body), key=operation_key(payment_id, operation))
                    self._answer(200, outcome._asdict())
                except PaymentError as error:
                    declined = isinstance(error, PaymentDeclinedError) or "Declined" in type(error).__name__
                    self._answer(402 if declined else 409, {"reason": str(error)})

            def _answer(self, status: int, document: dict[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the tally has it."""

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@dataclass
class LambdaContext:
    """The context of an invocation, as far as the functions read it."""

    function_name: str
    memory_limit_in_mb: int = 3072
    aws_request_id: str = "00000000-0000-0000-0000-000000000000"

    @property
    def invoked_function_arn(self) -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.function_name}"


class Bench:
    """One region on emulated AWS, with the functions' own code."""

    def __init__(self, probe: Probe, output: CountingOutput) -> None:
        self._probe = probe
        self._output = output
        self._handlers = {spec.name: import_module(f"functions.{spec.name}.handler").handler for spec in FUNCTIONS}
        self._states: dict[str, Any] = json.loads(
            render({"partition": "aws", **{f"{name}_arn": name for name in WORKFLOW_FUNCTIONS}})
        )
        self.tally = Tally()
        self._position: dict[str, str] = {}

    def build(self) -> None:
        """Make what the functions use."""
        from functions.payments import aws

        for table, key in PARTITION_KEYS.items():
            aws.client("dynamodb", REGION).create_table(
                TableName=table,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
                StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
            )
        aws.client("s3", REGION).create_bucket(Bucket="receipts")
        aws.client("events", REGION).create_event_bus(Name="payments")
        aws.client("secretsmanager", REGION).create_secret(Name="processor-key", SecretString="key")
        aws.client("stepfunctions", REGION).create_state_machine(
            name="payments",
            definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/states",
        )

    def pay(self, key: str, scenario: str) -> str:
        """Send one payment through the API and the workflow; its id.

        Raises
        ------
        MeasureError
            When it does not end as the scenario says.
        """
        body = {
            "amount": 1299,
            "currency": "EUR",
            "merchant_id": MERCHANT,
            "payment_method": TOKENS[scenario],
            "payer": PAYER,
        }
        answer, invocation = self._invoke("payments_api", _request("POST", "/payments", body, key))
        if answer["statusCode"] != 202 or len(invocation.started) != 1:
            raise MeasureError(f"POST /payments: {answer['statusCode']}, {len(invocation.started)} executions started")
        end = self._execute(json.loads(invocation.started[0]))
        if end != scenario.capitalize():
            raise MeasureError(f"a payment that was to be {scenario} ended in {end}")
        return str(json.loads(answer["body"])["payment_id"])

    def read(self, payment_id: str) -> None:
        """Ask the API how a payment stands."""
        answer, _ = self._invoke("payments_api", _request("GET", f"/payments/{payment_id}"))
        if answer["statusCode"] != 200:
            raise MeasureError(f"GET /payments: {answer['statusCode']}")

    def publish(self) -> None:
        """Hand the stream's new records to the publishing function, in batches."""
        records = list(self._new_records())
        for record in records:
            images = [record["dynamodb"].get(name) for name in ("OldImage", "NewImage")]
            size = max(item_bytes(image) for image in images if image)
            self.tally.quantities[f"write_units.{STREAMED}"] += ceil(size / 1024)
            self.tally.quantities[f"written_bytes.{STREAMED}"] += size
            self.tally.quantities[f"write_units.{INDEX}"] += index_writes(*images)
        self.tally.quantities["stream_records"] += len(records)
        for start in range(0, len(records), BATCH_SIZE):
            answer, _ = self._invoke("publish_changes", {"Records": records[start : start + BATCH_SIZE]})
            if answer["batchItemFailures"]:
                raise MeasureError("publish_changes could not publish every record")

    def _new_records(self) -> Iterator[dict[str, Any]]:
        from functions.payments import aws

        streams = aws.client("dynamodbstreams", REGION)
        (stream,) = streams.list_streams(TableName=STREAMED)["Streams"]
        arn = stream["StreamArn"]
        for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
            name = shard["ShardId"]
            after = self._position.get(name)
            where: dict[str, Any] = {"ShardIteratorType": "TRIM_HORIZON"}
            if after:
                where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
            position = streams.get_shard_iterator(StreamArn=arn, ShardId=name, **where)["ShardIterator"]
            for record in streams.get_records(ShardIterator=position)["Records"]:
                self._position[name] = record["dynamodb"]["SequenceNumber"]
                yield json.loads(json.dumps(record, default=str))

    def _execute(self, document: dict[str, Any]) -> str:
        """The workflow's states, one after the other, to the last one's name; errors go where `Catch` sends them. No
        retries: nothing in these scenarios is transient."""
        state_name = str(self._states["StartAt"])
        quantities = self.tally.quantities
        quantities["history_events"] += 2  # ExecutionStarted, ExecutionSucceeded or ExecutionFailed
        while True:
            state = self._states["States"][state_name]
            quantities["transitions"] += 1
            self.tally.payload_bytes = max(self.tally.payload_bytes, len(json.dumps(document)))
            if state["Type"] in ("Succeed", "Fail"):
                quantities["history_events"] += 2 if state["Type"] == "Succeed" else 1
                return state_name
            if state["Type"] == "Choice":
                quantities["history_events"] += 2  # entered, exited
                state_name = _choose(state, document)
                continue
            quantities["history_events"] += 5  # entered, scheduled, started, succeeded or failed, exited
            try:
                document, _ = self._invoke(state["Parameters"]["FunctionName"], document)
                state_name = state["Next"]
            except MeasureError:
                raise
            except Exception as error:
                name = type(error).__name__
                rule = _catching(state, name)
                cause = json.dumps({"errorType": name, "errorMessage": str(error)})
                field_name = rule["ResultPath"].removeprefix("$.")
                document = {**document, field_name: {"Error": name, "Cause": cause}}
                state_name = rule["Next"]

    def _invoke(self, function: str, event: dict[str, Any]) -> tuple[dict[str, Any], Invocation]:
        invocation = Invocation(function)
        # Through JSON both ways, as Lambda does it.
        event = json.loads(json.dumps(event))
        written = self._output.written
        self._probe.invocation = invocation
        began = time.thread_time()
        try:
            answer = self._handlers[function](event, LambdaContext(function))
        finally:
            self.tally.own_s[function].append(time.thread_time() - began - invocation.away_s)
            self._probe.invocation = None
            self._book(invocation)
            self.tally.quantities["log_bytes"] += self._output.written - written
        return json.loads(json.dumps(answer)), invocation

    def _book(self, invocation: Invocation) -> None:
        quantities = self.tally.quantities
        self.tally.calls[invocation.function].update(invocation.calls)
        requests = invocation.calls.count("processor.request")
        if requests:
            quantities["processor_requests"] += requests
            quantities["processor_bytes"] += invocation.processor_bytes
        quantities["objects"] += len(invocation.objects)
        quantities["object_bytes"] += sum(invocation.objects)
        quantities["events"] += len(invocation.events)
        quantities["event_bytes"] += sum(invocation.events)
        for table in invocation.reads:
            quantities[f"read_units.{table}"] += 1  # strongly consistent, of less than 4 KB
        for table, key in invocation.writes:
            if table != STREAMED:  # the stream tells those
                size = item_bytes(self._item(table, key))
                quantities[f"write_units.{table}"] += ceil(size / 1024)
                quantities[f"written_bytes.{table}"] += size

    @staticmethod
    def _item(table: str, key: dict[str, Any]) -> dict[str, Any]:
        from functions.payments import aws

        item: dict[str, Any] = aws.client("dynamodb", REGION).get_item(TableName=table, Key=key)["Item"]
        return item


def index_writes(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> int:
    """What a write of a payment costs the index of open payments: nothing while its keys stay, one unit to put an
    entry and one to take it out, each of less than 1 KB (DynamoDB developer guide, "Using Global Secondary Indexes").
    """
    old, new = ((image or {}).get(INDEXED) for image in (before, after))
    return 0 if old == new else (old is not None) + (new is not None)


def item_bytes(item: Mapping[str, Mapping[str, Any]]) -> int:
    """The size by which DynamoDB charges an item, bytes (DynamoDB developer guide, "DynamoDB item sizes")."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(str(content).encode())
        case "N":
            return ceil(len(str(content).strip("-0.")) / 2) + 1
        case "BOOL" | "NULL":
            return 1
        case "L":
            return 3 + sum(1 + _value_bytes(part) for part in content)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_bytes(part) for name, part in content.items())
        case _:
            raise MeasureError(f"DynamoDB type {kind}: teach rollout/capacity/measure.py its size")


def _request(method: str, path: str, body: object = None, key: str = "") -> dict[str, Any]:
    return {
        "httpMethod": method,
        "path": path,
        "headers": {"Idempotency-Key": key} if key else {},
        "multiValueHeaders": {"Idempotency-Key": [key]} if key else {},
        "body": json.dumps(body) if body else None,
        "requestContext": {
            "path": f"/v1{path}",
            "requestId": "r",
            "accountId": ACCOUNT,
            "identity": {"userArn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{MERCHANT_ROLES.format(MERCHANT)}/bench"},
        },
    }


def _choose(state: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    for rule in state["Choices"]:
        if set(rule) != {"Variable", "StringEquals", "Next"}:
            raise MeasureError(f"choice {sorted(rule)}: teach rollout/capacity/measure.py to follow it")
        if document.get(rule["Variable"].removeprefix("$.")) == rule["StringEquals"]:
            return str(rule["Next"])
    return str(state["Default"])


def _catching(state: Mapping[str, Any], error: str) -> Mapping[str, Any]:
    for rule in state["Catch"]:
        if error in rule["ErrorEquals"] or rule["ErrorEquals"] == ["States.ALL"]:
            found: Mapping[str, Any] = rule
            return found
    raise MeasureError(f"uncaught {error}")


def summarize(tally: Tally, payments: int) -> Scenario:
    """A scenario's tally, per payment."""
    return Scenario(
        functions={
            function: FunctionUse(
                invocations=len(times) / payments,
                own_ms=round(statistics.fmean(times) * 1000, 3),
                own_ms_p95=round(sorted(times)[ceil(len(times) * 0.95) - 1] * 1000, 3),
                calls={name: count / len(times) for name, count in sorted(tally.calls[function].items())},
            )
            for function, times in sorted(tally.own_s.items())
        },
        per_payment={
            **{name: round(count / payments, 4) for name, count in sorted(tally.quantities.items()) if count},
            "payload_bytes": float(tally.payload_bytes),
        },
    )


@contextmanager
def _wrapped_processor(probe: Probe) -> Iterator[None]:
    """Count requests to the card processor, and take its time off."""
    from functions.processor.http import HttpCardProcessor

    original: Callable[..., tuple[int, dict[str, Any]]] = HttpCardProcessor._exchange

    def exchange(self: Any, path: str, body: str, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        began = time.thread_time()
        status, answer = original(self, path, body, headers)
        now = probe.invocation
        if now is not None:
            now.away_s += time.thread_time() - began
            now.calls.append("processor.request")
            sent = len(path) + len(body) + sum(len(name) + len(value) + 4 for name, value in headers.items())
            now.processor_bytes += sent + len(json.dumps(answer))
        return status, answer

    HttpCardProcessor._exchange = exchange  # type: ignore[method-assign]
    try:
        yield
    finally:
        HttpCardProcessor._exchange = original  # type: ignore[method-assign]


def _environment(processor: str, url: str) -> dict[str, str]:
    values = {**VALUES, "PROCESSOR_KIND": processor, "PROCESSOR_URL": url}
    environment = {
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    for spec in FUNCTIONS:
        for variable in spec.env_for("http" if processor == "http" else "simulator"):
            if variable.value not in values:
                raise MeasureError(
                    f"{variable.value}: teach rollout/capacity/measure.py what {spec.name} is told by it"
                )
            environment[variable.value] = values[variable.value]
    return environment


def _fresh_container() -> None:
    from functions.payments import settings, telemetry
    from functions.processor import connect

    for cached in (settings.load, connect.processor, telemetry._metrics):
        cached.cache_clear()


def measure(payments: int = PAYMENTS) -> Measured:
    """Run every scenario with both kinds of card processor. In a process of its own: hooks into botocore stay."""
    from botocore.handlers import BUILTIN_HANDLERS

    probe, output = Probe(), CountingOutput()
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE", "AWS_SESSION_TOKEN", "_X_AMZN_TRACE_ID"):
        os.environ.pop(name, None)
    from moto import mock_aws

    # Before the emulator's own handler, which answers and so ends the chain.
    BUILTIN_HANDLERS.insert(0, ("before-send", probe.before_send))
    BUILTIN_HANDLERS.append(("response-received", probe.response_received))
    out, sys.stdout = sys.stdout, output
    try:
        with _wrapped_processor(probe):
            scenarios = {
                processor: _measure_with(processor, probe, output, payments, mock_aws)
                for processor in ("http", "simulator")
            }
    finally:
        sys.stdout = out
    return Measured(
        measured_on={
            "date": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, not Lambda",
            "python": platform.python_version(),
            "botocore": version("botocore"),
            "aws": f"moto {version('moto')}",
        },
        payments=payments,
        batch_size=BATCH_SIZE,
        scenarios=scenarios,
    )


def _measure_with(
    processor: str, probe: Probe, output: CountingOutput, payments: int, mock_aws: Callable[[], Any]
) -> dict[str, Scenario]:
    server = ProcessorServer()
    os.environ.update(_environment(processor, server.url))
    _fresh_container()
    found: dict[str, Scenario] = {}
    try:
        with mock_aws():
            bench = Bench(probe, output)
            bench.build()
            # Warm: what a container does once (clients, the secret) is no part of a payment.
            for name in TOKENS:
                bench.read(bench.pay(f"warm-{name}", name))
            bench.publish()
            for name in TOKENS:
                bench.tally = Tally()
                ids = [bench.pay(f"{name}-{number:04d}", name) for number in range(payments)]
                bench.publish()
                found[name] = summarize(bench.tally, payments)
                if name == SETTLED:
                    bench.tally = Tally()
                    for payment_id in ids:
                        bench.read(payment_id)
                    found[READ] = summarize(bench.tally, payments)
    finally:
        server.shutdown()
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m rollout.capacity.measure", description=__doc__)
    parser.add_argument("--payments", type=int, default=PAYMENTS, help=f"of each scenario; {PAYMENTS} when left out")
    parser.add_argument("--print", action="store_true", help="print instead of writing measured.json")
    chosen = parser.parse_args()
    text = measure(chosen.payments).to_json()
    if chosen.print:
        sys.stdout.write(text)
    else:
        FILE.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{FILE}\n")


if __name__ == "__main__":
    main()
