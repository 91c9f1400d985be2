"""The runner of one stack: what it runs, and how it takes success, failure and interrupts."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from rollout.children import Children, InterruptedRunError
from rollout.recovery.journal import creations
from rollout.terraform import (
    Changes,
    StackTerraform,
    TerraformError,
    Transcript,
    aws_provider_version,
    describe,
    without_hashes,
)
from rollout.toolchain import Tool, find_tool
from tests.rollout.support import write_script

ROOT = Path(__file__).parents[2]

# Stands in for the binary: writes down its arguments and says what the test laid out for the phase.
FAKE = """
import json, os, pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
phase = sys.argv[1]
with open(here / "calls", "a") as calls:
    print(json.dumps([sys.argv[1:], os.environ.get("TF_DATA_DIR"), os.environ.get("TF_CLI_ARGS_apply")]), file=calls)
if phase == "init":
    lock = 'provider "x" {\\n  version = "1"\\n  hashes = [\\n    "h1:a",\\n  ]\\n}\\n'
    pathlib.Path(".terraform.lock.hcl").write_text(lock)
script = here / f"{phase}.json"
nothing = {"@message": "", "type": "change_summary", "changes": {"operation": phase}}
plan = json.loads(script.read_text()) if script.exists() else {"lines": [nothing]}
if plan.get("wait"):
    signal.signal(signal.SIGINT, lambda *_: (print("stopping", flush=True), sys.exit(1)))
    (here / "waiting").touch()
    time.sleep(60)
if plan.get("once"):
    script.unlink()
for line in plan.get("lines", []):
    print(line if isinstance(line, str) else json.dumps(line), flush=True)
sys.exit(plan.get("code", 0))
"""


def message(kind: str, **rest: Any) -> dict[str, Any]:
    return {"@message": kind, "@level": "info", "type": kind, **rest}


def summary(operation: str, add: int = 0, change: int = 0, remove: int = 0) -> dict[str, Any]:
    return message("change_summary", changes={"operation": operation, "add": add, "change": change, "remove": remove})


def failure(text: str, detail: str = "") -> dict[str, Any]:
    return message("diagnostic", diagnostic={"severity": "error", "summary": text, "detail": detail})


class Fake:
    """A stack with a fake Terraform."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.directory = folder / "stack"
        self.directory.mkdir()
        self.backend = {"key": "one"}
        self.children = Children()
        self.log = folder / "logs" / "stack.log"
        self.data = folder / "data"
        self.tool = Tool("terraform", (str(write_script(self.bin / "terraform", FAKE)),), "1.11.4")

    def says(self, phase: str, *lines: Any, **plan: Any) -> None:
        (self.bin / f"{phase}.json").write_text(json.dumps({"lines": lines, **plan}))

    def calls(self) -> list[list[Any]]:
        calls = self.bin / "calls"
        return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []

    def phases(self) -> list[str]:
        return [call[0][0] for call in self.calls()]

    def terraform(self, **options: Any) -> StackTerraform:
        terraform = {"terraform": {"backend": {"s3": self.backend}}}
        (self.directory / "cdk.tf.json").write_text(json.dumps(terraform))
        return StackTerraform(
            tool=self.tool,
            children=self.children,
            directory=self.directory,
            data=self.data,
            log=self.log,
            environment={"PATH": "/usr/bin:/bin", "TF_CLI_ARGS_apply": "-destroy"},
            **options,
        )


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    return Fake(tmp_path)


def test_an_apply_reports_what_it_did(fake: Fake) -> None:
    fake.says("apply", summary("plan", add=2), summary("apply", add=2, remove=1))
    assert fake.terraform().apply() == Changes(add=2, remove=1)


ODD = [
    message("diagnostic"), message("diagnostic", diagnostic="text"), message("planned_change", change={}),
    message("apply_start", hook=5), message("outputs", outputs={"a": 1}), {"@message": 7},
    message("change_summary", changes={"operation": "apply", "add": "many"}),
    [1], "[" * 100_000, "null", "\x00\x1b[31m",
]  # fmt: skip


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: json.dumps(odd)[:60])
def test_what_is_no_message_of_terraforms_is_text_and_breaks_nothing(fake: Fake, odd: Any) -> None:
    """Neither this run nor, in what a run left that was cut off, the next one."""
    fake.says("apply", odd, summary("plan", add=1), summary("apply", add=1))
    assert fake.terraform().apply() == Changes(add=1)
    assert creations([odd if isinstance(odd, str) else json.dumps(odd)]) == {}


@pytest.mark.parametrize("phase", ["plan", "apply", "destroy"])
def test_a_terraform_that_says_nothing_has_not_succeeded(fake: Fake, phase: str) -> None:
    fake.says(phase, "some text")
    with pytest.raises(TerraformError) as failed:
        getattr(fake.terraform(), phase)()
    assert failed.value.lines == [
        f"terraform {phase} ended with exit code 0 and did not say what came of it",
        "some text",
    ]
    assert failed.value.cut_off is (phase != "plan")


