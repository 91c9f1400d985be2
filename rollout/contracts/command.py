"""The command `tripoint contracts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rollout.contracts.lock import Lock, LockError, breaks, lock_of, parse, render
from rollout.contracts.reads import reads_of
from rollout.counted import counted
from rollout.project import Project
from rollout.synthesis import build_functions, synthesize
from rollout.workspace import STACK_FILE, project_root
from stacks.catalogue import STACKS

LOCK = Path("stacks/contracts.lock")
EVERYTHING = Path("config/sandbox-full.toml")
"""The configuration that has every kind of stack and every capability."""


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(contracts)


def contracts(
    write: Annotated[bool, typer.Option("--write", help="Write the lock, unless that breaks who reads.")] = False,
) -> None:
    """Show which outputs layers promise and who reads them; compare with stacks/contracts.lock, or write it."""
    file = project_root() / LOCK
    before = parse(file.read_bytes()) if file.exists() else {}
    # What is taken away is known from the contracts alone; who still reads it could not even be synthesized.
    broken = list(breaks(before, lock_of(STACKS, ())))
    if broken:
        raise LockError("; ".join(broken))
    now = current()
    if write:
        file.write_text(render(now), encoding="utf-8")
        print(f"{LOCK}: {counted(len(now), 'output')} of {len({stack for stack, _ in now})} kinds of stacks")
        return
    for one in now.values():
        readers = ", ".join(reader for reader, _ in one.read_by) or "nobody"
        where = f", with {' or '.join(one.capabilities)}" if one.capabilities else ""
        print(f"{one.stack}.{one.name} ({one.type}{where}): {readers}")
    if not file.exists() or file.read_text(encoding="utf-8") != render(now):
        raise LockError(f"{LOCK} is not what the contracts say; run: tripoint contracts --write")


def current() -> Lock:
    """What the contracts promise, with what is read where everything is on."""
    project = Project.open(project_root() / EVERYTHING)
    build_functions(project.workspace)
    synthesize(project.workspace, project.config, project.graph.order)
    files = [project.workspace.synth / "stacks" / str(stack) / STACK_FILE for stack in project.graph.order]
    return lock_of(STACKS, reads_of(files, [spec.name for spec in STACKS]))
