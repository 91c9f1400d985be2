"""What a layer takes away from those who read it is named before anything is deployed (LAY-08)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from rollout.contracts import command
from rollout.contracts.lock import Lock, LockError, breaks, lock_of, parse, render
from rollout.contracts.reads import reads_of
from shared.contracts import Need, Outputs, StackSpec


@dataclass(frozen=True, kw_only=True)
class StoreOutputs(Outputs):
    stack: ClassVar[str] = "store"
    key_arn: str
    subnet_ids: list[str]
    spare: str


@dataclass(frozen=True, kw_only=True)
class FilesOutputs(Outputs):
    stack: ClassVar[str] = "store"
    capabilities: ClassVar[tuple[str, ...]] = ("processing",)
    bucket_name: str


@dataclass(frozen=True, kw_only=True)
class DoorOutputs(Outputs):
    stack: ClassVar[str] = "door"
    url: str


READS = {("door", "store", "key_arn"), ("door", "store", "subnet_ids"), ("door", "store", "bucket_name")}


def specs(contract: type[Outputs] = StoreOutputs, files: type[Outputs] = FilesOutputs) -> tuple[StackSpec, ...]:
    """Two layers, of which one reads the other."""
    store = StackSpec(name="store", layer="data", owner="team-data", publishes=contract, also=(files,), factory="")
    door = StackSpec(
        name="door", layer="edge", owner="team-edge", publishes=DoorOutputs, needs=(Need(contract),), factory=""
    )
    return store, door


def made(contract: type[Outputs] = StoreOutputs, files: type[Outputs] = FilesOutputs, **facts: Any) -> Lock:
    """Their lock."""
    return lock_of(specs(contract, files), facts.get("reads", READS))


BEFORE = made()


@dataclass(frozen=True, kw_only=True)
class WithoutKey(Outputs):
    stack: ClassVar[str] = "store"
    subnet_ids: list[str]
    spare: str


@dataclass(frozen=True, kw_only=True)
class Retyped(Outputs):
    stack: ClassVar[str] = "store"
    key_arn: str
    subnet_ids: str
    spare: str


@dataclass(frozen=True, kw_only=True)
class WithoutSpare(Outputs):
    stack: ClassVar[str] = "store"
    key_arn: str
    subnet_ids: list[str]


@dataclass(frozen=True, kw_only=True)
class Optional(StoreOutputs):
    capabilities: ClassVar[tuple[str, ...]] = ("web",)


@dataclass(frozen=True, kw_only=True)
class WiderFiles(FilesOutputs):
    capabilities: ClassVar[tuple[str, ...]] = ("processing", "web")


def test_what_is_added_or_stays_breaks_nobody() -> None:
    assert list(breaks({}, BEFORE)) == []
    assert list(breaks(BEFORE, BEFORE)) == []
    assert list(breaks(BEFORE, made(files=WiderFiles))) == []


@pytest.mark.parametrize(
    ("now", "output", "lost"),
    [
        (made(WithoutKey), "key_arn", "is gone"),
        (made(Retyped), "subnet_ids", "is str instead of list"),
        (made(Optional), "key_arn", "is only there with web"),
    ],
)
def test_taking_from_a_reader_names_output_owner_and_reader(now: Lock, output: str, lost: str) -> None:
    told = next(line for line in breaks(BEFORE, now) if f"output {output} " in line)
    assert told == (
        f"output {output} of store (layer data, owner team-data) {lost}, and door (owner team-edge) read it; in two "
        "releases: first without readers (tripoint contracts --write), then without the output"
    )


def test_an_output_that_nobody_reads_may_go() -> None:
    assert list(breaks(BEFORE, made(WithoutSpare))) == []


def test_an_output_goes_in_two_releases() -> None:
    """In one it would still be read by what is deployed, whatever the code reads by then."""
    unread = READS - {("door", "store", "key_arn")}
    assert len(list(breaks(BEFORE, made(WithoutKey, reads=unread)))) == 1
    first = made(reads=unread)
    assert list(breaks(BEFORE, first)) == []
    assert list(breaks(first, made(WithoutKey, reads=unread))) == []


def test_the_file_says_what_the_lock_says() -> None:
    assert parse(render(BEFORE)) == BEFORE
    for text in ("", b"\xff", "[]", '{"store": {}}', render(BEFORE).replace('"type"', '"kind"')):
        with pytest.raises(LockError, match=r"contracts\.lock: not a lock"):
            parse(text)


def test_reads_are_found_by_kind_of_stack(tmp_path: Path) -> None:
    for stack, text in {
        "door-eu-west-1": "${data.terraform_remote_state.from-store-eu-west-1.outputs.key_arn}",
        "door-links-eu-west-1": '["${data.terraform_remote_state.from-store-us-east-1.outputs.spare}"]',
    }.items():
        (tmp_path / stack).mkdir()
        (tmp_path / stack / "cdk.tf.json").write_text(text)
    found = reads_of(sorted(tmp_path.glob("*/*")), ["door", "door-links", "store"])
    assert found == {("door", "store", "key_arn"), ("door-links", "store", "spare")}


def test_the_command_writes_no_lock_that_breaks_somebody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "contracts.lock"
    monkeypatch.setattr(command, "project_root", lambda: tmp_path)
    monkeypatch.setattr(command, "LOCK", Path("contracts.lock"))
    monkeypatch.setattr(command, "STACKS", specs())
    monkeypatch.setattr(command, "current", lambda: BEFORE)
    with pytest.raises(LockError, match="is not what the contracts say; run: tripoint contracts --write"):
        command.contracts()
    command.contracts(write=True)
    command.contracts()
    # Who reads what is gone could not be synthesized: the contracts alone tell.
    monkeypatch.setattr(command, "STACKS", specs(WithoutKey))
    monkeypatch.setattr(command, "current", lambda: pytest.fail("synthesizes"))
    with pytest.raises(LockError, match="output key_arn of store"):
        command.contracts(write=True)
    assert parse(file.read_text()) == BEFORE
    monkeypatch.setattr(command, "STACKS", specs())
    changed = {key: replace(one, owner="team-x") for key, one in BEFORE.items()}
    monkeypatch.setattr(command, "current", lambda: changed)
    with pytest.raises(LockError, match="is not what the contracts say"):
        command.contracts()
