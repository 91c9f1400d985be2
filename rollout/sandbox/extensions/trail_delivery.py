"""A trail that is logging delivers log files to its bucket and events to its log group.

Upstream: trails are stored only. What is recorded (off by default) can be asked for with LookupEvents, which on AWS
never tells of data events, and nothing reaches a bucket or a log group.

AWS: "Finding your CloudTrail log files" and "Sending events to CloudWatch Logs" (CloudTrail User Guide); what an event
is and which are chosen: `rollout/sandbox/trail_events.py`.

Patched: `_maybe_record_cloudtrail` of the request loop. Files come every two seconds instead of every five minutes. Not
here: digest files, requests that were denied, calls of one service by another, and whose role a key stands for.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
import uuid
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from rollout.sandbox.emulator import module, wrap
from rollout.sandbox.trail_events import Event, Request, event_of, selected

DELIVERY_S = 2.0


@dataclass(frozen=True)
class Delivery:
    """What goes into one log file: events of one region, for one trail."""

    account: str
    home: str
    trail: str
    region: str


_waiting: dict[Delivery, list[Event]] = defaultdict(list)
_lock = threading.Lock()


def apply() -> None:
    trails, app = module("services.cloudtrail"), module("app")

    def record(original: Any, *request: Any) -> None:
        original(*request)
        service, _, path, *_ = request
        if service == "cloudtrail" or path.startswith("/_"):
            return
        asked = None
        for (account, home, name), trail in trails._trails.all_items():
            asked = asked or _request(app, trails, request)
            here = trail.get("IsMultiRegionTrail") or home == asked.region
            if account != asked.account or not here or not trail.get("IsLogging"):
                continue
            event = event_of(asked)
            selectors = trails._event_selectors.get_scoped(account, home, name, trails._DEFAULT_EVENT_SELECTORS)
            if event and selected(selectors, event):
                _keep(Delivery(account, home, name, asked.region), event)

    wrap(app, "_maybe_record_cloudtrail", record)


def _request(app: Any, trails: Any, request: tuple[Any, ...]) -> Request:
    service, method, path, headers, body, query, request_id, region = request
    return Request(
        account=module("core.responses").get_account_id(),
        region=region,
        service=service,
        operation=app._ct_event_name(service, method, path, headers, query),
        path=path,
        parameters=trails._scrub(app._ct_request_params(headers, body, query)),
        access_key=app.extract_access_key_id(headers, query) or "test",
        user_agent=headers.get("user-agent", ""),
        id=request_id,
    )


def _keep(where: Delivery, event: Event) -> None:
    with _lock:
        first = not _waiting[where]
        _waiting[where].append(event)
    if first:
        timer = threading.Timer(DELIVERY_S, _deliver, [where])
        timer.daemon = True
        timer.start()


def _deliver(where: Delivery) -> None:
    with _lock:
        events = _waiting.pop(where, [])
    with module("core.responses").request_scope(where.account, where.home):
        trail = module("services.cloudtrail")._trails.get(where.trail)
        if trail is None or not trail.get("IsLogging"):
            return
        key = _key(where, trail.get("S3KeyPrefix"))
        headers = {"content-type": "application/json", "content-encoding": "gzip"}
        if trail.get("KmsKeyId"):
            headers["x-amz-server-side-encryption"] = "aws:kms"
            headers["x-amz-server-side-encryption-aws-kms-key-id"] = trail["KmsKeyId"]
        module("services.s3")._put_object(
            trail["S3BucketName"], key, gzip.compress(json.dumps({"Records": events}).encode()), headers
        )
        if trail.get("CloudWatchLogsLogGroupArn"):
            _log(trail["CloudWatchLogsLogGroupArn"], f"{where.account}_CloudTrail_{where.home}", events)


def _key(where: Delivery, prefix: str | None) -> str:
    now = time.gmtime()
    folder = f"AWSLogs/{where.account}/CloudTrail/{where.region}/{time.strftime('%Y/%m/%d', now)}"
    stamp = time.strftime("%Y%m%dT%H%MZ", now)
    file = f"{where.account}_CloudTrail_{where.region}_{stamp}_{uuid.uuid4().hex[:16]}.json.gz"
    return "/".join(part for part in (prefix, folder, file) if part)


def _log(group_arn: str, stream: str, events: list[Event]) -> None:
    logs, group = module("services.cloudwatch_logs"), group_arn.split(":log-group:")[1].removesuffix(":*")
    if group not in logs._log_groups:
        return
    if stream not in logs._log_groups[group]["streams"]:
        logs._create_log_stream({"logGroupName": group, "logStreamName": stream})
    now = int(time.time() * 1000)
    logs._put_log_events(
        {
            "logGroupName": group,
            "logStreamName": stream,
            "logEvents": [{"timestamp": now, "message": json.dumps(event)} for event in events],
        }
    )
