"""The committed lock is what the layers promise, and no change since takes anything from a reader (LAY-08)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rollout.contracts.lock import breaks, lock_of, parse, render
from rollout.contracts.reads import reads_of
from stacks.catalogue import STACKS
from tests.stacks.conftest import Synthesized

LOCK = Path("stacks/contracts.lock")


def test_the_lock_is_fresh_and_nobody_who_reads_is_broken(synthesis: Callable[[str], Synthesized]) -> None:
    found = synthesis("sandbox-full.toml")
    files = [found.out / "stacks" / stack / "cdk.tf.json" for stack in found.stacks]
    now = lock_of(STACKS, reads_of(files, [spec.name for spec in STACKS]))
    committed = LOCK.read_text()
    assert list(breaks(parse(committed), now)) == []
    assert render(now) == committed, "stale: run tripoint contracts --write"


def test_every_kind_of_stack_is_locked_and_what_is_read_is_declared() -> None:
    locked = parse(LOCK.read_text())
    assert {stack for stack, _ in locked} == {spec.name for spec in STACKS}
    needs = {(spec.name, need.outputs.stack) for spec in STACKS for need in spec.needs}
    assert {(reader, one.stack) for one in locked.values() for reader, _ in one.read_by} <= needs
