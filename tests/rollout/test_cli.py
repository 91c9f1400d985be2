"""The command line: exact lines, exit codes, and that a refusal touches nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from rollout import cli
from rollout.interrupts import StoppedCommand
from rollout.project import Project
from rollout.report import RunReport
from shared.contracts import Graph
from shared.errors import TripointError
from stacks import catalogue
from tests.rollout.support import AWS_CONFIG, CONFIG, GRAPH, SPECS, files_below, write_config


class Answer:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


class Shell:
    """Runs `tripoint` in this process, in a workspace of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> Answer:
        self._monkeypatch.setattr(sys, "argv", ["tripoint", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = self._capsys.readouterr()
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    def config(self, text: str = CONFIG) -> str:
        return str(write_config(self.folder, text, port=20001))


@pytest.fixture
def tripoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.setenv("TRIPOINT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRIPOINT_OUTPUTS", str(tmp_path / "flat.json"))
    monkeypatch.delenv("TRIPOINT_CONFIG", raising=False)
    monkeypatch.setattr(catalogue, "STACKS", SPECS)
    return Shell(tmp_path, monkeypatch, capsys)


REFUSALS = [
    (CONFIG.replace("10.20.0.0/16", "10.10.16.0/20"), "10.10.0.0/16 and 10.10.16.0/20; blocks must not overlap"),
    (CONFIG.replace("10.20.0.0/16", "10.20.0.0/24"), "regions.eu-west-1.cidr = '10.20.0.0/24': must be an IPv4 block"),
    (CONFIG.replace('suffix = "t1"', 'suffix = "T1"'), "suffix = 'T1': must match"),
    (CONFIG.replace("primary = true", ""), "exactly one region must have primary = true; found none"),
    (CONFIG.replace("eu-west-1", "mars-1"), "'mars-1' is not an AWS region"),
    (CONFIG + "\n[surprise]\n", "surprise: is not a known key"),
    ("no toml", "not valid TOML"),
]


@pytest.mark.parametrize(("text", "said"), REFUSALS, ids=[said for _, said in REFUSALS])
@pytest.mark.parametrize("command", [["rollout"], ["destroy"], ["diff"]], ids=lambda command: command[0])
def test_a_wrong_configuration_is_one_line_and_touches_nothing(
    tripoint: Shell, text: str, said: str, command: Sequence[str]
) -> None:
    """PAY-01: refused before anything happens, exit code 2."""
    path = tripoint.folder / "wrong.toml"
    path.write_text(text.replace("{port}", "20001"))
    before = files_below(tripoint.folder)
    answer = tripoint(*command, "--config", str(path))
    assert answer.code == 2
    assert answer.out == ""
    assert answer.err.startswith(f"error: {path}: ")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert files_below(tripoint.folder) == before


@pytest.mark.parametrize("command", ["deploy", "diff", "destroy", "synth", "outputs"])
def test_an_unknown_layer_is_one_line(tripoint: Shell, command: str) -> None:
    config = tripoint.config()
    answer = tripoint(command, "nope", "--config", config)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "error: layer 'nope' does not exist; allowed: network, data, compute, edge, data-links, "
        "or one stack such as network-us-east-1\n"
    )
    assert files_below(tripoint.folder) == ["test.toml"]


@pytest.mark.parametrize(
    "command", [["deploy", "data"], ["diff"], ["destroy"], ["synth"], ["outputs"], ["pay"]], ids=lambda words: words[0]
)
def test_an_unknown_region_is_one_line(tripoint: Shell, command: Sequence[str]) -> None:
    config = tripoint.config()
    answer = tripoint(*command, "--region", "mars-1", "--config", config)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "error: region 'mars-1' is not in this environment; allowed: us-east-1, eu-west-1\n"
    assert files_below(tripoint.folder) == ["test.toml"]


def test_wrong_options_are_one_line_with_exit_code_2(tripoint: Shell) -> None:
    for arguments, said in (
        (["rollout", "--nope"], "No such option: --nope"),
        (["deploy"], "Missing argument"),
        (["nope"], "No such command 'nope'"),
        (["rollout", "--parallel", "many"], "Invalid value for '--parallel'"),
        (["deploy", "--plan", "plans", "--all"], "--all: not together with --plan"),
        (["deploy", "--plan", "plans", "--region", "us-east-1"], "--region us-east-1: not together with --plan"),
        (["diff", "--valid-hours", "3"], "--valid-hours 3: only together with --out"),
        (["diff", "--json-file", "."], "--json-file .: cannot be written"),
        (["drift", "--json-file", "nowhere/x.json"], "--json-file nowhere/x.json: there is no such folder"),
    ):
        answer = tripoint(*arguments)
        assert answer.code == 2
        assert answer.err.startswith("error: ")
        assert said in answer.err
        assert answer.err.count("\n") == 1


@pytest.mark.parametrize("variable", ["TRIPOINT_HOME", "TRIPOINT_OUTPUTS"])
@pytest.mark.parametrize("command", [["rollout"], ["diff"], ["synth"], ["deploy", "--plan", "."]], ids="".join)
def test_a_place_that_cannot_be_written_is_named_before_anything_runs(
    tripoint: Shell, monkeypatch: pytest.MonkeyPatch, command: list[str], variable: str
) -> None:
    config = tripoint.config()
    (tripoint.folder / "file").touch()
    monkeypatch.setenv(variable, str(tripoint.folder / "file" / "x" / "y"))
    answer = tripoint(*command, "--config", config)
    assert (answer.code, answer.out) == (2, "")
    assert f"cannot be written into: Not a directory; {variable} names another place" in answer.err


def test_an_error_of_the_system_is_one_line(tripoint: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(graph: Graph) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/disk/report.json")

    monkeypatch.setattr(cli.graphs, "as_text", full)
    answer = tripoint("graph", "--config", tripoint.config())
    assert (answer.code, answer.err) == (1, "error: [Errno 28] No space left on device: '/disk/report.json'\n")


ALONE = CONFIG[: CONFIG.index("\n[regions.eu-west-1]")]


def test_a_drill_needs_a_region_to_fail_over_to(tripoint: Shell) -> None:
    answer = tripoint("drill", "region-down", "--config", tripoint.config(ALONE))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == "error: drill: us-east-1 is the only region; allowed: two regions or more\n"


@pytest.mark.parametrize(
    ("text", "line"), [(CONFIG, "pay --region us-east-1 --read-from eu-west-1"), (ALONE, "pay --region us-east-1")]
)
def test_what_to_try_next_is_read_elsewhere_if_there_is_another_region(tripoint: Shell, text: str, line: str) -> None:
    assert cli._what_next(Project.open(Path(tripoint.config(text))))[1] == f"  tripoint {line}"


def test_a_missing_configuration_is_named(tripoint: Shell) -> None:
    answer = tripoint("graph", "--config", "/nowhere/x.toml")
    assert answer.code == 2
    assert answer.err == "error: /nowhere/x.toml: no such configuration file; see config/sandbox.toml for one\n"


def test_the_configuration_may_come_from_the_environment(tripoint: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIPOINT_CONFIG", tripoint.config())
    assert "network-eu-west-1" in tripoint("order").out
    assert "ap-southeast-1" not in tripoint("order").out


def test_the_order_and_its_reverse(tripoint: Shell) -> None:
    """LAY-04."""
    config = tripoint.config()
    up = tripoint("order", "--config", config).out.split()
    down = tripoint("order", "--destroy", "--config", config).out.split()
    assert down == up[::-1]
    assert up.index("data-us-east-1") < up.index("data-eu-west-1") < up.index("compute-eu-west-1")


def test_the_graph_as_waves_and_as_dot(tripoint: Shell) -> None:
    config = tripoint.config()
    text = tripoint("graph", "--config", config).out
    assert text.startswith("wave 1\n  network-us-east-1\n")
    assert "  data-eu-west-1  <- data-us-east-1\n" in text
    dot = tripoint("graph", "--dot", "--config", config).out
    assert dot.startswith("digraph tripoint {\n")
    assert '  "data-eu-west-1" -> "data-us-east-1";\n' in dot


def test_with_the_sandbox_stopped_nothing_is_deployed_and_nothing_starts_it(tripoint: Shell) -> None:
    config = tripoint.config()
    status = tripoint("status", "--config", config)
    assert status.code == 0
    assert status.out.startswith("sandbox stopped\n")
    assert f"0 of {len(GRAPH.order)} stacks deployed, 0 resources" in status.out
    assert tripoint("outputs", "--json", "--config", config).out == "{}\n"
    assert tripoint("sandbox", "status", "--config", config).code == 1
    pay = tripoint("pay", "--region", "eu-west-1", "--config", config)
    assert (pay.code, pay.err) == (
        1, "error: edge-eu-west-1 is not deployed, so its API has no address; run: tripoint rollout\n",
    )  # fmt: skip
    assert files_below(tripoint.folder) == ["test.toml"]


def test_destroying_a_stopped_sandbox_leaves_empty_outputs(tripoint: Shell) -> None:
    answer = tripoint("destroy", "--config", tripoint.config())
    assert answer.code == 0
    assert answer.out.startswith("the sandbox is not running: nothing is deployed\n0 outputs written to ")
    assert (tripoint.folder / "flat.json").read_text() == "{}\n"


def test_plain_output_has_no_control_characters(tripoint: Shell) -> None:
    assert tripoint("status", "--config", tripoint.config()).out.replace("\n", "").isprintable()


def test_an_account_has_no_sandbox(tripoint: Shell) -> None:
    config = tripoint.config(AWS_CONFIG)
    for command in ("up", "down", "status", "env"):
        answer = tripoint("sandbox", command, "--config", config)
        assert (answer.code, answer.err) == (
            1, "error: environment 'test' lives in an AWS account and has no sandbox\n",
        )  # fmt: skip


def test_the_environment_for_a_shell_names_the_sandbox_and_no_real_credentials(tripoint: Shell) -> None:
    out = tripoint("sandbox", "env", "--config", tripoint.config()).out
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:20001\n" in out
    assert all(line.startswith("export ") for line in out.splitlines())


def test_unlock_wants_one_stack(tripoint: Shell) -> None:
    answer = tripoint("unlock", "network", "--id", "x", "--config", tripoint.config())
    assert answer.code == 2
    assert answer.err.startswith("error: 'network' is 2 stacks; name one: network-us-east-1, network-eu-west-1")


def test_an_expected_error_shows_no_traceback_in_a_real_process(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rollout.cli", "rollout", "--config", str(tmp_path / "absent.toml")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path}/absent.toml: no such configuration file; ")
    assert done.stderr.count("\n") == 1


def test_an_error_of_several_lines_is_still_shown_as_one(tripoint: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: object) -> None:
        raise TripointError("one\n  two")

    monkeypatch.setattr(cli.Project, "open", refuse)
    answer = tripoint("order")
    assert (answer.code, answer.err) == (1, "error: one two\n")


def test_called_without_anything_it_explains_itself(tripoint: Shell) -> None:
    answer = tripoint()
    assert answer.code == 0
    for command in ("rollout", "deploy", "diff", "destroy", "synth", "outputs", "status", "graph", "sandbox", "pay"):
        assert command in answer.out


def test_a_command_that_is_stopped_says_so(tripoint: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(config: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(cli.Project, "open", stop)
    answer = tripoint("status")
    assert (answer.code, answer.err) == (130, "error: interrupted\n")


def test_payments_that_nobody_can_make_are_refused_before_anything_is_deployed(tripoint: Shell) -> None:
    answer = tripoint("rollout", "--smoke", "--config", tripoint.config())
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("error: smoke payments need a merchant")


@pytest.mark.parametrize(("error", "code"), [(TripointError("no api_url"), 1), (StoppedCommand(), 130)])
def test_a_rollout_whose_payments_cannot_be_sent_leaves_its_report(
    tripoint: Shell, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def deploy(self: object, stacks: object, **options: object) -> RunReport:
        return RunReport("rollout", "test", "t1", "c.toml", {"account_id": "0"}, 1)

    def pay(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr(cli.Engine, "deploy", deploy)
    monkeypatch.setattr(cli, "run_smoke", pay)
    answer = tripoint("rollout", "--smoke", "--config", tripoint.config(f"{CONFIG}\n[merchants.m-1]\n"))
    report = json.loads((tripoint.folder / "home" / "t1" / "reports" / "last.json").read_text())
    assert (answer.code, report["ok"], report["interrupted"]) == (code, False, code == 130)
    assert report["error"] == (["smoke: no api_url"] if code == 1 else [])


def test_what_was_deployed_in_a_sandbox_that_died_is_said_to_be_gone(
    tripoint: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(project: Project) -> None:
        raise TripointError("not in this test")

    monkeypatch.setattr(Project, "start_sandbox", start)
    config = tripoint.config()
    assert "ended" not in tripoint("deploy", "network", "--config", config).out
    record = tripoint.folder / "home" / "t1" / "sandbox" / "sandbox.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"pid": 2**22 + 1, "endpoint": "http://127.0.0.1:20001", "birth": 1}))
    said = "the sandbox had ended without being stopped: what was deployed is gone, it starts empty"
    assert said in tripoint("deploy", "network", "--config", config).out.splitlines()
