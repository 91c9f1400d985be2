"""The benchmarks' own decisions: what they run, what they count, and what they write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rollout.benchmarks import cdktf_cli, chart, measure, page, peers
from rollout.benchmarks.cdktf_cli import install
from rollout.benchmarks.manifest import DEPLOYED
from rollout.benchmarks.measure import BenchmarkError, Cost, timed
from rollout.benchmarks.places import REGIONS, RETENTION, Place, configuration
from rollout.benchmarks.results import Results, Task
from rollout.benchmarks.ways import CdktfCli, Ours, ShellLoop
from rollout.project import DEFAULT_CONFIG, Project
from rollout.workspace import Workspace
from shared.config import load
from shared.errors import UsageError
from stacks.catalogue import graph_of
from tests.rollout.support import write_script

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / DEFAULT_CONFIG).read_text()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    config = tmp_path / "config.toml"
    config.write_text(configuration(TEXT, 3, 20002))
    workspace = Workspace(ROOT, tmp_path / "home", "bench", tmp_path / "flat.json")
    project = replace(Project.open(config), workspace=workspace)
    return Place(tmp_path, config, tmp_path / "changed.toml", project, {"PATH": os.environ["PATH"]})


def cost(wall_s: float, cpu_s: float = 1.0) -> Cost:
    return Cost(wall_s, cpu_s, 0.5, 1.5)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    results = Results.open(tmp_path / "results.json")
    for way, seconds in (("tripoint", 100.0), ("shell loop", 210.0), ("cdktf CLI", 450.0)):
        for task, share in ((Task.ROLLOUT, 1.0), (Task.LAYER, 0.5), (Task.NOTHING, 0.25)):
            results.add(cost(seconds * share, 40), part="peers", way=way, task=task, regions=3, stacks=24)
    for regions in (2, 6):
        for task in (Task.SYNTHESIS, Task.ROLLOUT, Task.NOTHING):
            results.add(
                cost(50.0 + 25 * regions, 10.0 * regions),
                part="growth", way="tripoint", task=task, regions=regions, stacks=8 * regions,
            )  # fmt: skip
    return results


@pytest.mark.parametrize("regions", [1, 3, 6, 9])
def test_it_measures_the_default_configuration_with_other_regions(tmp_path: Path, regions: int) -> None:
    path = tmp_path / "config.toml"
    path.write_text(configuration(TEXT, regions, 20002))
    environment = load(path)
    assert tuple(environment.regions) == REGIONS[:regions]
    assert environment.primary == REGIONS[0]
    assert environment.target.endpoint == "http://127.0.0.1:20002"
    ours, default = tomllib.loads(path.read_text()), tomllib.loads(TEXT)
    for key in ("regions", "suffix"):
        del ours[key], default[key]
    del ours["target"]["endpoint"], default["target"]["endpoint"]
    assert ours == default
    assert TEXT.count(RETENTION) == 1


@pytest.mark.parametrize("regions", [-1, 0, 10])
def test_a_number_of_regions_that_cannot_be_is_refused(regions: int) -> None:
    with pytest.raises(UsageError, match=rf"^regions is {regions}; allowed: 1 to 9$"):
        configuration(TEXT, regions, 20002)


def test_the_shell_loop_applies_every_stack_after_what_it_needs(place: Place) -> None:
    ShellLoop().command(place, place.config, [])
    script = (place.folder / "loop.sh").read_text()
    waves = [line.split("'%s\\n' ")[1].split(" | ")[0].split() for line in script.splitlines() if "xargs" in line]
    done: set[str] = set()
    for wave in waves:
        for stack in place.project.graph.order:
            if str(stack) in wave:
                assert {str(need) for need in place.project.graph.needs[stack]} <= done
        done.update(wave)
    assert done == {str(stack) for stack in place.project.graph.order}


def test_the_shell_loop_runs_a_waves_stacks_at_once_and_stops_at_a_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a fair peer: nothing waits without need; and one that fails is not a measurement."""
    body = """
import os, pathlib, sys, time
world = pathlib.Path(os.environ["WORLD"])
stack = pathlib.Path.cwd().name
(world / f"{sys.argv[1]}-{stack}").touch()
if sys.argv[1] == "init":
    deadline = time.monotonic() + 60
    while len(list(world.glob("init-network-*"))) < 3 and stack.startswith("network") and time.monotonic() < deadline:
        time.sleep(0.01)
    sys.exit(0 if len(list(world.glob("init-network-*"))) == 3 else 1)
sys.exit(1 if stack == "data-us-east-1" else 0)
"""
    terraform = write_script(place.folder / "bin" / "terraform", body)
    world = place.folder / "world"
    world.mkdir()
    loop = ShellLoop()
    [command] = loop.command(place, place.config, [])
    script = Path(command[1])
    lines = script.read_text().splitlines()
    found = lines[2].split("&& ")[1].split(" init")[0]
    script.write_text("\n".join([lines[0], *lines[2:]]).replace(found, str(terraform)))
    for stack in place.project.graph.order:
        (place.folder / "loop" / "stacks" / str(stack)).mkdir(parents=True)
    variables = {**os.environ, "WORLD": str(world), "CDKTF_OUTDIR": str(place.folder / "loop")}
    done = subprocess.run(command, env=variables, check=False, capture_output=True)
    assert done.returncode != 0
    assert {path.name for path in world.glob("apply-*")} >= {f"apply-network-{region}" for region in REGIONS[:3]}
    assert not list(world.glob("*-compute-*"))


