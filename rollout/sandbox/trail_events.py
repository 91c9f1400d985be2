"""Trail events: what a request becomes in a trail, and whether a trail's selectors choose it. No I/O.

After "CloudTrail record contents", "Logging data events" and "Filtering data events by using advanced event selectors"
(CloudTrail User Guide). Of an item DynamoDB's events carry the key, and no other values.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]

# Data events on AWS, of resource types that no trail here selects.
_OTHER_DATA_EVENTS = {
    "dynamodb": ("GetRecords", "GetShardIterator"),
    "events": ("PutEvents",),
    "lambda": ("Invoke",),
    "logs": ("PutLogEvents", "FilterLogEvents", "GetLogEvents"),
    "monitoring": ("PutMetricData", "GetMetricData", "GetMetricStatistics"),
    "sns": ("Publish", "PublishBatch"),
    "sqs": ("SendMessage", "SendMessageBatch", "ReceiveMessage", "DeleteMessage", "DeleteMessageBatch"),
    "states": ("StartExecution", "StartSyncExecution", "GetActivityTask"),
    "xray": ("PutTraceSegments", "PutTelemetryRecords"),
}
_ITEM_OPERATIONS = (
    *("GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"),
    *("BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems"),
)
_READING = ("Get", "List", "Describe", "Head", "BatchGet", "TransactGet", "Query", "Scan", "Lookup")


@dataclass(frozen=True)
class Request:
    """A request that was answered: its service, operation and parameters, and whose key signed it."""

    account: str
    region: str
    service: str
    operation: str
    path: str
    parameters: Mapping[str, Any]
    access_key: str
    user_agent: str
    id: str


def event_of(request: Request) -> Event | None:
    """The record of a request; None for what no trail here records."""
    if request.operation in _OTHER_DATA_EVENTS.get(request.service, ()):
        return None
    parameters, resources = _subject(request)
    return {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": request.access_key,
            "arn": f"arn:aws:iam::{request.account}:user/{request.access_key}",
            "accountId": request.account,
            "accessKeyId": request.access_key,
            "userName": request.access_key,
        },
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "eventSource": f"{request.service}.amazonaws.com",
        "eventName": request.operation,
        "awsRegion": request.region,
        "sourceIPAddress": "127.0.0.1",
        "userAgent": request.user_agent,
        "requestParameters": parameters,
        "responseElements": None,
        "requestID": request.id,
        "eventID": str(uuid.uuid4()),
        "readOnly": request.operation.startswith(_READING),
        "resources": resources,
        "eventType": "AwsApiCall",
        "managementEvent": not resources,
        "recipientAccountId": request.account,
        "eventCategory": "Data" if resources else "Management",
    }


def _subject(request: Request) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """What of the parameters is recorded, and the resources of a data event."""
    if request.service == "s3":
        bucket, _, key = request.path.strip("/").partition("/")
        if not key:
            return {"bucketName": bucket}, []
        return {"bucketName": bucket, "key": key}, [{"type": "AWS::S3::Object", "ARN": f"arn:aws:s3:::{bucket}/{key}"}]
    if request.service == "dynamodb" and request.operation in _ITEM_OPERATIONS:
        tables = _tables(request.parameters)
        arn = f"arn:aws:dynamodb:{request.region}:{request.account}:table/"
        return (
            {"tableName": tables[0] if len(tables) == 1 else tables, "key": request.parameters.get("Key")},
            [{"type": "AWS::DynamoDB::Table", "ARN": arn + table.rsplit("/", 1)[-1]} for table in tables],
        )
    return dict(request.parameters), []


def _tables(parameters: Mapping[str, Any]) -> list[str]:
    nested = [part for item in parameters.get("TransactItems", []) for part in item.values()]
    named = [part["TableName"] for part in (parameters, *nested) if part.get("TableName")]
    return sorted({*named, *parameters.get("RequestItems", {})})


def selected(selectors: Sequence[Mapping[str, Any]], event: Event) -> bool:
    """Whether any selector of a trail chooses the event."""
    for selector in selectors:
        fields = selector.get("FieldSelectors")
        if fields is None:
            # A basic selector; those of data resources are not looked at.
            if event["managementEvent"] and selector.get("IncludeManagementEvents", True):
                return True
        elif any(all(_matches(field, event, one) for field in fields) for one in event["resources"] or [{}]):
            return True
    return False


def _matches(field: Mapping[str, Any], event: Event, resource: Mapping[str, str]) -> bool:
    name = field["Field"]
    value = resource.get(name.partition(".")[2], "") if name.startswith("resources.") else event[name]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    tests: dict[str, Callable[[str], bool]] = {
        "Equals": lambda wanted: text == wanted,
        "StartsWith": text.startswith,
        "EndsWith": text.endswith,
    }
    for test, holds in tests.items():
        if field.get(test) and not any(holds(wanted) for wanted in field[test]):
            return False
        if any(holds(wanted) for wanted in field.get(f"Not{test}") or ()):
            return False
    return True
