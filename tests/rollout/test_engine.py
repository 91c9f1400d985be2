"""Whole runs over the real graph, with a fake Terraform and states in files (LAY-03, LAY-04, LAY-05, PAY-20)."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

import pytest

from rollout.engine import Engine, Steps, change, transient
from rollout.engine.attempt import exclusive
from rollout.engine.readers import StillReadError
from rollout.engine.uptodate import RECORD
from rollout.interrupts import StoppedCommand
from rollout.plans.saved import PlanFolder
from rollout.project import Project
from rollout.report import RunReport
from rollout.selection import DependentsDeployedError, StrayStacksError, UpstreamMissingError
from rollout.state import DeployedStack, StateError, StateLock, StateStore
from rollout.synthesis import Synthesis
from rollout.target import Target
from rollout.toolchain import Tool
from rollout.workspace import Workspace
from shared.config import load
from shared.contracts import StackId
from shared.errors import TripointError
from tests.rollout.support import AWS_CONFIG, GRAPH, REGIONS, SPECS, Recorder, ids, promised, write_config, write_script

# Applies by writing a state file; how each stack behaves is laid out in a file beside it.
TERRAFORM = """
import json, os, pathlib, signal, sys, time
world = pathlib.Path(__file__).parent
stack, phase = pathlib.Path.cwd().name, sys.argv[1]
behaviour = world / f"{stack}.json"
how = json.loads(behaviour.read_text()) if behaviour.exists() else {}
with open(world / "calls", "a") as calls:
    print(f"{phase} {stack}", file=calls)
    if pathlib.Path("tripoint_imports.tf.json").exists():
        print(f"{phase}-with-imports {stack}", file=calls)
def say(kind, **rest):
    print(json.dumps({"@message": kind, "type": kind, **rest}), flush=True)
def summary(operation, add=0, remove=0):
    say("change_summary", changes={"operation": operation, "add": add, "change": 0, "remove": remove})
if phase == "init":
    pathlib.Path(".terraform.lock.hcl").touch()
    sys.exit(0)
if phase == "show":
    print(pathlib.Path(sys.argv[-1]).read_text())
    sys.exit(0)
if phase == "state":
    (world / "pushed").write_bytes(pathlib.Path(sys.argv[-1]).read_bytes())
    sys.exit(0)
if how.get("killed"):
    os.kill(os.getpid(), signal.SIGKILL)
if how.get("unsaved"):
    pathlib.Path("errored.tfstate").write_text(how["unsaved"])
    sys.exit(1)
tries = [line for line in open(world / "calls") if line.split() == [phase, stack]]
table = {"addr": "aws_dynamodb_table.t", "resource_type": "aws_dynamodb_table"}
if how.get("being_made") and phase == "apply" and len(tries) == 1:
    say("apply_start", hook={"action": "create", "resource": table})
if how.get("error") and len(tries) <= how.get("times", 99) and not (how.get("being_made") and phase == "plan"):
    where = {"address": table["addr"]} if how.get("being_made") else {}
    say("diagnostic", diagnostic={"severity": "error", "summary": how["error"], "detail": "", **where})
    sys.exit(1)
if how.get("wait"):
    stopped = []
    signal.signal(signal.SIGINT, lambda *_: stopped.append(1))
    (world / "waiting").touch()
    for _ in range(6000):
        if stopped:
            break
        time.sleep(0.01)
state = world / "states" / stack
here = state.exists()
# Somebody deleted these by hand; of a saved plan, Terraform says so when it plans and not when it applies.
gone = how.get("gone", 0)
if phase == "plan" or not sys.argv[-1].endswith(".tfplan"):
    for number in range(gone):
        say("resource_drift", change={"action": "delete", "resource": {"addr": f"aws_vpc.{number}"}})
if phase == "plan":
    configured = "resource" in json.loads(pathlib.Path("cdk.tf.json").read_text())
    actions = ["create"] if configured and (gone or not here) else ["delete"] if here and not configured else ["no-op"]
    say("outputs", outputs={name: {"action": "delete"} for name in how.get("lost", [])})
    summary("plan", add=2 * (actions == ["create"]), remove=2 * (actions == ["delete"]))
    changes = [{"address": f"aws_vpc.{name}", "mode": "managed", "type": "aws_vpc", "change": {"actions": actions}}
        for name in "ab"]
    if how.get("being_made"):
        actions = ["no-op" if pathlib.Path("tripoint_imports.tf.json").exists() else "create"]
        changes.append({"address": table["addr"], "mode": "managed", "type": table["resource_type"],
            "change": {"actions": actions, "after": {"name": "payments"}}})
    for out in (word.removeprefix("-out=") for word in sys.argv if word.startswith("-out=")):
        drift = [{"address": f"aws_vpc.{number}", "change": {"actions": ["delete"]}} for number in range(gone)]
        lost = {name: {"actions": ["delete"]} for name in how.get("lost", [])}
        document = {"resource_changes": changes, "resource_drift": drift, "output_changes": lost}
        pathlib.Path(out).write_text(json.dumps(document))
elif phase == "apply":
    summary("plan", add=gone if here else 2)
    told = json.dumps(how.get("outputs"))
    if not here or state.read_text() != told or how.get("remove") or gone:
        state.write_text(told)
        serial = world / f"{stack}.serial"
        serial.write_text(str(int(serial.read_text()) + 1 if serial.exists() else 1))
    summary("apply", add=gone if here else 2, remove=how.get("remove", 0))
