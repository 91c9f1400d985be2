"""Provider servers: one per stack, none shared, none left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from rollout import providers
from rollout.children import Children
from rollout.engine import Steps
from rollout.engine.run import Run
from rollout.project import Project
from rollout.providers import VARIABLE, ProviderServer, ProviderServerError, ProviderServers, can_serve
from rollout.sandbox.processes import alive
from rollout.schedule import Status
from rollout.state import StateStore
from rollout.synthesis import Synthesis
from rollout.target import Target
from rollout.terraform import StackTerraform, TerraformError
from rollout.toolchain import MIRROR_VARIABLE, Tool, os_arch
from rollout.toolchain import PROVIDER as PROVIDER_NAME
from rollout.workspace import Workspace
from shared.config import load
from shared.contracts import StackId
from tests.rollout.support import AWS_CONFIG, CONFIG, GRAPH, SPECS, Recorder, write_config, write_script

ROOT = Path(__file__).parents[2]
REGISTRY = "registry.terraform.io"

# Announces itself as terraform-plugin-go does, and stays.
PROVIDER = """
import json, os, pathlib, sys, time
assert sys.argv[1:] == ["-debug"]
with open(pathlib.Path(__file__).parent / "pids", "a") as pids:
    print(os.getpid(), file=pids)
(pathlib.Path(__file__).parent / "cwd").write_text(os.getcwd())
socket = os.environ["TMPDIR"] + "/plugin1"
pathlib.Path(socket).touch()
found = {"Protocol": "grpc", "ProtocolVersion": 5, "Pid": os.getpid(), "Test": True}
found["Addr"] = {"Network": "unix", "String": socket}
print("Provider started. To attach Terraform CLI, set the TF_REATTACH_PROVIDERS environment variable:\\n")
print("\\tTF_REATTACH_PROVIDERS='" + json.dumps({"registry.terraform.io/hashicorp/aws": found}) + "'", flush=True)
time.sleep(60)
"""

# Writes down which provider it would use; a phase that the test names in a file is killed.
TERRAFORM = """
import json, os, pathlib, signal, sys
here = pathlib.Path(__file__).parent
found = json.loads(os.environ.get("TF_REATTACH_PROVIDERS", "{}"))
pids = [server["Pid"] for server in found.values()]
for pid in pids:
    os.kill(pid, 0)
with open(here / "calls", "a") as calls:
    print(json.dumps([pathlib.Path.cwd().name, sys.argv[1], list(found), pids]), file=calls)
if (here / f"kill-{sys.argv[1]}").exists():
    (here / f"kill-{sys.argv[1]}").unlink()
    os.kill(os.getpid(), signal.SIGKILL)
