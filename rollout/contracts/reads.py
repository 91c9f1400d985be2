"""Which outputs stacks really use: by the references in their Terraform."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

_REFERENCE = re.compile(r"terraform_remote_state\.from-([a-z0-9-]+)\.outputs\.(\w+)")


def reads_of(files: Iterable[Path], kinds: Collection[str]) -> set[tuple[str, str, str]]:
    """(reader, producer, output) of synthesized stacks, as kinds of stacks; each file lies in its stack's folder."""
    found = set()
    for file in files:
        for producer, output in _REFERENCE.findall(file.read_text(encoding="utf-8")):
            found.add((_kind(file.parent.name, kinds), _kind(producer, kinds), output))
    return found


def _kind(stack: str, kinds: Collection[str]) -> str:
    """The longest kind that a stack's name begins with: ``data-links-eu-west-1`` is a ``data-links``."""
    return max((kind for kind in kinds if stack.startswith(f"{kind}-")), key=len)