else:
    for text in json.loads(pathlib.Path("cdk.tf.json").read_text()).get("output", {}).values():
        _, _, need, _, name = text.strip("${}").split(".")
        known = json.loads((world / "states" / need.removeprefix("from-")).read_text())
        if known is not None and name not in known:
            say("diagnostic", diagnostic={"severity": "error", "summary": "Unsupported attribute", "detail": name})
            sys.exit(1)
    state.unlink(missing_ok=True)
    summary("destroy", remove=2)
"""


@dataclass
class FakeStore:
    """States as files, written by the fake Terraform."""

    world: Path
    buckets: bool = False
    held: dict[StackId, StateLock] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)

    def read(self, stack: StackId) -> DeployedStack | None:
        if stack.region in self.down:
            raise StateError(f"state of {stack}: Connect timeout on endpoint URL")
        path = self.world / "states" / str(stack)
        if not path.exists():
            return None
        outputs = json.loads(path.read_text())
        if outputs is None:
            outputs = {name: f"{name} of {stack}" for name in promised(stack)}
        serial = self.world / f"{stack}.serial"
        number = int(serial.read_text()) if serial.exists() else 1
        return DeployedStack(stack, number, datetime.now(UTC), 2, outputs, "1.11.4", lineage="a-lineage")

    def deployed(self, stacks: Iterable[StackId]) -> dict[StackId, DeployedStack]:
        return {stack: state for stack in stacks if (state := self.read(stack)) is not None}

    def within_reach(self, stacks: Iterable[StackId]) -> tuple[dict[StackId, DeployedStack], dict[StackId, StateError]]:
        return StateStore.within_reach(cast(StateStore, self), stacks)

    def strays(self, known: Collection[StackId]) -> dict[StackId, DeployedStack]:
        names = sorted(path.name for path in (self.world / "states").iterdir())
        found = [StackId(name.removesuffix(f"-{at}"), at) for name in names for at in REGIONS if name.endswith(at)]
        return self.deployed(stack for stack in found if stack not in known)

    def read_document(self, stack: StackId, name: str) -> bytes | None:
        path = self._document(stack, name)
        return path.read_bytes() if path.exists() else None

    def write_document(self, stack: StackId, name: str, body: bytes) -> None:
        self._document(stack, name).write_bytes(body)

    def delete_document(self, stack: StackId, name: str) -> None:
        self._document(stack, name).unlink(missing_ok=True)

    def _document(self, stack: StackId, name: str) -> Path:
        return self.world / f"{stack}-{name}"

    def acquire(self, lock: StateLock) -> StateLock | None:
        held = self.held.setdefault(lock.stack, lock)
        return None if held.id == lock.id else held

    def release(self, lock: StateLock) -> None:
        assert self.held.pop(lock.stack).id == lock.id

    def lock(self, stack: StackId) -> StateLock | None:
        return self.held.get(stack)

    def has_bucket(self, region: str) -> bool:
        return self.buckets

    def create_buckets(self, regions: Collection[str]) -> list[str]:
        assert not self.down & set(regions), "out of reach"
        made = [] if self.buckets else ["a-bucket"]
        self.buckets = True
        return made

    def remove_buckets(self) -> list[str]:
        self.buckets = False
        return ["a-bucket"]


class FakeTarget:
    def verify_account(self) -> None: ...

    def child_environment(self) -> dict[str, str]:
        return dict(os.environ)


def remote_state(stack: StackId) -> dict[str, Any]:
    return {"backend": "s3", "config": {"key": f"{stack}/terraform.tfstate"}}


def read(stack: StackId, output: str) -> str:
    return f"${{data.terraform_remote_state.from-{stack}.outputs.{output}}}"


class World:
    """An environment in two regions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "world"
        (self.folder / "states").mkdir(parents=True)
        tool = Tool("terraform", (str(write_script(self.folder / "terraform", TERRAFORM)),), "1.11.4")
        environment = load(write_config(folder, AWS_CONFIG))
        self.store = FakeStore(self.folder)
        self.project = Project(
            config=folder / "test.toml",
            environment=environment,
            specs=SPECS,
            graph=GRAPH,
            workspace=Workspace(folder, folder / ".tripoint", "t1", folder / "flat.json"),
            target=cast(Target, FakeTarget()),
            store=cast(StateStore, self.store),
        )
        self.steps = Steps(find_tool=lambda: tool, build_functions=lambda _: 0, synthesize=self.synthesize)
        self.recorder = Recorder()

    def synthesize(self, project: Project, stacks: Sequence[StackId]) -> Synthesis:
        for stack in stacks:
            directory = project.workspace.stack(stack)
            directory.mkdir(parents=True, exist_ok=True)
            behaviour, needs = self.folder / f"{stack}.json", GRAPH.needs[stack]
            document = {
                "terraform": {"backend": {"s3": {"bucket": "b", "key": str(stack)}}},
                "provider": {"aws": [{}]},
                "resource": {"aws_vpc": {}},
                "data": {"terraform_remote_state": {f"from-{need}": remote_state(need) for need in needs}},
                "output": {
                    f"{need}-{name}": read(need, name) for need in GRAPH.needs[stack] for name in promised(need)
                },
                # What Terraform is to do is part of what it is told.
                "locals": json.loads(behaviour.read_text()) if behaviour.exists() else {},
            }
            (directory / "cdk.tf.json").write_text(json.dumps(document))
        return Synthesis(tuple(stacks))

    def engine(self) -> Engine:
        return Engine(self.project, self.recorder, parallel=2, steps=self.steps)

    def behave(self, stack: str, **how: Any) -> None:
        (self.folder / f"{stack}.json").write_text(json.dumps(how))

    def calls(self, phase: str) -> list[str]:
        calls = self.folder / "calls"
        lines = calls.read_text().splitlines() if calls.exists() else []
        return [line.split()[1] for line in lines if line.split()[0] == phase]

    def flat(self) -> dict[str, Any]:
        return cast(dict[str, Any], json.loads((self.project.workspace.outputs).read_text()))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def statuses(report: RunReport) -> dict[str, str]:
    return {str(result.stack): str(result.status) for result in report.stacks}