print(json.dumps({"@message": "", "type": "change_summary", "changes": {"operation": sys.argv[1]}}))
"""


@pytest.fixture
def executable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    return write_script(tmp_path / "provider", PROVIDER)


@pytest.fixture
def server(tmp_path: Path, executable: Path) -> Iterator[ProviderServer]:
    server = ProviderServer(executable, REGISTRY, stack_folder(tmp_path / "stack"), dict(os.environ))
    yield server
    server.stop()


def stack_folder(folder: Path, **provider: Any) -> Path:
    folder.mkdir(parents=True)
    content = {"provider": provider or {"aws": [{"region": "eu-west-1"}]}, "terraform": {"backend": {"s3": {}}}}
    (folder / "cdk.tf.json").write_text(json.dumps(content))
    return folder


def pid_of(server: ProviderServer) -> int:
    [found] = json.loads(server.attach().variables[VARIABLE]).values()
    return int(found["Pid"])


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "tmp").iterdir() if path.name.startswith("tripoint-")]


def terraform(tmp_path: Path, directory: Path, server: ProviderServer | None) -> StackTerraform:
    return StackTerraform(
        tool=Tool("terraform", (str(write_script(tmp_path / "terraform", TERRAFORM)),), "1.11.4"),
        children=Children(),
        directory=directory,
        data=tmp_path / "data" / directory.name,
        log=tmp_path / f"{directory.name}.log",
        environment=dict(os.environ),
        server=server,
    )


def calls(tmp_path: Path) -> list[tuple[str, str, list[str], list[int]]]:
    return [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]


def test_two_stacks_never_share_a_server(tmp_path: Path, executable: Path) -> None:
    """A server's configuration is whoever configured it last: all commands on a stack get one server, no two stacks
    get the same, and it ends with the work on its stack."""
    servers = ProviderServers(executable, REGISTRY)
    directories = [stack_folder(tmp_path / "stacks" / name) for name in ("data-eu-west-1", "data-us-east-1")]
    # At the same time, in turn: the second stack's commands come between those of the first.
    names = {directory.name: directory for directory in directories}
    environment = dict(os.environ)
    runs = [terraform(tmp_path, names[name], servers.of(name, names[name], environment)) for name in names]
    for run in runs:
        run.init()
    for run in runs:
        run.apply()
    for directory in directories:
        servers.stop(directory.name)
    found = calls(tmp_path)
    assert [(stack, phase) for stack, phase, _, _ in found] == [
        ("data-eu-west-1", "init"),
        ("data-us-east-1", "init"),
        ("data-eu-west-1", "apply"),
        ("data-us-east-1", "apply"),
    ]
    assert {address for _, _, addresses, _ in found for address in addresses} == {"registry.terraform.io/hashicorp/aws"}
    used = {name: {pid for stack, _, _, pids in found if stack == name for pid in pids} for name, *_ in found}
    assert all(len(pids) == 1 for pids in used.values())
    assert len(set.union(*used.values())) == 2
    assert not any(alive(pid) for pids in used.values() for pid in pids)
    assert left(tmp_path) == []


def test_a_later_run_on_the_same_stack_gets_a_server_of_its_own(tmp_path: Path, executable: Path) -> None:
    servers = ProviderServers(executable, REGISTRY)
    directory = stack_folder(tmp_path / "stacks" / "data-eu-west-1")
    pids = []
    for _ in range(2):
        found = servers.of(directory.name, directory, dict(os.environ))
        assert found is not None
        assert found is servers.of(directory.name, directory, {})
        pids.append(pid_of(found))
        servers.stop(directory.name)
    assert pids[0] != pids[1]
    assert not any(map(alive, pids))


@pytest.mark.parametrize(
    "provider",
    [
        {"aws": [{"region": "eu-west-1"}, {"region": "us-east-1", "alias": "global"}]},
        {"aws": [{"region": "us-east-1", "alias": "global"}]},
        {"aws": [{"region": "eu-west-1"}], "random": [{}]},
        {"random": [{}]},
    ],
)
def test_stacks_that_configure_providers_differently_get_no_server(
    tmp_path: Path, executable: Path, provider: dict[str, Any]
) -> None:
    """Two configurations in one server would be whichever came last."""
    directory = stack_folder(tmp_path / "stack", **provider)
    assert ProviderServers(executable, REGISTRY).of("data-eu-west-1", directory, {}) is None


def test_a_stack_with_modules_gets_no_server(tmp_path: Path) -> None:
    directory = stack_folder(tmp_path / "stack")
    assert can_serve(directory)
    (directory / "more.tf.json").write_text(json.dumps({"module": {"vpc": {"source": "./vpc"}}}))
    assert not can_serve(directory)


def test_without_a_provider_there_are_no_servers(tmp_path: Path) -> None:
    assert ProviderServers(None, REGISTRY).of("data-eu-west-1", stack_folder(tmp_path / "stack"), {}) is None


def test_it_starts_when_needed_and_leaves_nothing(tmp_path: Path, server: ProviderServer) -> None:
    assert left(tmp_path) == []
    pid = pid_of(server)
    assert pid_of(server) == pid
    [folder] = left(tmp_path)
    assert (tmp_path / "tmp" / folder).stat().st_mode & 0o777 == 0o700
    server.stop()
    assert not alive(pid)
    assert left(tmp_path) == []


def test_it_runs_in_the_stacks_folder(tmp_path: Path, server: ProviderServer) -> None:
    """The provider itself opens the zips that a stack names by relative paths."""
    server.attach()
    assert (tmp_path / "cwd").read_text() == str(tmp_path / "stack")


def test_a_terraform_that_outlives_the_engine_keeps_its_provider(
    tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An apply whose provider vanishes leaves resources behind that no state knows."""
    monkeypatch.setattr(providers, "STOP_TIMEOUT_S", 0.3)
    pid = pid_of(server)
    with subprocess.Popen(["sleep", "60"], pass_fds=server.attach().descriptors) as user:
        server.stop()
        assert alive(pid)
        user.kill()
    assert eventually(lambda: not alive(pid))
    assert eventually(lambda: left(tmp_path) == [])


def test_a_killed_engine_leaves_no_server(tmp_path: Path, executable: Path) -> None:
    code = (
        "import os, signal; from pathlib import Path; from rollout.providers import ProviderServer\n"
        f"provider, folder = Path({str(executable)!r}), Path({str(tmp_path)!r})\n"
        "ProviderServer(provider, 'registry.terraform.io', folder, dict(os.environ)).attach()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    [pid] = map(int, (tmp_path / "pids").read_text().split())
    assert eventually(lambda: not alive(pid))
    assert eventually(lambda: left(tmp_path) == [])


def test_a_provider_that_died_is_replaced(tmp_path: Path, server: ProviderServer) -> None:
    pid = pid_of(server)
    [folder] = left(tmp_path)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: pid_of(server) != pid)
    assert folder not in left(tmp_path)


