"""The lock: made of the contracts and of what stacks read, and compared with the one before. No I/O."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.contracts import StackSpec
from shared.errors import UsageError


class LockError(UsageError):
    """The lock cannot be read, or is not what the contracts say."""


@dataclass(frozen=True, order=True)
class Output:
    """What a kind of stack publishes.

    Attributes
    ----------
    type
        ``str`` or ``list``.
    capabilities
        It is there where any of these is on; always when empty.
    read_by
        The kinds of stacks that use it, with their owners.
    """

    stack: str
    name: str
    owner: str
    layer: str
    type: str
    capabilities: tuple[str, ...] = ()
    read_by: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"output {self.name} of {self.stack} (layer {self.layer}, owner {self.owner})"


Lock = Mapping[tuple[str, str], Output]
"""(kind of stack, output) -> what is promised."""


def lock_of(specs: Sequence[StackSpec], reads: Collection[tuple[str, str, str]]) -> Lock:
    """What the contracts promise now.

    Parameters
    ----------
    specs
        Every kind of stack.
    reads
        (reader, producer, output): what synthesized stacks use.
    """
    owners = {spec.name: spec.owner for spec in specs}
    found = {}
    for spec in specs:
        for contract in (spec.publishes, *spec.also):
            for name, type in contract.fields().items():
                readers = sorted({reader for reader, stack, output in reads if (stack, output) == (spec.name, name)})
                found[spec.name, name] = Output(
                    stack=spec.name,
                    name=name,
                    owner=spec.owner,
                    layer=spec.layer,
                    type=type.__name__,
                    # A stack that is not there publishes nothing.
                    capabilities=tuple(contract.capabilities or spec.capabilities),
                    read_by=tuple((reader, owners[reader]) for reader in readers),
                )
    return dict(sorted(found.items()))


def breaks(before: Lock, now: Lock) -> Iterator[str]:
    """What the contracts take from stacks that read it, according to the lock: a line each.

    Taking away takes two releases: in the first nobody reads it any more, and the lock says so; then it goes.
    """
    for key, promised in before.items():
        lost = _lost(promised, now.get(key)) if promised.read_by else ""
        if lost:
            readers = ", ".join(f"{reader} (owner {owner})" for reader, owner in promised.read_by)
            yield (
                f"{promised} {lost}, and {readers} read it; in two releases: first without readers "
                "(tripoint contracts --write), then without the output"
            )


def _lost(promised: Output, now: Output | None) -> str:
    if now is None:
        return "is gone"
    if now.type != promised.type:
        return f"is {now.type} instead of {promised.type}"
    narrower = set(promised.capabilities) - set(now.capabilities) if promised.capabilities else now.capabilities
    if now.capabilities and narrower:
        return f"is only there with {' or '.join(now.capabilities)}"
    return ""


def render(lock: Lock) -> str:
    """The lock as the file has it."""
    stacks: dict[str, dict[str, Any]] = {}
    for one in lock.values():
        stack = stacks.setdefault(one.stack, {"layer": one.layer, "owner": one.owner, "outputs": {}})
        told: dict[str, Any] = {"type": one.type, "read_by": dict(one.read_by)}
        stack["outputs"][one.name] = told | ({"capabilities": list(one.capabilities)} if one.capabilities else {})
    return json.dumps(stacks, indent=1) + "\n"


def parse(text: str | bytes) -> Lock:
    """The lock of a file's text (UTF-8).

    Raises
    ------
    LockError
        When it is none.
    """
    try:
        return {
            (stack, name): Output(
                stack=stack,
                name=name,
                owner=found["owner"],
                layer=found["layer"],
                type=output["type"],
                capabilities=tuple(output.get("capabilities", ())),
                read_by=tuple(sorted(output["read_by"].items())),
            )
            for stack, found in json.loads(text).items()
            for name, output in found["outputs"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LockError(f"contracts.lock: not a lock ({type(error).__name__}: {error})") from error
