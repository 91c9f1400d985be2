"""Request metrics of buckets: their configurations are stored, and requests are counted by them.

Upstream: `?metrics` is no request of its own; putting a configuration creates the bucket again.

AWS: PutBucketMetricsConfiguration and its siblings (S3 API reference); "Amazon S3 CloudWatch request metrics" (S3 User
Guide): AllRequests, GetRequests, PutRequests, 4xxErrors and 5xxErrors by bucket and filter.

Patched: `handle_request`. Filters by prefix or tag count every request, and latencies and bytes are not measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rollout.sandbox.emulator import module, wrap

_XML = {"Content-Type": "application/xml"}
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

# Bucket -> id -> the configuration, as it was sent.
_configurations: dict[str, dict[str, bytes]] = {}


def apply() -> None:
    storage = module("services.s3")

    async def handle(original: Any, method: str, path: str, *request: Any, **options: Any) -> Any:
        headers, body, query = request[:3]
        bucket, key = storage._parse_bucket_key(path, headers)
        if "metrics" in query and not key:
            return _configure(storage, method, bucket, storage._qp(query, "id"), body)
        answer = await original(method, path, *request, **options)
        if method == "DELETE" and not key and not query:
            _configurations.pop(bucket, None)
        _count(bucket, method, answer[0])
        return answer

    wrap(storage, "handle_request", handle)


def _configure(storage: Any, method: str, bucket: str, id: str, body: bytes) -> Any:
    if bucket not in storage._buckets:
        return storage._error("NoSuchBucket", "The specified bucket does not exist", 404, bucket)
    known = _configurations.setdefault(bucket, {})
    if method == "PUT":
        known[id] = bytes(body)
        return 200, {}, b""
    if method == "GET" and not id:
        return 200, dict(_XML), _listed(known.values())
    if id not in known:
        return storage._error("NoSuchConfiguration", "The specified configuration does not exist.", 404, bucket)
    if method == "DELETE":
        del known[id]
        return 204, {}, b""
    return 200, dict(_XML), known[id]


def _listed(configurations: Iterable[bytes]) -> bytes:
    inner = "".join(text.decode().partition("?>")[2] or text.decode() for text in configurations)
    name = "ListMetricsConfigurationsResult"
    return f'<{name} xmlns="{_NAMESPACE}"><IsTruncated>false</IsTruncated>{inner}</{name}>'.encode()


def _count(bucket: str, method: str, status: int) -> None:
    if not _configurations.get(bucket):
        return
    names = ["AllRequests"]
    if method in ("GET", "PUT", "HEAD"):
        names.append(f"{method.capitalize()}Requests")
    if status >= 400:
        names.append("5xxErrors" if status >= 500 else "4xxErrors")
    record = module("services.cloudwatch").record_metric
    for id in _configurations[bucket]:
        for name in names:
            record("AWS/S3", name, 1, "Count", {"BucketName": bucket, "FilterId": id})
