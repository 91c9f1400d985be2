"""Requests as API Gateway hands them on (REST API, Lambda proxy integration), and the answers it takes.

Powertools' event handler does this and much more, and takes longer to import than all the rest of a function together
(docs/benchmarks.md, "Cold start").
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

Event = Mapping[str, Any]
Answer = dict[str, Any]
Route = Callable[..., Answer]


class Routes:
    """Which function answers which request: it gets the event, and what stands for the `<names>` of its path.

    Behind the custom domain a path starts with the base path, on the API's own host it does not. A slash at the end
    changes nothing.
    """

    def __init__(self, base_path: str) -> None:
        self._prefix = re.compile(f"/{re.escape(base_path)}(?=/|$)")
        self._routes: list[tuple[str, re.Pattern[str], Route]] = []

    def on(self, method: str, path: str) -> Callable[[Route], Route]:
        """Let a function answer `method` on a path such as `/payments/<payment_id>`."""
        pattern = re.compile(re.sub(r"<(\w+)>", r"(?P<\1>[^/]+)", path) + "/*")

        def register(route: Route) -> Route:
            self._routes.append((method, pattern, route))
            return route

        return register

    def find(self, event: Event) -> Callable[[], Answer] | None:
        """What answers an event; None when nothing does."""
        path = self._prefix.sub("", event["path"], count=1) if self._prefix.match(event["path"]) else event["path"]
        for method, pattern, route in self._routes:
            found = pattern.fullmatch(path)
            if found and method == event["httpMethod"]:
                return partial(route, event, **found.groupdict())
        return None


def answer(status: int, body: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
    """A JSON answer."""
    return {
        "statusCode": status,
        "multiValueHeaders": {name: [value] for name, value in {"Content-Type": "application/json", **headers}.items()},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }


def body_of(event: Event) -> str | None:
    """The text of a request's body.

    Raises
    ------
    ValueError
        When it is no Base64 or no UTF-8.
    """
    body: str | None = event.get("body")
    if body is not None and event.get("isBase64Encoded"):
        return base64.b64decode(body).decode("utf-8")
    return body


def header_of(event: Event, name: str) -> list[str]:
    """All values of a header, whatever its letters' case."""
    headers = event.get("multiValueHeaders") or {one: [value] for one, value in (event.get("headers") or {}).items()}
    return [value for one, values in headers.items() if one.lower() == name.lower() for value in values]
