"""Synthesis on two cores: two processes with half of the stacks and a Node.js each, and one output."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from shared.contracts import StackId
from stacks.leave import leave

# Before its first stack a process has worked for 0.6 s; fewer stacks than these are done sooner by one.
WORTH = 8
MANIFEST = "manifest.json"
_BEGIN, _END = '  "stacks": {\n', '\n  },\n  "version"'
_ENTRY = re.compile(r'^    "([^"]+)": \{\n.*?^    \}', re.MULTILINE | re.DOTALL)

Write = Callable[[Sequence[StackId], Path], int]


def worth_halving(stacks: Sequence[StackId]) -> bool:
    """Whether two processes are faster than one."""
    return len(stacks) >= WORTH and _cores() > 1 and hasattr(os, "fork")


def in_halves(stacks: Sequence[StackId], out: Path, write: Write) -> int:
    """Have two processes write half of the stacks each; returns an exit code, 0 when both did.

    Must run before Node.js or a thread is started.

    Parameters
    ----------
    stacks
        All of them. Neighbours share most of their code, so each half is a run of them.
    out
        The output folder.
    write
        Writes these stacks, into this folder; says on stderr what goes wrong and returns an exit code. Runs in both.
    """
    middle = (len(stacks) + 1) // 2
    aside = _aside(out)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        leave(write(stacks[middle:], aside))
    try:
        try:
            code = write(stacks[:middle], out)
        finally:
            _, status = os.waitpid(child, 0)
        code = code or _exit_code(status)
        if not code:
            manifests = [(folder / MANIFEST).read_text(encoding="utf-8") for folder in (out, aside)]
            (out / MANIFEST).write_text(merged(*manifests), encoding="utf-8")
        return code
    finally:
        (aside / MANIFEST).unlink(missing_ok=True)
        (aside / "stacks").unlink(missing_ok=True)
        aside.rmdir()


def merged(first: str, second: str) -> str:
    """cdktf's manifests of two halves as its manifest of the whole, in its own layout: stacks sorted by name."""
    entries = {match[1]: match[0] for text in (first, second) for match in _ENTRY.finditer(text)}
    stacks = ",\n".join(entries[name] for name in sorted(entries))
    whole = first[: first.index(_BEGIN)] + _BEGIN + stacks + first[first.index(_END) :]
    expected = json.loads(first)["stacks"] | json.loads(second)["stacks"]
    if json.loads(whole)["stacks"] != expected:
        raise ValueError("cdktf lays its manifest out in a way that this version does not know")
    return whole


def _aside(out: Path) -> Path:
    """A folder with the stacks of `out` and a manifest of its own: each process writes one when it is done."""
    aside = out / ".half"
    (out / "stacks").mkdir(parents=True, exist_ok=True)
    aside.mkdir(exist_ok=True)
    if not (aside / "stacks").is_symlink():
        (aside / "stacks").symlink_to(Path("..", "stacks"), target_is_directory=True)
    return aside


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        print(f"error: the second half of the synthesis was ended by signal {-code}", file=sys.stderr)
        return 1
    return code


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
