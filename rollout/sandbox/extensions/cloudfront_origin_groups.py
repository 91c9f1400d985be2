"""A distribution's origin group fails over.

Upstream: a cache behavior whose target is an origin group answers 502: groups are stored, and not looked at when a
viewer's request comes.

AWS: "Request and response behavior for origin groups" and "Optimize high availability with CloudFront origin
failover" (CloudFront Developer Guide): the first member is asked; the second gets the same request when the answer's
status is one of the failover criteria, when no connection comes about (with 503 among them), or when the answer takes
too long (with 504), for GET, HEAD and OPTIONS.

Patched: `parse_distribution_dataplane_config`, which makes an origin of each group, and `_fetch_from_origin`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rollout.sandbox.emulator import module, wrap

METHODS = ("GET", "HEAD", "OPTIONS")
FAILOVER = "failover"


def apply() -> None:
    cloudfront = module("services.cloudfront")

    def parse(original: Any, distribution: dict[str, Any]) -> dict[str, Any]:
        parsed: dict[str, Any] = original(distribution)
        origins = parsed["origins"]
        for group, codes, members in _groups(cloudfront, distribution):
            if all(member in origins for member in members):
                first, second = (origins[member] for member in members)
                origins[group] = {**first, FAILOVER: (codes, second)}
        return parsed

    async def fetch(original: Any, origin: dict[str, Any], method: str, *request: Any) -> Any:
        codes, second = origin.get(FAILOVER, ((), None))
        if second is None or method not in METHODS:
            return await original(origin, method, *request)
        try:
            answer = await original(origin, method, *request)
        except cloudfront.OriginUnreachable:
            if 503 not in codes:
                raise
        except cloudfront.OriginTimeout:
            if 504 not in codes:
                raise
        else:
            if answer[0] not in codes:
                return answer
        return await original(second, method, *request)

    wrap(cloudfront, "parse_distribution_dataplane_config", parse)
    wrap(cloudfront, "_fetch_from_origin", fetch)


def _groups(cloudfront: Any, distribution: dict[str, Any]) -> Iterator[tuple[str, list[int], list[str]]]:
    """(id, failover codes, ids of the members) of every group."""
    config = cloudfront._dist_config_el(distribution)
    for group in _items(cloudfront, config, "OriginGroups"):
        criteria = cloudfront._find(group, "FailoverCriteria")
        codes = [int(code.text) for code in _items(cloudfront, criteria, "StatusCodes")]
        members = [cloudfront._text(member, "OriginId") for member in _items(cloudfront, group, "Members")]
        yield cloudfront._text(group, "Id"), codes, members


def _items(cloudfront: Any, parent: Any, name: str) -> list[Any]:
    """The elements of a `{Quantity, Items}` list."""
    found = cloudfront._find(parent, name) if parent is not None else None
    items = cloudfront._find(found, "Items") if found is not None else None
    return list(items) if items is not None else []