def test_a_rollout_applies_everything_in_order_and_writes_the_outputs(world: World) -> None:
    """LAY-04, PAY-20."""
    report = world.engine().deploy(GRAPH.order)
    assert report.ok
    assert set(statuses(report).values()) == {"applied"}
    applied = world.calls("apply")
    for stack, needs in GRAPH.needs.items():
        assert all(applied.index(str(need)) < applied.index(str(stack)) for need in needs)
    assert world.flat()["edge-eu-west-1.api_url"] == "api_url of edge-eu-west-1"
    assert report.resources == 2 * len(GRAPH.order)
    assert {"functions", "synth", "state", "stacks", "outputs"} <= report.phases.keys()


def test_the_same_again_runs_no_terraform(world: World) -> None:
    world.engine().deploy(GRAPH.order)
    report = world.engine().deploy(GRAPH.order)
    assert report.ok
    assert set(statuses(report).values()) == {"up-to-date"}
    assert all(result.reason.startswith("nothing changed since 20") for result in report.stacks)
    assert report.resources == 2 * len(GRAPH.order)
    assert len(world.calls("init")) == len(world.calls("apply")) == len(GRAPH.order)
    assert "provider" not in report.phases
    assert any(said.endswith("changes made outside show up in: tripoint drift") for said in world.recorder.said)


def test_all_plans_also_what_did_not_change_and_initializes_nothing_again(world: World) -> None:
    world.engine().deploy(GRAPH.order)
    report = world.engine().deploy(GRAPH.order, every=True)
    assert {(str(result.status), result.reason) for result in report.stacks} == {("unchanged", "--all")}
    assert len(world.calls("apply")) == 2 * len(GRAPH.order)
    assert len(world.calls("init")) == len(GRAPH.order)


def test_only_what_changed_is_planned_and_who_reads_what_came_of_it(world: World) -> None:
    """LAY-04: a changed stack is applied; its readers only when an output that they read is another one."""
    world.engine().deploy(GRAPH.order)
    before = len(world.calls("apply"))
    world.behave("network-eu-west-1", resources="others")
    report = world.engine().deploy(GRAPH.order)
    assert world.calls("apply")[before:] == ["network-eu-west-1"]
    by_name = {str(result.stack): result for result in report.stacks}
    assert by_name["network-eu-west-1"].reason == "the synthesized JSON changed"
    assert by_name["compute-eu-west-1"].status == "up-to-date"
    world.behave("network-eu-west-1", outputs={"vpc_id": "another", "subnet_ids": []})
    report = world.engine().deploy(GRAPH.order)
    assert world.calls("apply")[before + 1 :] == ["network-eu-west-1", "compute-eu-west-1"]
    compute = next(result for result in report.stacks if str(result.stack) == "compute-eu-west-1")
    assert compute.reason == "network-eu-west-1.subnet_ids changed, and 1 more"


def test_who_holds_on_to_what_was_made_anew_under_the_old_name_is_planned(world: World) -> None:
    world.engine().deploy(GRAPH.order)
    before = len(world.calls("apply"))
    world.behave("data-us-east-1", remove=1)
    world.engine().deploy(GRAPH.order)
    # Every reader of data-us-east-1, though no output changed; and nobody who reads only those.
    assert set(world.calls("apply")[before:]) == {
        "data-us-east-1", "data-eu-west-1", "data-links-us-east-1", "data-links-eu-west-1", "compute-us-east-1",
    }  # fmt: skip


@pytest.mark.parametrize("saved", [False, True], ids=["planned", "from a saved plan"])
def test_who_holds_on_to_what_somebody_deleted_and_we_made_anew_is_planned(
    world: World, tmp_path: Path, saved: bool
) -> None:
    """A bucket that was deleted by hand comes back without the replication that another stack has put on it."""
    world.engine().deploy(GRAPH.order)
    [stack] = ids("data-us-east-1")
    world.behave(str(stack), gone=1)
    if saved:
        folder = PlanFolder(tmp_path / "plans")
        world.engine().diff([stack], save=folder)
        assert statuses(world.engine().apply_saved(folder)) == {str(stack): "applied"}
    else:
        assert statuses(world.engine().deploy([stack])) == {str(stack): "applied"}
    before = len(world.calls("apply"))
    world.engine().deploy(GRAPH.order)
    assert set(world.calls("apply")[before:]) == {
        "data-eu-west-1", "data-links-us-east-1", "data-links-eu-west-1", "compute-us-east-1",
    }  # fmt: skip


def test_a_region_whose_state_is_out_of_reach_stops_nothing_that_does_not_build_on_it(
    world: World, tmp_path: Path
) -> None:
    """LAY-04, LAY-06: the other region can be changed, and its plans made and applied."""
    world.engine().deploy(GRAPH.order)
    before = world.flat()
    world.store.down = {"eu-west-1"}
    [network, compute, links] = ids("network-us-east-1", "compute-us-east-1", "data-links-us-east-1")
    world.behave(str(network), outputs={"vpc_id": "vpc-new", "subnet_ids": []})
    report = world.engine().deploy([network, compute])
    assert report.ok
    assert world.calls("apply")[-2:] == [str(network), str(compute)]
    assert world.flat() == before | {f"{network}.vpc_id": "vpc-new", f"{network}.subnet_ids": []}
    assert any(said.endswith("; its outputs are as they were") for said in world.recorder.said)
    folder = PlanFolder(tmp_path / "plans")
    assert world.engine().diff([network], save=folder).ok
    assert world.engine().apply_saved(folder).ok
    with pytest.raises(StateError, match="state of data-eu-west-1: Connect timeout"):
        world.engine().deploy([links])