def test_a_failure_without_words_has_at_least_its_exit_code(fake: Fake) -> None:
    fake.says("init", code=3)
    with pytest.raises(TerraformError) as failed:
        fake.terraform().init()
    assert failed.value.lines == ["terraform init ended with exit code 3 and said nothing"]


def test_of_a_flood_only_so_much_gets_into_a_report(fake: Fake) -> None:
    fake.says("apply", "Error: " + "x" * 3_000_000, *("line" for _ in range(5_000)), code=1)
    with pytest.raises(TerraformError) as failed:
        fake.terraform().apply()
    assert (len(failed.value.lines), len(failed.value.lines[0])) == (200, 2_000)
    assert fake.log.stat().st_size > 3_000_000


def test_an_apply_without_changes_is_none_but_changed_outputs_count(fake: Fake) -> None:
    fake.says("apply", summary("plan"), message("outputs", outputs={"a": {"action": "noop"}}), summary("apply"))
    assert fake.terraform().apply().none
    fake.says("apply", summary("plan"), message("outputs", outputs={"a": {"action": "update"}}), summary("apply"))
    changes = fake.terraform().apply()
    assert (changes.none, changes.outputs) == (False, 1)


def test_apply_asks_nothing_waits_for_locks_and_takes_no_arguments_of_the_users(fake: Fake) -> None:
    fake.terraform().apply()
    [[arguments, data, extra]] = fake.calls()
    assert {"-auto-approve", "-input=false", "-lock-timeout=60s", "-json"} <= set(arguments)
    assert data == str(fake.data)
    assert extra is None


def test_a_plan_takes_no_lock(fake: Fake) -> None:
    fake.says("plan", summary("plan", change=3))
    assert fake.terraform().plan().change == 3
    assert "-lock=false" in fake.calls()[0][0]


def test_a_failure_carries_terraforms_own_words(fake: Fake) -> None:
    fake.says("apply", message("version"), failure("creating queue", "AccessDenied: no\n\nat all"), code=1)
    with pytest.raises(TerraformError) as caught:
        fake.terraform().apply()
    assert caught.value.lines == ["error: creating queue", "  AccessDenied: no", "  at all"]
    assert str(caught.value) == "terraform apply failed: error: creating queue"
    assert "creating queue" in fake.log.read_text()
    assert "exit code 1" in fake.log.read_text()


def test_a_failure_in_plain_text_shows_the_error_not_the_chatter(fake: Fake) -> None:
    fake.says("init", "Initializing the backend...", "╷", "│ Error: no such bucket", "│ ", "│ It is gone.", "╵", code=1)
    with pytest.raises(TerraformError) as caught:
        fake.terraform().init()
    assert caught.value.lines == ["Error: no such bucket", "It is gone."]


def test_a_held_lock_is_recognised(fake: Fake) -> None:
    fake.says("apply", failure("Error acquiring the state lock", "held"), code=1)
    with pytest.raises(TerraformError) as caught:
        fake.terraform().apply()
    assert caught.value.locked


def test_a_killed_terraform_is_named_as_such_and_may_have_left_its_lock(fake: Fake) -> None:
    script = write_script(fake.bin / "dies", "import os\nos.kill(os.getpid(), 9)\n")
    fake.tool = Tool("terraform", (str(script),), "1.11.4")
    with pytest.raises(TerraformError) as caught:
        fake.terraform().apply()
    assert caught.value.lines == ["terraform apply was killed by signal 9"]
    assert caught.value.locked


def test_terraform_survives_the_death_of_the_engine(tmp_path: Path) -> None:
    """LAY-06: it goes on writing its output and ends by itself, with its lock released."""
    done = tmp_path / "done"
    loop = "import time\nfor _ in range(50):\n    print('x' * 5000, flush=True)\n    time.sleep(0.01)\n"
    body = f"{loop}open({str(done)!r}, 'w')\n"
    script = write_script(tmp_path / "terraform", body)
    engine = (
        "import sys, pathlib\n"
        "from rollout.children import Children\n"
        f"with Children().process([{str(script)!r}], cwd=pathlib.Path('.'), env={{}}) as child:\n"
        "    print(next(child.lines())[:1], flush=True)\n"
        "    import os; os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", engine], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (-9, "x\n")
    deadline = time.monotonic() + 60
    while not done.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert done.exists()


def test_init_runs_again_only_when_something_it_depends_on_changes(fake: Fake) -> None:
    assert fake.terraform(plugins="a").init()
    assert not fake.terraform(plugins="a").init()
    assert fake.terraform(plugins="b").init()
    fake.backend = {"key": "two"}
    assert fake.terraform(plugins="b").init()
    assert fake.phases() == ["init"] * 3


def test_a_skipped_init_brings_the_lock_file_back_after_a_synthesis(fake: Fake) -> None:
    fake.terraform().init()
    lock = fake.directory / ".terraform.lock.hcl"
    before = lock.read_text()
    shutil.rmtree(fake.directory)
    fake.directory.mkdir()
    assert not fake.terraform().init()
    assert lock.read_text() == before


def test_a_failed_init_is_not_remembered(fake: Fake) -> None:
    fake.says("init", code=1)
    with pytest.raises(TerraformError):
        fake.terraform().init()
    fake.says("init")
    assert fake.terraform().init()