@pytest.mark.parametrize("layers", [[], ["data"]])
def test_the_cli_is_told_which_stack_needs_which(place: Place, tmp_path: Path, layers: list[str]) -> None:
    """Of what it deploys: the CLI wants nothing named that it isn't to deploy."""
    deployed = [str(stack) for stack in place.stacks(layers)]
    out = tmp_path / "out"
    out.mkdir()
    names = [str(stack) for stack in place.project.graph.order]
    (out / "manifest.json").write_text(json.dumps({"stacks": {name: {"dependencies": []} for name in names}}))
    subprocess.run(
        [sys.executable, "-m", "rollout.benchmarks.manifest"],
        cwd=ROOT,
        env={
            **os.environ,
            "CDKTF_OUTDIR": str(out),
            "TRIPOINT_CONFIG": str(place.config),
            DEPLOYED: ",".join(deployed),
        },
        check=True,
    )
    manifest = json.loads((out / "manifest.json").read_text())["stacks"]
    for stack, needs in graph_of(place.project.environment).needs.items():
        assert manifest[str(stack)]["dependencies"] == [str(need) for need in needs if str(need) in deployed]


def test_the_cli_deploys_all_stacks_or_those_of_a_layer(place: Place) -> None:
    way = CdktfCli(Path("/cdktf"))
    [everything] = way.command(place, place.config, [])
    assert everything[:3] == ["/cdktf", "deploy", "*"]
    assert "--skip-provider-lock" in everything
    [layer] = way.command(place, place.config, ["data"])
    assert layer[2:8] == [str(stack) for stack in place.stacks(["data"])]
    assert "--ignore-missing-stack-dependencies" not in layer
    variables = way.variables(place, place.config, ["data"])
    assert "TRIPOINT_STACKS" not in variables
    assert variables[DEPLOYED].split(",") == layer[2:8]


def test_ours_runs_with_its_defaults(place: Place) -> None:
    assert Ours().command(place, place.config, [])[0][3:] == ["rollout", "--config", str(place.config)]
    assert Ours(3).command(place, place.config, [])[0][-2:] == ["--parallel", "3"]
    assert [command[3:5] for command in Ours().command(place, place.config, ["network", "data"])] == [
        ["deploy", "network"],
        ["deploy", "data"],
    ]


def test_the_cost_counts_the_processes_that_a_command_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure.os, "getloadavg", lambda: (1.5, 9.0, 9.0))  # an idle machine has none
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    found = timed([sys.executable, "-c", code], cwd=tmp_path, variables=os.environ, log=tmp_path / "log")
    assert found.cpu_s >= 0.3
    assert found.wall_s >= 0.3
    assert (found.load_before, found.load_mean) == (1.5, 1.5)


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"ended with 3: out of disk \(log: .*log\)$"):
        timed(["sh", "-c", "echo out of disk; exit 3"], cwd=tmp_path, variables=os.environ, log=tmp_path / "log")


def test_without_npm_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cdktf_cli, "project_root", lambda: tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BenchmarkError, match=r"^npm is not on PATH.*--ways tripoint shell-loop$"):
        install()
    npm = write_script(tmp_path / "npm", "import sys\nsys.exit('npm error network: no route')")
    assert npm.exists()
    with pytest.raises(BenchmarkError, match=r"--ways tripoint shell-loop; npm said: npm error network: no route$"):
        install()


def test_measurements_are_kept_and_read_again(results: Results) -> None:
    again = Results.open(results.path)
    assert again == results
    again.forget("peers")
    assert {figure.part for figure in again.figures} == {"growth"}


def test_the_page_has_the_figures_and_their_ratios(results: Results) -> None:
    text = page.render(results)
    rows = {line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in text.splitlines()
            if line.startswith("| ")}  # fmt: skip
    assert rows["full rollout, wall s"] == ["100.0", "210.0", "450.0", "2.1", "4.5"]
    assert rows["nothing to do, wall s"] == ["25.0", "52.5", "112.5", "2.1", "4.5"]
    assert rows["full rollout, load"][0] == "0.5 / 1.5"
    assert rows["6"][:2] == ["48", "200.0"]
    assert "From 2 to 6 regions, 3 times as many" in text
    assert "full rollout 2.0 (CPU 3.0)" in text


def test_the_page_is_written_between_its_marks_only(tmp_path: Path, results: Results) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / page.PAGE).write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(tmp_path, results)
    written = (tmp_path / page.PAGE).read_text()
    assert written.startswith(f"before\n{page.BEGIN}\n")
    assert written.endswith(f"{page.END}\nafter\n")
    assert "old" not in written
    (tmp_path / page.PAGE).write_text("no marks")
    with pytest.raises(BenchmarkError, match="must hold one block"):
        page.write(tmp_path, results)


def test_the_project_page_has_the_marks() -> None:
    text = (ROOT / page.PAGE).read_text()
    assert text.count(page.BEGIN) == text.count(page.END) == 1


def test_the_chart_is_a_picture_with_every_figure(results: Results) -> None:
    picture = ElementTree.fromstring(chart.render(results))
    texts = [element.text for element in picture.iter() if element.tag.endswith("text")]
    for value in ("100", "210", "450", "200", "linear from the first rollout"):
        assert value in texts
    boxes = [element for element in picture.iter() if element.tag.endswith("rect")]
    assert all(float(box.get("x", "0")) + float(box.get("width", "0")) <= chart.WIDTH for box in boxes)


def test_without_measurements_there_is_nothing_to_compare(tmp_path: Path) -> None:
    empty = Results.open(tmp_path / "none.json")
    assert "Against peers" not in page.render(empty)
    ElementTree.fromstring(chart.render(empty))


def test_the_changed_layer_is_one_that_log_retention_changes() -> None:
    assert any("log_group" in path.read_text() or "logs" in path.read_text()
               for path in (ROOT / "stacks" / peers.CHANGED_LAYER).glob("*.py"))  # fmt: skip