def withdrawing(world: World) -> tuple[StackId, StackId]:
    """A stack that no longer promises an output, and one that was deployed when it did and reads it."""
    [data, compute] = ids("data-us-east-1", "compute-us-east-1")
    outputs = {name: f"{name} of {data}" for name in promised(data)}
    world.behave(str(data), outputs={**outputs, "old_arn": "arn"})
    world.behave(str(compute), reads=read(data, "old_arn"))
    world.engine().deploy(GRAPH.order)
    world.behave(str(data), outputs=outputs, lost=["old_arn"])
    return data, compute


def test_what_a_deployed_stack_still_reads_is_not_withdrawn(world: World, tmp_path: Path) -> None:
    """LAY-08: neither by a deployment of the producer alone nor by a saved plan of it."""
    data, compute = withdrawing(world)
    before = world.calls("apply")
    why = (
        "withdraws old_arn, which deployed stacks still read: compute-us-east-1 (owner team-compute); deploy them first"
    )
    with pytest.raises(StillReadError, match=re.escape(f"data-us-east-1 {why}")):
        world.engine().deploy([data])
    folder = PlanFolder(tmp_path / "plans")
    [result] = world.engine().diff([data], save=folder).stacks
    assert result.diff is not None
    assert result.diff.refusal.startswith(why)
    assert list(folder.path.glob("*.tfplan")) == []
    assert world.calls("apply") == before
    world.behave(str(compute))
    assert world.engine().deploy([compute]).ok
    assert world.engine().deploy([data]).ok
    assert world.calls("apply")[len(before) :] == [str(compute), str(data)]


def test_a_rollout_withdraws_once_the_readers_have_let_go(world: World) -> None:
    data, compute = withdrawing(world)
    world.behave(str(compute))
    before = len(world.calls("apply"))
    assert world.engine().deploy(GRAPH.order).ok
    applied = world.calls("apply")[before:]
    assert applied.index(str(compute)) < applied.index(str(data))


def test_a_stack_without_a_record_may_read_whatever_its_upstream_has(world: World) -> None:
    data, _ = withdrawing(world)
    for stack in GRAPH.dependents(data):
        world.store.delete_document(stack, RECORD)
    with pytest.raises(StillReadError) as refused:
        world.engine().deploy([data])
    assert all(str(stack) in str(refused.value) for stack in GRAPH.dependents(data))


@pytest.mark.parametrize("what", ["another apply", "no record", "an unreadable record"])
def test_a_state_that_is_not_what_our_last_apply_left_is_not_trusted(world: World, what: str) -> None:
    [stack] = ids("network-us-east-1")
    world.engine().deploy([stack])
    if what == "another apply":
        (world.folder / f"{stack}.serial").write_text("7")
    elif what == "no record":
        world.store.delete_document(stack, RECORD)
    else:
        world.store.write_document(stack, RECORD, b"{")
    report = world.engine().deploy([stack])
    assert statuses(report) == {"network-us-east-1": "unchanged"}
    assert statuses(world.engine().deploy([stack])) == {"network-us-east-1": "up-to-date"}


def test_an_apply_that_failed_leaves_no_record_even_when_it_did_nothing(world: World) -> None:
    """Back to the old configuration after a failed apply of a new one: what the failed one did must be looked at."""
    [stack] = ids("network-us-east-1")
    world.engine().deploy([stack])
    world.behave("network-us-east-1", error="no")
    assert not world.engine().deploy([stack]).ok
    (world.folder / f"{stack}.json").unlink()
    assert statuses(world.engine().deploy([stack])) == {"network-us-east-1": "unchanged"}


def test_an_error_that_passes_is_tried_again_and_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transient, "FIRST_WAIT_S", 0.01)
    world.behave("network-us-east-1", error="ThrottlingException: Rate exceeded", times=2)
    report = world.engine().deploy(ids("network-us-east-1"))
    assert report.ok
    assert len(world.calls("apply")) == 3
    [result] = report.stacks
    assert [text.partition(" in ")[0] for text in result.retries] == [
        f"throttled by AWS: error: ThrottlingException: Rate exceeded; retry {number} of 3" for number in (1, 2)
    ]
    assert any("retry 2 of 3" in said for said in world.recorder.said)


def test_tries_are_limited_and_other_errors_are_not_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transient, "FIRST_WAIT_S", 0.01)
    world.behave("network-us-east-1", error="ThrottlingException: Rate exceeded")
    assert not world.engine().deploy(ids("network-us-east-1")).ok
    assert len(world.calls("apply")) == 1 + transient.RETRIES
    world.behave("network-eu-west-1", error="AccessDenied")
    assert not world.engine().deploy(ids("network-eu-west-1")).ok
    assert len(world.calls("apply")) == 1 + transient.RETRIES + 1


def test_one_regions_failure_stops_only_what_depends_on_it(world: World) -> None:
    """LAY-04: everything of a region but what all regions need fails; the other region is complete."""
    for layer in ("network", "data-links", "compute"):
        world.behave(f"{layer}-eu-west-1", error="the region is down")
    found = statuses(world.engine().deploy(GRAPH.order))
    assert {status for stack, status in found.items() if stack.endswith("us-east-1")} == {"applied"}
    assert found["network-eu-west-1"] == "failed"
    assert found["compute-eu-west-1"] == found["edge-eu-west-1"] == "blocked"


