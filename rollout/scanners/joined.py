"""All stacks of an environment as one Terraform document, as AWS has them in the end.

A scanner sees one stack at a time: that the flow logs of a VPC, the lifecycle of a bucket or the policy's resource are
another stack's, it cannot know. Here what a stack reads of another's remote state is replaced by what that one
publishes, so references lead to resources, over all layers and regions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_REMOTE = re.compile(r"data\.terraform_remote_state\.([\w-]+)\.outputs\.(\w+)")
_EXPRESSION = re.compile(r"\$\{([^${}]*)\}")
_KINDS = {"resource": "", "data": "data."}


@dataclass(frozen=True)
class Placed:
    """A resource or data source, its references leading over stacks.

    Attributes
    ----------
    stack, address
        Whose it is, and its address there: ``aws_s3_bucket.receipts``, ``data.aws_subnet.first``.
    block
        Its arguments.
    """

    stack: str
    address: str
    block: dict[str, Any]

    @property
    def type(self) -> str:
        return self.address.removeprefix("data.").partition(".")[0]

    @property
    def where(self) -> str:
        """The path of its construct, which begins with the stack."""
        return str(self.block.get("//", {}).get("metadata", {}).get("path", f"{self.stack}/{self.address}"))


class JoinError(Exception):
    """A stack reads what no other publishes."""


def join(out: Path) -> dict[str, Placed]:
    """The synthesized environment's resources and data sources, by their addresses in the joined document.

    Parameters
    ----------
    out
        The folder of a synthesis, with ``stacks/<stack>/cdk.tf.json``.
    """
    stacks = {path.parent.name: json.loads(path.read_text()) for path in sorted(out.glob("stacks/*/cdk.tf.json"))}
    joiners = {stack: _Joiner(stack, document, stacks) for stack, document in stacks.items()}
    found: dict[str, Placed] = {}
    for stack, joiner in joiners.items():
        for address, block in joiner.blocks():
            new = joiner.renamed[address]
            found[new] = Placed(stack, address, {k: v if k == "//" else joiner.walk(v) for k, v in block.items()})
    _refer_to_buckets(found)
    return found


def _refer_to_buckets(found: Mapping[str, Placed]) -> None:
    """What names a bucket by its name means that bucket, wherever it is made: there is one of each name."""
    named = {placed.block["bucket"]: address for address, placed in found.items() if placed.type == "aws_s3_bucket"}
    for placed in found.values():
        address = named.get(placed.block.get("bucket"))
        if address and placed.type != "aws_s3_bucket":
            placed.block["bucket"] = f"${{{address}.id}}"


def document(joined: Mapping[str, Placed]) -> dict[str, Any]:
    """The joined stacks as Terraform JSON."""
    written: dict[str, Any] = {}
    for address, placed in joined.items():
        kind, type, name = ("data", *address.split(".")[1:]) if address.startswith("data.") else _resource(address)
        written.setdefault(kind, {}).setdefault(type, {})[name] = placed.block
    return written


def _resource(address: str) -> tuple[str, str, str]:
    type, _, name = address.partition(".")
    return "resource", type, name


class _Joiner:
    """Rewrites one stack's references; other stacks' outputs are rewritten as seen from those stacks."""

    def __init__(self, stack: str, document: dict[str, Any], stacks: Mapping[str, dict[str, Any]]) -> None:
        self._document = document
        self._stacks = stacks
        self.renamed = {address: _renamed(stack, address) for address, _ in self.blocks()}
        self._address = re.compile(r"(?<![\w.-])(?:data\.)?[a-z]\w*\.[A-Za-z_][\w-]*")

    def blocks(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (f"{prefix}{type}.{name}", block)
            for kind, prefix in _KINDS.items()
            for type, named in self._document.get(kind, {}).items()
            if type != "terraform_remote_state"
            for name, block in named.items()
        ]

    def walk(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.walk(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.walk(one) for one in value]
        if not isinstance(value, str) or "${" not in value:
            return value
        whole = re.fullmatch(r"\$\{" + _REMOTE.pattern + r"\}", value)
        if whole:
            return self._published(whole[1], whole[2])
        return _EXPRESSION.sub(self._expression, value)

    def _expression(self, match: re.Match[str]) -> str:
        inner = match[1]
        alone = _REMOTE.fullmatch(inner)
        if alone:  # inside of a longer text: what is published is put there as it is
            value = self._published(alone[1], alone[2])
            return value if isinstance(value, str) else "${" + _as_expression(value) + "}"
        inner = _REMOTE.sub(lambda found: _as_expression(self._published(found[1], found[2])), inner)
        return "${" + self._address.sub(self._own, inner) + "}"

    def _own(self, match: re.Match[str]) -> str:
        return self.renamed.get(match[0], match[0])

    def _published(self, remote: str, output: str) -> Any:
        key = self._document["data"]["terraform_remote_state"][remote]["config"]["key"]
        producer = key.partition("/")[0]
        try:
            value = self._stacks[producer]["output"][output]["value"]
        except KeyError:
            raise JoinError(f"{remote}.{output}: {producer} does not publish it") from None
        return _Joiner(producer, self._stacks[producer], self._stacks).walk(value)


def _renamed(stack: str, address: str) -> str:
    """Unique by its name alone: checkov's records have no more of most resources."""
    type, _, name = address.rpartition(".")
    unique = f"{stack}__{name}__{type}".replace("-", "_").replace(".", "_")
    return f"{type}.{unique}"


def _as_expression(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_as_expression(one) for one in value) + "]"
    if isinstance(value, str):
        alone = _EXPRESSION.fullmatch(value)
        if alone:
            return alone[1]
    return json.dumps(value)
