"""The committed lock is what the layers promise, and no change since takes anything from a reader (LAY-08)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rollout.contracts.lock import breaks, lock_of, parse, render
from rollout.contracts.reads import reads_of
from shared.config import load
from shared.contracts import ContractError, StackSpec
from stacks.catalogue import STACKS
from stacks.data.contract import DataOutputs
from stacks.synth import synthesize
from tests.stacks.conftest import Synthesized

LOCK = Path("stacks/contracts.lock")


def test_the_lock_is_fresh_and_nobody_who_reads_is_broken(synthesis: Callable[[str], Synthesized]) -> None:
    found = synthesis("sandbox-full.toml")
    files = [found.out / "stacks" / stack / "cdk.tf.json" for stack in found.stacks]
    now = lock_of(STACKS, reads_of(files, [spec.name for spec in STACKS]))
    committed = LOCK.read_text()
    assert list(breaks(parse(committed), now)) == []
    assert render(now) == committed, "stale: run tripoint contracts --write"


def test_a_stack_that_reads_what_is_not_promised_is_named_with_both_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*_: object) -> None:
        data: Any = object.__new__(DataOutputs)
        data.ledger_arn  # noqa: B018

    monkeypatch.setattr(StackSpec, "load", lambda spec: build)
    environment = load(Path("config/sandbox.toml"))
    with pytest.raises(ContractError) as refused:
        synthesize(environment, out=tmp_path, functions=tmp_path / "zips", only=["compute-us-east-1"])
    assert str(refused.value) == (
        "compute-us-east-1 (owner team-payments) reads output ledger_arn, which stack 'data' (owner team-data) does "
        "not promise"
    )


def test_every_kind_of_stack_is_locked_and_what_is_read_is_declared() -> None:
    locked = parse(LOCK.read_text())
    assert {stack for stack, _ in locked} == {spec.name for spec in STACKS}
    needs = {(spec.name, need.outputs.stack) for spec in STACKS for need in spec.needs}
    assert {(reader, one.stack) for one in locked.values() for reader, _ in one.read_by} <= needs