def test_a_killed_terraform_leaves_no_lock_and_the_same_command_again_finishes(world: World) -> None:
    """LAY-06: a stack that was cut off is not taken for what its last apply left."""
    [stack] = ids("network-us-east-1")
    world.engine().deploy([stack])
    world.behave("network-us-east-1", killed=True)
    report = world.engine().deploy([stack])
    assert report.failed[0].error == ["terraform apply was killed by signal 9", "what it was making may be there "
        "and not recorded; the next deploy or diff --out looks for it"]  # fmt: skip
    assert world.store.held == {}
    (world.folder / f"{stack}.json").unlink()
    report = world.engine().deploy([stack])
    assert report.stacks[0].reason == "an earlier run was cut off"
    assert statuses(world.engine().deploy([stack])) == {"network-us-east-1": "up-to-date"}


def test_what_was_cut_off_is_looked_for_until_an_attempt_has_succeeded(world: World) -> None:
    """LAY-06: an attempt that fails on the way must not forget what the one before it made."""
    [stack] = ids("network-us-east-1")
    world.behave("network-us-east-1", killed=True)
    world.engine().deploy([stack])
    journal = world.project.workspace.data(stack) / "attempt.jsonl"
    journal.write_text("what the killed one said\n")
    world.behave("network-us-east-1", error="AccessDenied")
    assert not world.engine().deploy([stack]).ok
    assert journal.read_text().startswith("what the killed one said")
    world.behave("network-us-east-1")
    assert world.engine().deploy([stack]).ok
    assert not journal.exists()


def test_a_table_that_aws_keeps_for_a_day_is_explained_and_the_destroy_goes_on_later(world: World) -> None:
    """PAY-16: what is gone stays gone."""
    world.engine().deploy(GRAPH.order)
    reason = "Replica cannot be deleted because it has acted as a source region for new replica(s) in the last 24 hours"
    world.behave("data-us-east-1", error=reason)
    report = world.engine().destroy(GRAPH.order)
    assert report.failed[0].error[1].startswith("AWS keeps a table for 24 hours after it was used to add a replica")
    before = len(world.calls("destroy"))
    world.behave("data-us-east-1")
    assert world.engine().destroy(GRAPH.order).ok
    assert world.calls("destroy")[before:] == ["data-us-east-1"]


def test_the_lock_of_an_engine_that_was_killed_is_taken_over_by_the_next(world: World) -> None:
    """LAY-06: only by its id, which the dead one had written down."""
    [stack] = ids("network-us-east-1")
    data = world.project.workspace.data(stack)
    data.mkdir(parents=True)
    (data / "attempt.json").write_text('{"lock_id": "dead", "operation": "apply", "pid": 0, "birth": null}')
    world.store.held[stack] = StateLock(stack, "dead", "me@here", "OperationTypeApply", "2025-01-02T03:04:05")
    assert world.engine().deploy([stack]).ok
    assert world.store.held == {}
    assert any("an earlier apply was cut off" in said for said in world.recorder.said)


def test_a_state_that_could_not_be_saved_is_saved_by_the_next_run(world: World) -> None:
    [stack] = ids("network-us-east-1")
    world.behave("network-us-east-1", unsaved="a state")
    assert not world.engine().deploy([stack]).ok
    world.behave("network-us-east-1")
    assert world.engine().deploy([stack]).ok
    assert (world.folder / "pushed").read_text() == "a state"
    assert world.engine().deploy([stack]).stacks[0].status == "up-to-date"


def test_a_failed_stack_blocks_its_dependents_and_the_outputs_tell_what_is_there(world: World) -> None:
    """LAY-04, PAY-20."""
    world.behave("compute-eu-west-1", error="no capacity")
    report = world.engine().deploy(GRAPH.order)
    found = statuses(report)
    assert not report.ok
    assert {stack for stack, status in found.items() if status == "failed"} == {"compute-eu-west-1"}
    assert {stack for stack, status in found.items() if status == "blocked"} == {
        "edge-eu-west-1",
    }  # fmt: skip
    assert found["edge-us-east-1"] == "applied"
    [failed] = report.failed
    assert failed.error == ["error: no capacity"]
    assert not any(key.startswith("compute-eu-west-1.") for key in world.flat())


def test_the_next_rollout_takes_up_where_a_failed_one_ended(world: World) -> None:
    world.behave("compute-eu-west-1", error="no capacity")
    world.engine().deploy(GRAPH.order)
    world.behave("compute-eu-west-1")
    report = world.engine().deploy(GRAPH.order)
    assert report.ok
    assert {stack for stack, status in statuses(report).items() if status == "applied"} == {
        "compute-eu-west-1", "edge-eu-west-1",
    }  # fmt: skip


def test_one_stack_alone_needs_its_upstream_and_is_refused_before_anything_runs(world: World) -> None:
    """LAY-03."""
    chosen = ids("compute-eu-west-1")
    with pytest.raises(UpstreamMissingError, match="data-eu-west-1"):
        world.engine().deploy(chosen)
    assert not (world.folder / "calls").exists()
    assert not world.store.buckets
    world.engine().deploy(GRAPH.order)
    report = world.engine().deploy(chosen)
    assert statuses(report) == {"compute-eu-west-1": "up-to-date"}


def test_upstream_without_a_promised_output_is_refused(world: World) -> None:
    """LAY-08."""
    world.behave("network-eu-west-1", outputs={"vpc_id": "vpc-1"})
    world.engine().deploy(ids("network-eu-west-1", "data-us-east-1", "data-eu-west-1"))
    with pytest.raises(
        UpstreamMissingError,
        match=r"network-eu-west-1 \(owner team-network\) is deployed without the outputs subnet_ids",
    ):
        world.engine().deploy(ids("compute-eu-west-1"))


