"""Saved plans: applied as they were reviewed, or refused with every cause; taken up where an apply ended."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollout.engine.planned import extent
from rollout.plans.saved import PlanFolder, SavedPlanError, hash_of, sealed
from rollout.project import Project
from rollout.report import RunReport
from rollout.state import StateLock
from rollout.synthesis import Synthesis
from rollout.toolchain import Tool
from shared.contracts import StackId
from shared.errors import UsageError
from tests.rollout.support import GRAPH, ids
from tests.rollout.test_engine import World, statuses

FIRST = {"network-us-east-1", "network-eu-west-1", "data-us-east-1"}


class SteadyWorld(World):
    """How its Terraform behaves is no part of what is synthesized."""

    def synthesize(self, project: Project, stacks: Sequence[StackId]) -> Synthesis:
        found = super().synthesize(project, stacks)
        for stack in stacks:
            path = project.workspace.stack(stack) / "cdk.tf.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"locals": {}}))
        return found


@pytest.fixture
def world(tmp_path: Path) -> SteadyWorld:
    return SteadyWorld(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> PlanFolder:
    return PlanFolder(tmp_path / "plans")


def save(world: World, folder: PlanFolder) -> RunReport:
    return world.engine().diff(GRAPH.order, save=folder)


def manifest(folder: PlanFolder) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder.path / "manifest.json").read_text())
    return found


def rewrite(folder: PlanFolder, change: Callable[[dict[str, Any]], object], *, seal: bool = True) -> None:
    """Edit the manifest as somebody does who knows of its digest, or not."""
    found = manifest(folder)
    change(found)
    (folder.path / "manifest.json").write_text(json.dumps(sealed(found) if seal else found))


def test_what_can_be_applied_is_saved_for_its_owner_alone_and_the_rest_is_named(
    world: World, folder: PlanFolder
) -> None:
    save(world, folder)
    assert {path.stem for path in folder.path.glob("*.tfplan")} == FIRST
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()} == {0o600}
    entries = {entry["stack"]: entry for entry in manifest(folder)["stacks"]}
    assert list(entries) == list(map(str, GRAPH.order))
    assert entries["compute-us-east-1"]["refusal"] == ("planned with mock outputs of network-us-east-1, data-us-east-1")
    assert entries["compute-us-east-1"]["mock_outputs"] == {
        "network-us-east-1": ["vpc_id", "subnet_ids"], "data-us-east-1": ["key_arn"],
    }  # fmt: skip
    assert not entries["compute-us-east-1"]["applicable"]
    assert "plan" not in entries["compute-us-east-1"]


def test_plans_are_applied_in_order_and_what_builds_on_them_is_planned_again(world: World, tmp_path: Path) -> None:
    """Round after round, until everything is deployed (LAY-04)."""
    rounds: list[set[str]] = []
    while True:
        folder = PlanFolder(tmp_path / str(len(rounds)))
        if all(status == "unchanged" for status in statuses(save(world, folder)).values()):
            break
        report = world.engine().apply_saved(folder)
        assert report.ok
        rounds.append({stack for stack, status in statuses(report).items() if status == "applied"})
        assert len(rounds) < 10
    assert rounds[0] == FIRST
    assert rounds == [set(map(str, wave)) for wave in GRAPH.waves()]
    assert len(world.calls("apply")) == len(GRAPH.order)
    assert world.flat()["edge-eu-west-1.api_url"] == "api_url of edge-eu-west-1"


def test_an_apply_of_saved_plans_is_known_to_the_next_rollout(world: World, tmp_path: Path) -> None:
    for number in range(len(GRAPH.waves())):
        folder = PlanFolder(tmp_path / str(number))
        save(world, folder)
        world.engine().apply_saved(folder)
    assert set(statuses(world.engine().deploy(GRAPH.order)).values()) == {"up-to-date"}


def newer_terraform(world: World, folder: PlanFolder) -> None:
    tool = replace(world.steps.find_tool(), version="1.12.0")

    def find() -> Tool:
        return tool

    world.steps = replace(world.steps, find_tool=find)


def other_code(world: World, folder: PlanFolder) -> None:
    zips = world.project.workspace.functions
    zips.mkdir(parents=True)
    (zips / "validate.zip").write_text("new")


def other_stack(world: World, folder: PlanFolder) -> None:
    before = world.steps.synthesize

    def synthesize(project: Project, stacks: Sequence[StackId]) -> Synthesis:
        found = before(project, stacks)
        (project.workspace.stack(ids("network-us-east-1")[0]) / "cdk.tf.json").write_text('{"resource": {}}')
        return found

    world.steps = replace(world.steps, synthesize=synthesize)


def other_state(world: World, folder: PlanFolder) -> None:
    (world.folder / "states" / "network-us-east-1").write_text("null")


CHANGES: list[tuple[Callable[[World, PlanFolder], object], str]] = [
    (lambda world, folder: world.project.config.write_text(world.project.config.read_text() + "\n"),
     r"^the configuration .*test\.toml has changed$"),
    (newer_terraform, r"^terraform: terraform 1\.11\.4 when the plans were made, terraform 1\.12\.0 now$"),
    (other_code, r"^function validate: its code has changed$"),
    (other_stack, r"^network-us-east-1: what is synthesized has changed$"),
    (other_state, r"^network-us-east-1: its state has changed: none then, serial 1 of a-lineag now$"),
    (lambda world, folder: rewrite(folder, lambda found: found.update(expires_at="2020-01-01T00:00:00+00:00")),
     r"^the plans were made at .* and expired at 2020-01-01"),
    (lambda world, folder: folder.plan(ids("data-us-east-1")[0]).write_text("another"),
     r"^data-us-east-1: data-us-east-1\.tfplan is not the file that was saved$"),
    (lambda world, folder: folder.plan(ids("data-us-east-1")[0]).unlink(),
     r"^data-us-east-1: data-us-east-1\.tfplan is missing$"),
    (lambda world, folder: (folder.path / "edge-eu-west-1.tfplan").write_text("by hand"),
     r"^edge-eu-west-1\.tfplan is not among the saved plans$"),
    (lambda world, folder: rewrite(folder, lambda found: found.update(expires_at="2999-01-01"), seal=False),
     r"^manifest\.json is not as it was saved$"),
    (lambda world, folder: rewrite(folder, lambda found: found.update(versions={}), seal=False),
     r"^manifest\.json is not as it was saved$"),
    (lambda world, folder: rewrite(folder, lambda found: found.pop("stacks"), seal=False),
     r"^manifest\.json is not as it was saved$"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "cause"), CHANGES, ids=[cause for _, cause in CHANGES])
def test_whatever_has_changed_since_is_a_refusal_of_everything(
    world: World, folder: PlanFolder, change: Callable[[World, PlanFolder], object], cause: str
) -> None:
    save(world, folder)
    change(world, folder)
    with pytest.raises(SavedPlanError, match=cause) as refused:
        world.engine().apply_saved(folder)
    assert len(refused.value.causes) == 1
    assert world.calls("apply") == []


def test_changed_outputs_of_an_upstream_are_a_refusal(world: World, folder: PlanFolder) -> None:
    """LAY-08."""
    world.engine().deploy(ids("network-us-east-1", "data-us-east-1"))
    save(world, folder)
    before = world.calls("apply")
    (world.folder / "states" / "network-us-east-1").write_text(json.dumps({"vpc_id": "vpc-2", "subnet_ids": []}))
    with pytest.raises(SavedPlanError) as refused:
        world.engine().apply_saved(folder)
    assert refused.value.causes == ["compute-us-east-1: the outputs of network-us-east-1 have changed"]
    assert world.calls("apply") == before


def test_a_plan_with_mock_outputs_is_never_applied_whatever_the_manifest_says(world: World, folder: PlanFolder) -> None:
    save(world, folder)
    planted = folder.path / "edge-eu-west-1.tfplan"
    planted.write_text("by hand")

    def plant(found: dict[str, Any]) -> None:
        [entry] = [entry for entry in found["stacks"] if entry["stack"] == "edge-eu-west-1"]
        entry.update(plan=planted.name, refusal="", applicable=True)

    rewrite(folder, plant)
    with pytest.raises(SavedPlanError, match=r"^edge-eu-west-1: planned with mock outputs; never applied$"):
        world.engine().apply_saved(folder)
    assert world.calls("apply") == []


def test_plans_that_all_may_not_be_applied_are_a_refusal(world: World, folder: PlanFolder) -> None:
    world.engine().diff(ids("edge-eu-west-1"), save=folder)
    with pytest.raises(SavedPlanError, match="mock outputs of compute-eu-west-1; never applied"):
        world.engine().apply_saved(folder)
    assert world.calls("apply") == []


def test_after_a_failure_the_same_command_goes_on_and_repeats_nothing(world: World, folder: PlanFolder) -> None:
    save(world, folder)
    world.behave("network-eu-west-1", error="no capacity")
    report = world.engine().apply_saved(folder)
    assert not report.ok
    assert statuses(report)["network-eu-west-1"] == "failed"
    world.behave("network-eu-west-1")
    report = world.engine().apply_saved(folder)
    assert report.ok
    found = statuses(report)
    assert {stack for stack in FIRST if found[stack] == "applied"} == {"network-eu-west-1"}
    assert sorted(world.calls("apply")) == sorted([*FIRST, "network-eu-west-1"])


def test_a_stack_that_was_left_half_applied_is_planned_again_and_the_others_go_on(
    world: World, folder: PlanFolder
) -> None:
    save(world, folder)
    (world.folder / "states" / "network-eu-west-1").write_text("null")
    (folder.path / "applied.json").write_text('{"network-eu-west-1": {"begun_at": "2026-01-02T03:04:05+00:00"}}')
    report = world.engine().apply_saved(folder)
    found = {str(result.stack): result for result in report.stacks}
    assert found["network-eu-west-1"].error == [
        "its apply from this plan was begun at 2026-01-02T03:04:05+00:00 and did not finish; "
        "plan it again: tripoint diff network-eu-west-1 --out FOLDER"
    ]
    assert {str(result.status) for name, result in found.items() if name in FIRST} == {"failed", "applied"}
    assert "network-eu-west-1" not in world.calls("apply")


# What Terraform says of a resource that it makes, and when all is done.
VPC: dict[str, Any] = {"action": "create", "resource": {"addr": "aws_vpc.a", "resource_type": "aws_vpc"}}
BEGUN = {"type": "apply_start", "hook": VPC}
MADE = {"type": "apply_complete", "hook": {**VPC, "id_value": "vpc-1"}}
DONE = {"type": "change_summary", "changes": {"operation": "apply", "add": 2, "change": 0, "remove": 0}}


def killed(world: World, stack: StackId, *said: dict[str, Any], plan: PlanFolder | None = None) -> Path:
    """Leave what a killed apply leaves, of a saved plan or of a deployment; gives its notes."""
    data = world.project.workspace.data(stack)
    data.mkdir(parents=True, exist_ok=True)
    notes = {"lock_id": "dead", "operation": "apply", "plan": "" if plan is None else hash_of(plan.plan(stack))}
    (data / "attempt.json").write_text(json.dumps(notes))
    (data / "attempt.jsonl").write_text("".join(json.dumps({"@message": "", **one}) + "\n" for one in said))
    world.store.held[stack] = StateLock(stack, "dead", "me@here", "OperationTypeApply", "2025-01-02T03:04:05")
    return data / "attempt.json"


@pytest.fixture
def stack() -> StackId:
    return ids("network-eu-west-1")[0]


def test_how_much_of_a_plan_was_applied_is_read_from_what_terraform_said() -> None:
    def read(*said: dict[str, Any]) -> tuple[str, int]:
        found, changes = extent(json.dumps({"@message": "", **one}) for one in said)
        return str(found), changes.add

    planned = {"type": "change_summary", "changes": {"operation": "plan", "add": 2, "change": 0, "remove": 0}}
    assert read() == read(planned) == ("nothing", 0)
    assert read(planned, BEGUN) == read(planned, BEGUN, MADE) == ("part", 0)
    assert read(planned, BEGUN, MADE, DONE) == ("all", 2)
    assert extent(['{"type": "apply_sta', "no JSON"])[0] == "nothing"


def test_what_terraform_finished_after_its_engine_was_killed_is_done(
    world: World, folder: PlanFolder, stack: StackId
) -> None:
    """LAY-06: the same command again applies it no second time, and the next rollout knows it."""
    save(world, folder)
    notes = killed(world, stack, BEGUN, MADE, DONE, plan=folder)
    (world.folder / "states" / str(stack)).write_text("null")
    (folder.path / "applied.json").write_text('{"network-eu-west-1": {"begun_at": "2026-01-02T03:04:05+00:00"}}')
    report = world.engine().apply_saved(folder)
    [result] = [one for one in report.stacks if one.stack == stack]
    assert (str(result.status), result.changes.add) == ("applied", 2)
    assert result.note == "what an earlier run began was finished without its engine"
    assert str(stack) not in world.calls("apply")
    assert not notes.exists()
    assert world.store.held == {}
    assert statuses(world.engine().apply_saved(folder))[str(stack)] == "unchanged"
    assert statuses(world.engine().deploy([stack])) == {str(stack): "up-to-date"}


def test_a_plan_that_nothing_was_begun_of_is_applied_by_the_same_command(
    world: World, folder: PlanFolder, stack: StackId
) -> None:
    save(world, folder)
    notes = killed(world, stack, plan=folder)
    assert statuses(world.engine().apply_saved(folder))[str(stack)] == "applied"
    assert world.calls("apply").count(str(stack)) == 1
    assert not notes.exists()


def test_a_plan_that_was_applied_in_part_is_refused_until_a_new_one_takes_in_what_was_made(
    world: World, folder: PlanFolder, stack: StackId, tmp_path: Path
) -> None:
    """LAY-06: however often, and whatever the state says; Terraform saves it late."""
    save(world, folder)
    notes = killed(world, stack, BEGUN, MADE, plan=folder)
    for _ in range(2):
        report = world.engine().apply_saved(folder)
        assert report.failed[0].error == [
            "its apply from this plan was begun and did not finish; "
            "plan it again: tripoint diff network-eu-west-1 --out FOLDER"
        ]
    assert str(stack) not in world.calls("apply")
    assert notes.exists()
    again = PlanFolder(tmp_path / "again")
    save(world, again)
    [entry] = [entry for entry in manifest(again)["stacks"] if entry["stack"] == str(stack)]
    assert entry["taken_up"]
    assert set(world.calls("plan-with-imports")) == {str(stack)}
    report = world.engine().apply_saved(again)
    assert report.failed == []
    assert statuses(report)[str(stack)] == "applied"
    assert not notes.exists()


def test_a_plan_takes_up_a_killed_run_even_when_there_is_nothing_to_change(
    world: World, folder: PlanFolder, stack: StackId
) -> None:
    """LAY-06: otherwise its lock would stay."""
    world.engine().deploy([stack])
    notes = killed(world, stack)
    assert statuses(world.engine().diff([stack], save=folder)) == {str(stack): "planned"}
    assert world.engine().apply_saved(folder).ok
    assert not notes.exists()
    assert world.store.held == {}


def test_what_a_run_that_was_killed_since_has_made_is_in_no_plan(
    world: World, folder: PlanFolder, stack: StackId
) -> None:
    save(world, folder)
    notes = killed(world, stack, BEGUN)
    before = notes.read_text()
    for _ in range(2):
        assert world.engine().apply_saved(folder).failed[0].error == [
            "an earlier apply of it was cut off, and is not in the plan; "
            "plan it again: tripoint diff network-eu-west-1 --out FOLDER"
        ]
    assert notes.read_text() == before
    assert str(stack) not in world.calls("apply")


def test_a_plan_that_took_up_a_killed_run_knows_nothing_of_the_next_one(
    world: World, folder: PlanFolder, stack: StackId
) -> None:
    killed(world, stack, BEGUN, MADE)
    save(world, folder)
    killed(world, stack, BEGUN, MADE, BEGUN)
    assert "is not in the plan" in world.engine().apply_saved(folder).failed[0].error[0]


def test_a_state_that_an_earlier_run_could_not_save_comes_before_any_plan(
    world: World, folder: PlanFolder, stack: StackId
) -> None:
    killed(world, stack, BEGUN)
    (world.project.workspace.data(stack) / "errored.tfstate").write_text("a state")
    assert world.engine().diff([stack], save=folder).failed[0].error == [
        "an earlier run could not save its state; have that done first: tripoint deploy network-eu-west-1"
    ]


def test_a_state_that_moved_on_after_its_apply_is_a_refusal(world: World, folder: PlanFolder) -> None:
    save(world, folder)
    world.engine().apply_saved(folder)
    (world.folder / "network-eu-west-1.serial").write_text("7")
    with pytest.raises(SavedPlanError, match="network-eu-west-1: its state has changed: serial 1 of a-lineag then"):
        world.engine().apply_saved(folder)


def test_a_folder_with_something_in_it_and_a_folder_without_plans_are_named(world: World, folder: PlanFolder) -> None:
    with pytest.raises(UsageError, match=r"^--plan .*plans: no saved plans there \(manifest\.json: No such file"):
        world.engine().apply_saved(folder)
    folder.path.mkdir()
    (folder.path / "something").touch()
    with pytest.raises(UsageError, match=r"^--out .*plans: must be a new or an empty folder$"):
        save(world, folder)
    (folder.path / "manifest.json").write_text('{"schema": 99}')
    with pytest.raises(UsageError, match="schema = 99: must be 2"):
        world.engine().apply_saved(folder)
    assert not (world.folder / "calls").exists()


@pytest.mark.parametrize("journal", ["", "[]", '{"data-us-east-1": "done"}'])
def test_a_journal_that_is_none_is_named_and_nothing_applied(world: World, folder: PlanFolder, journal: str) -> None:
    save(world, folder)
    (folder.path / "applied.json").write_text(journal)
    with pytest.raises(UsageError, match=r"applied\.json: (cannot be read|must hold an object per stack)"):
        world.engine().apply_saved(folder)
    assert world.calls("apply") == []


def test_plans_of_another_environment_are_refused_before_anything_runs(world: World, folder: PlanFolder) -> None:
    save(world, folder)
    rewrite(folder, lambda found: found.update(suffix="prod"))
    with pytest.raises(UsageError, match="made for suffix prod, not t1"):
        world.engine().apply_saved(folder)


def test_plans_are_valid_as_long_as_was_said(world: World, tmp_path: Path) -> None:
    folder = PlanFolder(tmp_path / "plans", timedelta(hours=-1))
    save(world, folder)
    with pytest.raises(SavedPlanError, match="expired at"):
        world.engine().apply_saved(folder)


def test_looking_makes_nothing_and_saving_makes_the_state_buckets(world: World, folder: PlanFolder) -> None:
    """A plan is for one state, so that one must have a place; looking needs none."""
    assert world.engine().diff(GRAPH.order).ok
    assert not world.store.buckets
    save(world, folder)
    assert world.store.buckets