def test_what_a_killed_terraform_used_is_not_used_again(tmp_path: Path, server: ProviderServer) -> None:
    """It may still be busy with what it was last told."""
    run = terraform(tmp_path, stack_folder(tmp_path / "stacks" / "data-eu-west-1"), server)
    run.init()
    (tmp_path / "kill-apply").touch()
    with pytest.raises(TerraformError):
        run.apply()
    run.apply()
    pids = [pid for _, _, _, [pid] in calls(tmp_path)]
    assert pids[0] == pids[1] != pids[2]
    assert not alive(pids[0])


def test_a_provider_that_does_not_serve_is_an_error_of_one_line(tmp_path: Path, executable: Path) -> None:
    write_script(executable, "import sys\nsys.exit('no such option: -debug')")
    with pytest.raises(ProviderServerError, match=r"^provider \S+ ended at once: no such option: -debug$"):
        ProviderServer(executable, REGISTRY, tmp_path, dict(os.environ)).attach()
    assert left(tmp_path) == []


def test_a_provider_that_says_nothing_is_not_waited_for_forever(
    tmp_path: Path, executable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "START_TIMEOUT_S", 0.4)
    write_script(executable, "import time\ntime.sleep(60)")
    with pytest.raises(ProviderServerError, match=r"^provider \S+ announced no address in 0 s: it said nothing$"):
        ProviderServer(executable, REGISTRY, tmp_path, dict(os.environ)).attach()
    assert left(tmp_path) == []


def run_over_the_graph(tmp_path: Path, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole run of Terraform over the test graph, with a provider that lies in a mirror, under a configuration."""
    package = tmp_path / "mirror" / REGISTRY / PROVIDER_NAME / "5.0.0" / os_arch()
    package.mkdir(parents=True)
    (tmp_path / "provider").rename(package / "terraform-provider-aws_v5.0.0")
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path / "mirror"))
    tool = Tool("terraform", (str(write_script(tmp_path / "terraform", TERRAFORM)),), "1.11.4")
    environment = load(write_config(tmp_path, config))
    project = Project(
        config=tmp_path / "test.toml",
        environment=environment,
        specs=SPECS,
        graph=GRAPH,
        workspace=Workspace(tmp_path, tmp_path / ".tripoint", "t1", tmp_path / "flat.json"),
        target=Target(environment),
        store=cast(StateStore, NoStates()),
    )
    settings = {"backend": {"s3": {}}, "required_providers": {"aws": {"source": "hashicorp/aws", "version": "5.0.0"}}}
    for stack in GRAPH.order:
        path = stack_folder(project.workspace.stack(stack)) / "cdk.tf.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "terraform": settings}))
    steps = Steps(find_tool=lambda: tool, build_functions=lambda _: 0, synthesize=lambda *_: Synthesis(()))
    with Run("deploy", project, Recorder(), parallel=3, steps=steps) as run:
        run.prepare(GRAPH.order, make_buckets=False)

        def deploy(stack: StackId) -> Status:
            terraform = run.terraform(stack)
            terraform.init()
            terraform.apply()
            return Status.APPLIED

        run.execute(GRAPH, deploy)
        assert run.report.ok


class NoStates:
    def read(self, stack: StackId) -> None: ...


def test_in_a_run_every_stack_has_its_own_server_while_it_is_worked_on(
    tmp_path: Path, executable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_over_the_graph(tmp_path, CONFIG, monkeypatch)
    used: dict[str, set[int]] = {}
    for stack, _, _, pids in calls(tmp_path):
        used.setdefault(stack, set()).update(pids)
    assert set(used) == set(map(str, GRAPH.order))
    assert all(len(pids) == 1 for pids in used.values())
    assert len(set.union(*used.values())) == len(GRAPH.order)
    assert not any(alive(pid) for pids in used.values() for pid in pids)
    assert left(tmp_path) == []


def test_in_an_account_terraform_starts_the_provider_itself(
    tmp_path: Path, executable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would check a server against the dependency lock file."""
    run_over_the_graph(tmp_path, AWS_CONFIG, monkeypatch)
    found = calls(tmp_path)
    assert {stack for stack, _, _, _ in found} == set(map(str, GRAPH.order))
    assert not any(pids for _, _, _, pids in found)