def test_consumers_let_go_of_a_withdrawn_output_before_its_producer_takes_it_away(world: World) -> None:
    """LAY-08: a stack that stops publishing something is applied after its consumers."""
    deployed = {"vpc_id": "vpc-1", "subnet_ids": ["s"], "public_subnet_ids": ["p"]}
    world.behave("network-eu-west-1", outputs=deployed)
    world.engine().deploy(GRAPH.order)
    before = len(world.calls("apply"))
    world.behave("network-eu-west-1")
    for consumer in ("compute-eu-west-1", "edge-eu-west-1"):
        world.behave(consumer, reads="fewer")
    report = world.engine().deploy(GRAPH.order)
    assert report.ok
    applied = world.calls("apply")[before:]
    # What is left of the outputs has other values than before, so that its reader comes again.
    assert applied == ["edge-eu-west-1", "compute-eu-west-1", "network-eu-west-1", "compute-eu-west-1"]


def test_withdrawing_and_adding_at_once_is_refused_before_anything_runs(world: World) -> None:
    """LAY-08: a consumer cannot come both before and after its producer."""
    world.behave("network-eu-west-1", outputs={"vpc_id": "vpc-1", "public_subnet_ids": ["p"]})
    world.engine().deploy(ids("network-eu-west-1", "data-us-east-1", "data-eu-west-1"))
    (world.folder / "states" / "compute-eu-west-1").write_text("null")
    before = world.calls("apply")
    with pytest.raises(UpstreamMissingError, match="network-eu-west-1 is to add subnet_ids; do it in two rollouts"):
        world.engine().deploy(GRAPH.order)
    assert world.calls("apply") == before


def test_a_stack_that_is_no_longer_configured_is_named_and_destroyed_only_when_told_so(world: World) -> None:
    """LAY-04: nothing is left behind when a capability is switched off."""
    world.engine().deploy(GRAPH.order)
    (world.folder / "states" / "relational-eu-west-1").write_text("{}")
    before = world.calls("apply")
    with pytest.raises(StrayStacksError, match=r"^relational-eu-west-1: .* tripoint rollout --retire$"):
        world.engine().deploy(GRAPH.order)
    assert world.calls("apply") == before
    assert world.engine().deploy(ids("edge-eu-west-1")).ok
    assert statuses(world.engine().diff(GRAPH.order))["relational-eu-west-1"] == "planned"
    report = world.engine().deploy(GRAPH.order, retire=True)
    assert statuses(report)["relational-eu-west-1"] == "destroyed"
    assert world.calls("destroy") == ["relational-eu-west-1"]
    folder = world.project.workspace.emptied(StackId("relational", "eu-west-1"))
    document = json.loads((folder / "cdk.tf.json").read_text())
    assert document["terraform"]["backend"]["s3"]["key"] == "relational-eu-west-1/terraform.tfstate"
    assert set(document) == {"terraform", "provider"}


def test_destroying_everything_takes_what_is_no_longer_configured_along(world: World) -> None:
    """PAY-16: consumers first, strays before everything else, and no state bucket goes before its stacks."""
    world.engine().deploy(GRAPH.order)
    (world.folder / "states" / "relational-eu-west-1").write_text("{}")
    (world.folder / "states" / "relational-us-east-1").write_text("{}")
    assert world.engine().destroy(GRAPH.order).ok
    assert set(world.calls("destroy")[:2]) == {"relational-eu-west-1", "relational-us-east-1"}
    assert list((world.folder / "states").iterdir()) == []


def test_what_builds_on_outputs_that_are_not_deployed_is_destroyed_by_its_state_alone(world: World) -> None:
    """LAY-04, PAY-16: a rollout of something new failed half way; its configuration can't be read, and need not be."""
    world.engine().deploy(GRAPH.order)
    (world.folder / "states" / "network-eu-west-1").write_text('{"vpc_id": "vpc-1"}')
    report = world.engine().destroy(GRAPH.order)
    assert report.ok, report.failed
    emptied = world.project.workspace.emptied(StackId("compute", "eu-west-1"))
    assert [path.name for path in emptied.parent.iterdir()] == ["compute-eu-west-1"]
    document = json.loads((emptied / "cdk.tf.json").read_text())
    assert document.keys() == {"terraform", "provider"}
    assert document["terraform"]["backend"]["s3"]["key"] == "compute-eu-west-1/terraform.tfstate"
    assert not world.store.buckets


def test_what_must_not_be_destroyed_is_never_destroyed_by_its_state_alone(world: World) -> None:
    """PAY-16: that it must not is said in the configuration only."""
    world.behave("compute-eu-west-1", lifecycle={"prevent_destroy": True})
    world.engine().deploy(GRAPH.order)
    (world.folder / "states" / "network-eu-west-1").write_text('{"vpc_id": "vpc-1"}')
    assert statuses(world.engine().destroy(GRAPH.order))["compute-eu-west-1"] == "failed"
    assert not world.project.workspace.emptied(StackId("compute", "eu-west-1")).exists()


def test_a_destroy_runs_in_reverse_and_leaves_nothing(world: World) -> None:
    """LAY-04, PAY-16."""
    world.engine().deploy(GRAPH.order)
    report = world.engine().destroy(GRAPH.order)
    assert set(statuses(report).values()) == {"destroyed"}
    destroyed = world.calls("destroy")
    for stack, needs in GRAPH.needs.items():
        assert all(destroyed.index(str(stack)) < destroyed.index(str(need)) for need in needs)
    assert not world.store.buckets
    assert world.flat() == {}


