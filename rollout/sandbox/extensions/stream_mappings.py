"""DynamoDB stream mappings retry, split, report and give up as AWS documents it.

Upstream: a failing batch is retried for ever (or until its maximum age); `MaximumRetryAttempts`,
`BisectBatchOnFunctionError`, `MaximumBatchingWindowInSeconds` and ReportBatchItemFailures are
ignored; one thread invokes the functions of all mappings of all regions, one after the other.

AWS: "Using AWS Lambda with Amazon DynamoDB", "Retain discarded records for a DynamoDB event source
in Lambda" and "Configuring partial batch response with DynamoDB and Lambda" (Lambda Developer
Guide): throttles don't count as attempts, splitting a batch doesn't either; a reported failure
makes the lowest reported sequence number the checkpoint; discarded batches are described to the
on-failure destination; `IteratorAge` is the age of the last record of a batch.

With IAM enforced the function's role reads the stream and sends to the destination ("Execution role
permissions" of the same guide); a stream that can't be read is tried again.

Patched: `_poll_dynamodb_streams`. A stream has one shard here and `ParallelizationFactor` has no
effect. Pauses between attempts are shorter than AWS's.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollout.sandbox.emulator import deliver, module, wrap
from rollout.sandbox.extensions.iam_record import key_of
from rollout.sandbox.extensions.service_roles import LAMBDA, STREAM, send_refusal
from rollout.sandbox.iam import Question, key_refusal, role_refusal
from rollout.sandbox.iam.decisions import enforced

Record = dict[str, Any]

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_FOREVER = -1

# Mappings that wait for their batching window to pass.
_sleeping: set[str] = set()


@dataclass
class Batch:
    """Records that go to the function together, how often they failed and how often they were sent."""

    records: list[Record]
    failures: int = 0
    invocations: int = 0

    @property
    def oldest(self) -> float:
        return min(float(record["dynamodb"]["ApproximateCreationDateTime"]) for record in self.records)


def apply() -> None:
    functions, streams = module("services.lambda_svc"), module("services.dynamodb")

    def poll(_: Any) -> bool:
        started = [_poll(functions, streams, *place) for place in functions._iter_all_esms()]
        return any(started)

    wrap(functions, "_poll_dynamodb_streams", poll)


def remaining(batch: list[Record], result: Any, *, reports: bool) -> list[Record]:
    """The records of a batch that still have to be processed after an invocation; [] if all are done."""
    if result.get("error") or not reports:
        return batch if result.get("error") else []
    body = result.get("body")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            return batch
    if not isinstance(body, dict | None):
        return batch
    failures = (body or {}).get("batchItemFailures")
    if not failures:
        return []  # no answer, no list, null or an empty list: everything is done
    numbers = [str(record["dynamodb"]["SequenceNumber"]) for record in batch]
    reported = [str((failure or {}).get("itemIdentifier") or "") for failure in failures]
    # An identifier that isn't of this batch makes the whole batch a failure.
    if any(number not in numbers for number in reported):
        return batch
    return batch[min(numbers.index(number) for number in reported) :]


def _poll(functions: Any, streams: Any, account: str, region: str, mapping: Any) -> bool:
    """Start a batch of one mapping in a thread of its own; whether one was started or skipped over."""
    with module("core.responses").request_scope(account, region):
        table = _stream_table(functions, streams, mapping)
        identity = mapping["UUID"]
        if table is None or functions._esm_inflight.get(identity):
            return False
        function, _ = functions._get_func_record_for_qualifier(mapping["FunctionName"], mapping.get("Qualifier"))
        if function is None:
            return False
        position = _position(functions, streams, mapping, table)
        size = int(mapping.get("BatchSize") or 100)
        taken = streams.stream_records_since(table, position, size)
        if not taken or not _readable(function["config"], mapping):
            return False
        matching = functions._apply_filter_criteria(taken, mapping)
        if not matching:
            _advance(functions, identity, position + len(taken))
            return True
        window = float(mapping.get("MaximumBatchingWindowInSeconds") or 0)
        wait_s = window - (time.time() - Batch(matching).oldest)
        if len(taken) < size and wait_s > 0:
            _wake_in(functions, identity, wait_s)
            return False
        work = Delivery(functions, mapping, function)
        functions._dispatch_esm_batch(identity, work.run, matching, position + len(taken))
        return True


def _readable(config: Any, mapping: Any) -> bool:
    """Whether the function's role can read the stream, and open its table's key."""
    if not enforced():
        return True
    arn, role = mapping["EventSourceArn"], config.get("Role", "")
    asked = [Question(action, arn) for action in STREAM if action != "dynamodb:ListStreams"]
    refused = role_refusal(role, LAMBDA, config["FunctionArn"], *asked)
    uses, key = key_of("dynamodb:GetRecords", arn)
    context = {"kms:ViaService": f"dynamodb.{arn.split(':')[3]}.amazonaws.com"}
    refused = refused or key_refusal(key, uses, context, role=role, service=LAMBDA)
    if refused:
        mapping["LastProcessingResult"] = f"PROBLEM: {refused}"
    return not refused


def _wake_in(functions: Any, identity: str, wait_s: float) -> None:
    if identity not in _sleeping:
        _sleeping.add(identity)

        def wake() -> None:
            _sleeping.discard(identity)
            functions._esm_wake.set()

        threading.Timer(wait_s, wake).start()


@dataclass
class Delivery:
    """Sends the records of one mapping's stream to its function until each is processed or given up."""

    functions: Any
    mapping: Any
    function: Any

    def run(self, records: list[Record], end: int) -> None:
        """Deliver the records, then move the mapping to `end`, the position behind them."""
        waiting, pause = deque([Batch(records)]), _FIRST_PAUSE_S
        while waiting:
            if not self._wanted():
                return  # deleted or switched off: the position stays where it was
            batch = waiting.popleft()
            result = self._invoke(batch)
            left = remaining(batch.records, result, reports=self._reports())
            if not left:
                self.mapping["LastProcessingResult"] = "OK"
                pause = _FIRST_PAUSE_S
                continue
            self.mapping["LastProcessingResult"] = "PROBLEM: Function call failed"
            waiting.extendleft(reversed(self._after_failure(batch, left, result)))
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
        _advance(self.functions, self.mapping["UUID"], end)

    def _wanted(self) -> bool:
        known = self.functions._esms.get(self.mapping["UUID"])
        return known is self.mapping and bool(self.mapping.get("Enabled", True))

    def _reports(self) -> bool:
        return "ReportBatchItemFailures" in (self.mapping.get("FunctionResponseTypes") or [])

    def _invoke(self, batch: Batch) -> Any:
        name, qualifier = self.mapping["FunctionName"], self.mapping.get("Qualifier")
        current, _ = self.functions._get_func_record_for_qualifier(name, qualifier)
        result = self.functions._execute_function(current or self.function, {"Records": batch.records})
        if not result.get("throttle"):
            batch.invocations += 1
            newest = float(batch.records[-1]["dynamodb"]["ApproximateCreationDateTime"])
            age_ms = max(0.0, time.time() - newest) * 1000.0
            record = module("services.cloudwatch").record_metric
            record("AWS/Lambda", "IteratorAge", age_ms, "Milliseconds", {"FunctionName": name})
        return result

    def _after_failure(self, batch: Batch, left: list[Record], result: Any) -> list[Batch]:
        """What is to be sent next: smaller batches, the same one again, or nothing if given up."""
        rest = Batch(left, batch.failures, batch.invocations)
        age = int(self.mapping.get("MaximumRecordAgeInSeconds") or _FOREVER)
        if age != _FOREVER and time.time() - rest.oldest > age:
            return self._give_up(rest, result, "MaxRecordAgeExceeded")
        if result.get("throttle"):
            return [rest]
        progressed = len(left) < len(batch.records)
        if self.mapping.get("BisectBatchOnFunctionError") and len(left) > 1 and not progressed:
            half = len(left) // 2
            return [Batch(part, batch.failures, batch.invocations) for part in (left[:half], left[half:])]
        rest.failures += 1
        attempts = self.mapping.get("MaximumRetryAttempts")
        if attempts not in (None, _FOREVER) and rest.failures > int(attempts):
            return self._give_up(rest, result, "RetryAttemptsExhausted")
        return [rest]

    def _give_up(self, batch: Batch, result: Any, condition: str) -> list[Batch]:
        target = ((self.mapping.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
        config = self.function["config"]
        if target and not send_refusal(config.get("Role", ""), LAMBDA, config["FunctionArn"], target):
            deliver(target, json.dumps(self._description(batch, result, condition)))
        return []

    def _description(self, batch: Batch, result: Any, condition: str) -> dict[str, Any]:
        first, last = (batch.records[index]["dynamodb"] for index in (0, -1))
        return {
            "requestContext": {
                "requestId": str(uuid.uuid4()),
                "functionArn": self.mapping["FunctionArn"],
                "condition": condition,
                "approximateInvokeCount": batch.invocations,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": self.mapping.get("Qualifier") or "$LATEST",
                "functionError": result.get("function_error") or "Unhandled",
            },
            "version": "1.0",
            "timestamp": _iso(time.time()),
            "DDBStreamBatchInfo": {
                "shardId": "shardId-00000000000000000000-00000000",
                "startSequenceNumber": str(first["SequenceNumber"]),
                "endSequenceNumber": str(last["SequenceNumber"]),
                "approximateArrivalOfFirstRecord": _iso(float(first["ApproximateCreationDateTime"])),
                "approximateArrivalOfLastRecord": _iso(float(last["ApproximateCreationDateTime"])),
                "batchSize": len(batch.records),
                "streamArn": self.mapping["EventSourceArn"],
            },
        }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _stream_table(functions: Any, streams: Any, mapping: Any) -> str | None:
    """The table of an enabled mapping on a stream of the current region."""
    arn = mapping.get("EventSourceArn", "")
    if ":dynamodb:" not in arn or not mapping.get("Enabled", True):
        return None
    found = functions._dynamodb_stream_table_from_arn_spec(functions.parse_arn(arn))
    table = streams._tables.get(found[0]) if found else None
    return found[0] if table and table.get("LatestStreamArn") == arn else None


def _position(functions: Any, streams: Any, mapping: Any, table: str) -> int:
    with functions._dynamodb_stream_positions_lock:
        known = functions._dynamodb_stream_positions.get(mapping["UUID"])
        if known is None:
            from_start = mapping.get("StartingPosition", "LATEST") == "TRIM_HORIZON"
            known = streams.stream_start_position(table) if from_start else streams.stream_end_position(table)
        position = max(int(known), int(streams.stream_start_position(table)))
        functions._dynamodb_stream_positions[mapping["UUID"]] = position
        return position


def _advance(functions: Any, identity: str, position: int) -> None:
    with functions._dynamodb_stream_positions_lock:
        if identity in functions._esms:
            functions._dynamodb_stream_positions[identity] = position
