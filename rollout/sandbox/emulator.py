"""Access to the emulator's modules.

They have no type information and are imported late: importing them reads the environment.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from typing import Any


def module(name: str) -> Any:
    """A module of MiniStack: `app`, `core.responses`, `services.dynamodb`, ..."""
    return import_module(f"ministack.{name}")


def replaced(text: str, old: str, new: str) -> str:
    """`text` with its one occurrence of `old` replaced; an emulator that differs is refused."""
    if text.count(old) != 1:
        raise RuntimeError(f"MiniStack's source is not as expected: {old.strip()[:60]!r}")
    return text.replace(old, new)


def wrap(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace the function `name` of a module or class by `around(original, *arguments)`.

    The module's tables that dispatch to the function are changed too.
    """
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        return around(original, *arguments, **options)

    setattr(owner, name, wrapped)
    for table in list(vars(owner).values()):
        if isinstance(table, dict):
            for action, function in list(table.items()):
                if function is original:
                    table[action] = wrapped


def deliver(arn: str, body: str) -> bool:
    """Send a message to a queue or topic of any region, as a service does; False if there is none."""
    spec = module("core.arn").parse_arn(arn)
    with module("core.responses").request_scope(spec.account_id, spec.region):
        if spec.service == "sqs" and module("services.sqs")._queue_by_arn(arn):
            module("services.eventbridge")._dispatch_to_sqs(spec, body)
            return True
        if spec.service == "sns" and arn in module("services.sns")._topics:
            module("services.sns").publish_internal(arn, body, "")
            return True
    return False
