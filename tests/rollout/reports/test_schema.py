"""What a run leaves is as docs/report.schema.json says, whatever it was asked for and however it ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from rollout.report import RunReport
from rollout.schedule import Status
from rollout.smoke import SmokeResult
from shared.errors import TripointError
from tests.rollout.reports.test_page_and_junit import run as hostile_run
from tests.rollout.support import GRAPH, ids
from tests.rollout.test_engine import World

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "report.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())


def problems(report: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(json.loads(json.dumps(report)))]


def deployed(world: World) -> RunReport:
    return world.engine().deploy(GRAPH.order, command="rollout")


def partly_failed(world: World) -> RunReport:
    world.behave("network-eu-west-1", error="AccessDenied: no")
    return world.engine().deploy(GRAPH.order)


def planned(world: World) -> RunReport:
    world.engine().deploy(ids("network-us-east-1"))
    world.behave("network-us-east-1", gone=1)
    return world.engine().diff(GRAPH.order)


def looked_at(world: World) -> RunReport:
    deployed(world)
    world.behave("network-us-east-1", gone=1)
    return world.engine().drift(GRAPH.order)


def destroyed(world: World) -> RunReport:
    deployed(world)
    return world.engine().destroy(GRAPH.order)


@pytest.mark.parametrize("ask", [deployed, partly_failed, planned, looked_at, destroyed])
def test_every_command_leaves_a_report_as_documented(tmp_path: Path, ask: Callable[[World], RunReport]) -> None:
    report = ask(World(tmp_path))
    assert problems(report.as_dict()) == []


def test_a_run_that_ended_before_its_stacks_leaves_one_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    deployed(world)
    with pytest.raises(TripointError):
        world.engine().destroy(ids("network-us-east-1"))
    left = json.loads((world.project.workspace.reports / "last.json").read_text())
    assert left["error"]
    assert problems(left) == []


def test_payments_stand_in_it_as_documented(tmp_path: Path) -> None:
    report = deployed(World(tmp_path))
    report.smoke = [SmokeResult("us-east-1", "eu-west-1", "pay_1", "SETTLED", 1.234).as_dict()]
    assert problems(report.as_dict()) == []


def test_every_way_in_which_a_stack_ends_is_documented() -> None:
    assert SCHEMA["$defs"]["stack"]["properties"]["status"]["enum"] == [one.value for one in Status if one.final]


@pytest.mark.parametrize("name", ["stacks", "error", "outputs"])
def test_a_report_that_lacks_something_or_has_more_is_not_as_documented(tmp_path: Path, name: str) -> None:
    found = hostile_run(tmp_path)
    del found[name]
    assert any(repr(name) in one for one in problems(found))
    assert any("surprise" in one for one in problems({**hostile_run(tmp_path), "surprise": 1}))
