"""What Terraform asks for again, because it lost the answer, is not done a second time.

Upstream: every request is carried out. On this machine client and server compete for the same cores: when an answer is
there before a starved Go client has come to note that it has sent its request, it drops answer and connection, and the
SDK asks again within 0.1 s (seen with the provider's debug log: no answer, although all of it was sent). So CreateTable
meets its own table, "already exists".

AWS: the answer takes its time through a network, and the client has a machine of its own. An answer that is lost all
the same is asked for again, and the request done again.

Patched: the ASGI application. Requests of an SDK carry an id that stays the same when they are sent again
("amz-sdk-invocation-id"). One of the Terraform provider's that succeeded is answered as before. What a function's SDK
asks for again is carried out: the platform has to live with that.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from rollout.sandbox.emulator import module

_ID, _AGENT = b"amz-sdk-invocation-id", b"user-agent"
_CLIENT = b"terraform-provider-aws"
# The SDK asks again within seconds; in these, thirty Terraforms at once send less.
_KEPT = 2_000
_LARGEST_BYTES = 64 * 1024

Messages = list[dict[str, Any]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def apply() -> None:
    answered: OrderedDict[bytes, Messages] = OrderedDict()
    app = module("app")
    original = app.app

    # Not by `wrap`: hypercorn takes what is no coroutine function for WSGI.
    async def serve(scope: dict[str, Any], receive: Any, send: Send) -> None:
        asked = _asked(scope)
        if asked is None:
            await original(scope, receive, send)
        elif asked in answered:
            for message in answered[asked]:
                await send(message)
        else:
            said: Messages = []
            await original(scope, receive, _noting(said, send))
            if _succeeded(said):
                answered[asked] = said
                if len(answered) > _KEPT:
                    answered.popitem(last=False)

    app.app = serve


def _asked(scope: dict[str, Any]) -> bytes | None:
    """What names a request of the Terraform provider however often it is sent; None for any other request."""
    if scope["type"] != "http":
        return None
    headers = {name.lower(): value for name, value in scope["headers"]}
    return headers.get(_ID) if _CLIENT in headers.get(_AGENT, b"") else None


def _noting(said: Messages, send: Send) -> Send:
    async def note(message: dict[str, Any]) -> None:
        # Before it is sent: the client may be gone by then.
        said.append(message)
        await send(message)

    return note


def _succeeded(said: Messages) -> bool:
    """Whether an answer is whole, small and a success: only then the request was carried out for good."""
    if not said or not 200 <= said[0].get("status", 0) < 300 or said[-1].get("more_body"):
        return False
    return sum(len(message.get("body", b"")) for message in said) <= _LARGEST_BYTES