def cut_off(world: World, stack: StackId) -> Path:
    """Leave what a killed apply leaves; gives its notes."""
    data = world.project.workspace.data(stack)
    data.mkdir(parents=True)
    (data / "attempt.json").write_text('{"lock_id": "dead", "operation": "apply", "pid": 0, "birth": null}')
    return data / "attempt.json"


def test_a_destroy_takes_along_what_a_killed_deployment_may_have_made_without_any_state(world: World) -> None:
    """PAY-16: the first apply of a stack is cut off before its state is saved; nothing of it may stay."""
    deployed, begun = ids("network-us-east-1", "network-eu-west-1")
    world.engine().deploy([deployed])
    notes = cut_off(world, begun)
    report = world.engine().destroy(GRAPH.order)
    assert statuses(report) == {"network-us-east-1": "destroyed", "network-eu-west-1": "destroyed"}
    assert f"{begun}: an earlier apply was cut off; what it made is looked for" in world.recorder.said
    assert not notes.exists()
    assert not world.store.buckets


def test_a_destroy_looks_for_nothing_where_no_state_could_ever_be(world: World) -> None:
    """The notes of a run in a sandbox that is gone are no reason to look for anything in the new one."""
    cut_off(world, ids("network-eu-west-1")[0])
    assert world.engine().destroy(GRAPH.order).ok
    assert world.calls("destroy") == []


def test_a_failed_destroy_keeps_what_is_below_and_the_states(world: World) -> None:
    """LAY-05: a producer never goes before its consumer has gone."""
    world.engine().deploy(GRAPH.order)
    world.behave("compute-eu-west-1", error="in use")
    report = world.engine().destroy(GRAPH.order)
    found = statuses(report)
    assert found["compute-eu-west-1"] == "failed"
    assert {found[name] for name in ("network-eu-west-1", "data-eu-west-1", "data-us-east-1")} == {"blocked"}
    assert found["network-us-east-1"] == "destroyed"
    assert world.store.buckets
    world.behave("compute-eu-west-1")
    assert world.engine().destroy(GRAPH.order).ok
    assert not world.store.buckets


def test_the_states_of_production_stay_when_everything_else_goes(world: World) -> None:
    """PAY-16."""
    protection = world.project.environment.protection.model_copy(update={"production": True})
    environment = world.project.environment.model_copy(update={"protection": protection})
    world.project = replace(world.project, environment=environment)
    world.engine().deploy(GRAPH.order)
    assert world.engine().destroy(GRAPH.order).ok
    assert world.store.buckets


def test_destroying_what_others_need_is_refused_before_anything_runs(world: World) -> None:
    """LAY-05."""
    world.engine().deploy(GRAPH.order)
    with pytest.raises(DependentsDeployedError, match="compute-eu-west-1, edge-eu-west-1"):
        world.engine().destroy(ids("network-eu-west-1"))
    assert world.calls("destroy") == []


def test_with_dependents_goes_upwards_only_and_keeps_the_states(world: World) -> None:
    """LAY-05."""
    world.engine().deploy(GRAPH.order)
    report = world.engine().destroy(ids("compute-eu-west-1"), with_dependents=True)
    assert set(statuses(report)) == {"compute-eu-west-1", "edge-eu-west-1"}
    assert world.store.buckets
    assert "network-eu-west-1.vpc_id" in world.flat()


def test_a_destroy_that_is_not_confirmed_destroys_nothing(world: World) -> None:
    world.engine().deploy(GRAPH.order)

    def refuse(doomed: Sequence[StackId]) -> None:
        raise TripointError(f"no: {len(doomed)}")

    with pytest.raises(TripointError, match=f"no: {len(GRAPH.order)}"):
        world.engine().destroy(GRAPH.order, confirm=refuse)
    assert world.calls("destroy") == []


def test_a_diff_plans_what_is_not_deployed_and_what_builds_on_it(world: World) -> None:
    world.engine().deploy(ids("data-us-east-1"))
    report = world.engine().diff(ids("data-us-east-1", "data-eu-west-1", "compute-eu-west-1"))
    assert statuses(report) == {
        "data-us-east-1": "unchanged", "data-eu-west-1": "planned", "compute-eu-west-1": "planned",
    }  # fmt: skip
    assert report.stacks[1].changes.add == 2
    assert report.stacks[2].diff is not None
    assert report.stacks[2].diff.label == "planned with mock outputs of network-eu-west-1, data-eu-west-1"
    assert world.calls("apply") == ["data-us-east-1"]
    assert report.ok


def test_a_held_lock_is_reported_with_its_holder_and_the_remedy(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """LAY-06: somebody else's lock is waited for, and never broken."""
    monkeypatch.setattr(change, "LOCK_TIMEOUT_S", 0)
    [stack] = ids("network-us-east-1")
    held = StateLock(stack, "id-1", "ann@host", "OperationTypeApply", "2025-01-02T03:04:05")
    world.store.held[stack] = held
    report = world.engine().deploy([stack])
    assert report.failed[0].error == [
        "network-us-east-1: state is locked by ann@host since 2025-01-02T03:04:05 (apply, lock id id-1)",
        "if that run is dead, release it with: tripoint unlock network-us-east-1 --id id-1",
    ]
    assert world.calls("apply") == []
    assert world.store.held == {stack: held}
    del world.store.held[stack]
    assert world.engine().deploy([stack]).ok
    assert world.store.held == {}


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell without job control starts what runs in its background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_lets_what_runs_finish_and_starts_nothing_more(world: World) -> None:
    world.behave("data-us-east-1", wait=True)

    def interrupt() -> None:
        deadline = time.monotonic() + 60
        while not (world.folder / "waiting").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    report = world.engine().deploy(GRAPH.order)
    thread.join()
    found = statuses(report)
    assert report.interrupted
    assert not report.ok
    assert found["data-us-east-1"] == "applied"
    assert found["data-eu-west-1"] == "skipped"
    assert any(said.startswith("interrupted: ") for said in world.recorder.said)
    assert "data-us-east-1.key_arn" in world.flat()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_progress_names_each_phase_of_a_stack(world: World) -> None:
    world.engine().deploy(ids("network-us-east-1"))
    assert [state for _, state in world.recorder.states] == ["running", "init", "apply", "applied"]


def last_report(world: World) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads((world.project.workspace.reports / "last.json").read_text()))