def test_hashes_are_kept_unless_the_provider_is_trusted(fake: Fake) -> None:
    fake.terraform(plugins="a").init()
    assert "h1:a" in (fake.directory / ".terraform.lock.hcl").read_text()
    fake.terraform(plugins="b", trust_provider=True).init()
    assert (fake.directory / ".terraform.lock.hcl").read_text() == 'provider "x" {\n  version = "1"\n}\n'


def test_when_terraform_wants_init_again_it_gets_it(fake: Fake) -> None:
    fake.says("apply", failure("Backend initialization required"), code=1, once=True)
    fake.terraform().init()
    assert fake.terraform().apply().none
    assert fake.phases() == ["init", "apply", "init", "apply"]


def test_an_interrupt_reaches_a_running_terraform_once_and_nothing_starts_after_it(fake: Fake) -> None:
    fake.says("apply", wait=True)
    errors: list[Exception] = []

    def apply() -> None:
        try:
            fake.terraform().apply()
        except TerraformError as error:
            errors.append(error)

    thread = threading.Thread(target=apply)
    thread.start()
    deadline = time.monotonic() + 60
    while not (fake.bin / "waiting").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert fake.children.interrupt() == 1
    assert fake.children.interrupt() == 0
    thread.join(30)  # left alone it would take twice as long
    assert errors
    assert fake.log.read_text().count("stopping") == 1
    with pytest.raises(InterruptedRunError):
        fake.terraform().plan()
    assert fake.phases() == ["apply"]


def test_progress_counts_resources_not_data_sources() -> None:
    transcript = Transcript()
    for said in (
        message("planned_change", change={"action": "create", "resource": {"addr": "a.b"}}),
        message("planned_change", change={"action": "replace", "resource": {"addr": "a.c"}}),
        message("apply_start", hook={"resource": {"addr": "a.b"}, "action": "create"}),
        message("apply_complete", hook={"resource": {"addr": "data.x.y"}, "action": "read"}),
        message("apply_complete", hook={"resource": {"addr": "a.b"}, "action": "create"}),
        summary("plan", add=2, remove=1),
    ):
        transcript.read(json.dumps(said))
    assert (transcript.done, transcript.planned, transcript.current) == (1, 3, "a.b")
    assert transcript.plan == Changes(add=2, remove=1, replaced=("a.c",))


def test_output_that_is_no_json_is_kept_as_text() -> None:
    transcript = Transcript()
    assert transcript.read("panic: out of memory\n") == "panic: out of memory"
    assert transcript.why() == ["panic: out of memory"]


def test_a_diagnostic_names_the_resource() -> None:
    assert describe({"severity": "error", "summary": "no", "detail": "", "address": "aws_kms_key.k"}) == [
        "error: no (aws_kms_key.k)"
    ]


def test_the_provider_version_comes_from_the_synthesized_stacks(tmp_path: Path) -> None:
    settings = {"terraform": {"required_providers": {"aws": {"source": "aws", "version": "5.100.0"}}}}
    (tmp_path / "cdk.tf.json").write_text(json.dumps(settings))
    assert aws_provider_version([tmp_path / "absent", tmp_path]) == "5.100.0"
    assert aws_provider_version([tmp_path / "absent"]) is None


def test_hashes_of_several_providers_are_dropped() -> None:
    one = 'provider "a" {\n  version = "1"\n  hashes = [\n    "h1:x",\n    "zh:y",\n  ]\n}\n'
    assert without_hashes(one * 2) == 'provider "a" {\n  version = "1"\n}\n' * 2


def test_a_real_terraform_applies_changes_nothing_twice_and_destroys(tmp_path: Path) -> None:
    """LAY-03: with the Terraform of this machine and a resource that needs no provider."""
    directory = tmp_path / "stack"
    directory.mkdir()
    body = {
        "terraform": {"backend": {"local": {"path": str(tmp_path / "state.json")}}},
        "resource": {"terraform_data": {"one": {"input": "x"}}},
        "output": {"id": {"value": "${terraform_data.one.id}"}},
    }
    (directory / "cdk.tf.json").write_text(json.dumps(body))
    (tmp_path / "cli").write_text("")
    terraform = StackTerraform(
        tool=find_tool(),
        children=Children(),
        directory=directory,
        data=tmp_path / "data",
        log=tmp_path / "log",
        environment={"TF_CLI_CONFIG_FILE": str(tmp_path / "cli"), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert terraform.init()
    assert not terraform.init()
    plan = tmp_path / "plan"
    assert terraform.plan(out=plan) == Changes(add=1, outputs=1)
    assert "terraform_data.one will be created" in terraform.show(plan)
    seen: list[int] = []
    assert terraform.apply(lambda transcript: seen.append(transcript.done)) == Changes(add=1, outputs=1)
    assert seen[-1] == 1
    assert terraform.apply() == Changes()
    assert terraform.destroy() == Changes(remove=1, outputs=1)
    assert json.loads((tmp_path / "state.json").read_text())["resources"] == []