@pytest.mark.parametrize(
    ("error", "interrupted", "told"),
    [(TripointError("no\n such thing"), False, "no such thing"), (StoppedCommand(), True, "interrupted")],
    ids=["fails", "is stopped"],
)
@pytest.mark.parametrize("command", ["deploy", "destroy", "diff", "drift"])
def test_a_run_that_ends_before_its_stacks_leaves_a_report(
    world: World, command: str, error: BaseException, interrupted: bool, told: str
) -> None:
    world.engine().deploy(GRAPH.order)

    def refuse(project: Project, stacks: Sequence[StackId]) -> Synthesis:
        raise error

    world.steps = replace(world.steps, synthesize=refuse)
    with pytest.raises(type(error)):
        getattr(world.engine(), command)(GRAPH.order)
    report = last_report(world)
    assert (report["command"], report["ok"], report["interrupted"]) == (command, False, interrupted)
    assert (report["error"], report["stacks"]) == ([told], [])
    assert world.recorder.said[-1].startswith("report: ")
    failure = ElementTree.parse(world.project.workspace.reports / "last.xml").find(".//failure")
    assert failure is not None
    assert failure.get("message") == told
    assert f"<pre>{told}</pre>" in (world.project.workspace.reports / "last.html").read_text()


def test_a_refusal_leaves_a_report_too(world: World) -> None:
    """LAY-05."""
    world.engine().deploy(GRAPH.order)
    with pytest.raises(DependentsDeployedError):
        world.engine().destroy(ids("network-us-east-1"))
    assert last_report(world)["error"][0].startswith("network-us-east-1")


def test_outputs_that_cannot_be_written_fail_the_run_and_hide_nothing_of_it(world: World) -> None:
    """PAY-20: the report still tells what became of the stacks."""
    world.project.workspace.outputs.mkdir()
    report = world.engine().deploy(GRAPH.order)
    assert set(statuses(report).values()) == {"applied"}
    assert not report.ok
    assert report.error[0].startswith("flat.json could not be written: ")


@pytest.mark.parametrize("fails", [True, False], ids=["after a failure", "after an apply"])
def test_a_lock_that_cannot_be_given_back_hides_no_failure_and_is_taken_over(
    world: World, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """LAY-06: the sandbox or the network went away in the middle."""
    [stack] = ids("network-us-east-1")
    world.behave(str(stack), **({"error": "AccessDenied: no"} if fails else {}))

    def unreachable(lock: StateLock) -> None:
        raise StateError("state bucket b: nobody answers")

    with monkeypatch.context() as patched:
        patched.setattr(world.store, "release", unreachable)
        report = world.engine().deploy([stack])
    [result] = report.stacks
    assert result.status == "failed"
    assert result.error == ["error: AccessDenied: no" if fails else "state bucket b: nobody answers"]
    said = f"{stack}: its lock could not be given back: state bucket b: nobody answers"
    assert (said in world.recorder.said) is fails
    world.behave(str(stack))
    assert statuses(world.engine().deploy([stack])) == {str(stack): "applied" if fails else "unchanged"}
    assert world.store.held == {}


def test_two_engines_at_once_the_second_looks_again_when_the_first_is_done(world: World) -> None:
    [stack] = ids("network-us-east-1")
    world.engine().deploy([stack])
    data = world.project.workspace.data(stack)
    reports: list[RunReport] = []
    second = threading.Thread(target=lambda: reports.append(world.engine().deploy([stack])))
    with exclusive(data, say=print, stopping=lambda: False, stop=AssertionError) as first:
        first.begin("a-lock", "apply")
        second.start()
        deadline = time.monotonic() + 60
        while not any("still works on it" in said for said in world.recorder.said) and time.monotonic() < deadline:
            time.sleep(0.01)
        first.finish()
    second.join(60)
    [result] = reports[0].stacks
    assert (result.status, result.reason[:15]) == ("up-to-date", "nothing changed")


@pytest.mark.parametrize(
    ("error", "looked_for"),
    [
        ("creating table: read tcp 127.0.0.1:1->127.0.0.1:2: connection reset by peer", True),
        ("creating table: https response error StatusCode: 503, ServiceUnavailable", True),
        ("creating table: ThrottlingException: Rate exceeded", False),
    ],
    ids=["connection lost", "an excuse", "throttled"],
)
def test_what_was_being_made_when_an_answer_was_lost_is_taken_in_and_not_made_twice(
    world: World, monkeypatch: pytest.MonkeyPatch, error: str, looked_for: bool
) -> None:
    """Without that, the second try meets its own "already exists"."""
    monkeypatch.setattr(transient, "wait_s", lambda retry: 0.0)
    [stack] = ids("network-us-east-1")
    world.behave(str(stack), error=error, times=1, being_made=True)
    report = world.engine().deploy([stack])
    assert statuses(report) == {str(stack): "applied"}
    assert len(report.stacks[0].retries) == 1
    assert world.calls("apply-with-imports") == ([str(stack)] if looked_for else [])
    taken = f"{stack}: aws_dynamodb_table.t is there (payments) and was not recorded: taken into the state"
    assert (taken in world.recorder.said) is looked_for
