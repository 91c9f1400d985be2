"""A sandbox starts once, listens to this machine only, leaves nothing behind, and says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rollout.sandbox import Sandbox, SandboxError, isolated_environment, processes, sandbox_environment, server
from tests.ports import free_port
from tests.sandbox.clients import Clients


@pytest.fixture
def own(tmp_path: Path) -> Sandbox:
    return Sandbox(f"http://127.0.0.1:{free_port()}", tmp_path)


def test_up_is_idempotent_and_down_leaves_nothing_behind(own: Sandbox) -> None:
    started = own.up()
    assert started.running
    assert started.healthy
    assert own.up().pid == started.pid
    aws = Clients(own.endpoint)
    aws.function("leaves", "import time\ndef handler(e, c):\n    time.sleep(e.get('s', 0))")
    aws.invoke("leaves")
    # A worker in the middle of an invocation does not outlive the sandbox either.
    aws("lambda").invoke(FunctionName="leaves", InvocationType="Event", Payload=b'{"s": 60}')
    family = [started.pid or 0, *processes.descendants(started.pid or 0)]
    assert len(family) > 1
    own.down()
    assert not any(processes.alive(pid) for pid in family)
    assert not own.status().running
    assert sorted(path.name for path in own.home.iterdir()) == ["sandbox.lock", "sandbox.log"]
    own.down()


def test_the_sandbox_listens_on_the_loopback_address_only(sandbox: Sandbox) -> None:
    pid = sandbox.status().pid
    assert pid is not None
    listening = processes.listening_addresses(pid)
    assert listening == [("127.0.0.1", sandbox.port)]


def test_the_status_shows_the_process(sandbox: Sandbox) -> None:
    status = sandbox.status()
    assert status.port == sandbox.port
    assert status.started_at is not None
    assert (status.memory_mb or 0) > 10


def test_two_sandboxes_do_not_meet(own: Sandbox, aws: Clients) -> None:
    with own:
        Clients(own.endpoint)("s3").create_bucket(Bucket="only-here")
        assert "only-here" not in [bucket["Name"] for bucket in aws("s3").list_buckets()["Buckets"]]


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://0.0.0.0:24566",
        "http://10.0.0.1:24566",
        "http://example.com:24566",
        "https://127.0.0.1:24566",
        "http://127.0.0.1",
        "http://127.0.0.1:80",
        "127.0.0.1:24566",
        "",
    ],
)
def test_an_endpoint_beyond_the_loopback_address_is_refused(endpoint: str, tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"127\.0\.0\.1"):
        Sandbox(endpoint, tmp_path)
    with pytest.raises(SandboxError):
        sandbox_environment(endpoint)


def test_a_taken_port_is_named_together_with_its_owner(own: Sandbox) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", own.port))
        other.listen()
        with pytest.raises(SandboxError, match=f"port {own.port} is taken by process {os.getpid()}"):
            own.up()
    assert not own.status().running


def test_a_process_that_ends_at_once_is_reported_with_its_last_words(own: Sandbox) -> None:
    own.server = "rollout.sandbox.does_not_exist"
    with pytest.raises(SandboxError, match=r"No module named rollout\.sandbox\.does_not_exist") as problem:
        own.up()
    assert "\n" not in str(problem.value)
    assert not own.status().running


class Guarded:
    """A function under enforced IAM that calls AWS once, and what its role allows."""

    def __init__(self, sandbox: Sandbox, call: str) -> None:
        self.aws = Clients(sandbox.endpoint)
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        self.aws("iam").create_role(RoleName="guarded", AssumeRolePolicyDocument=document(trust))
        self.aws.function("guarded", f"import boto3\ndef handler(e, c):\n    {call}")

    def allow(self, action: str, resource: str) -> None:
        allowed = {"Effect": "Allow", "Action": action, "Resource": resource}
        self.aws("iam").put_role_policy(RoleName="guarded", PolicyName="p", PolicyDocument=document(allowed))

    def refusal(self) -> str:
        """Why the call was refused; empty if it was not."""
        answer = self.aws.invoke("guarded")
        return str(answer["payload"]["errorMessage"]) if answer["error"] else ""


def document(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("strict")
    with Sandbox(f"http://127.0.0.1:{free_port()}", home, enforce_iam=True) as running:
        yield running


def test_a_function_may_do_what_its_role_allows_when_iam_is_enforced(strict: Sandbox) -> None:
    aws = Clients(strict.endpoint)
    storage = aws("s3")
    storage.create_bucket(Bucket="tls-only")
    # A policy for TLS only must not refuse everything: the endpoint stands in for AWS's https.
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::tls-only", "arn:aws:s3:::tls-only/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    storage.put_bucket_policy(Bucket="tls-only", Policy=document(deny))
    put = "boto3.client('s3').put_object(Bucket='tls-only', Key='receipt', Body=b'paid')"
    function = Guarded(strict, put)
    assert "not authorized to perform: s3:PutObject" in function.refusal()
    function.allow("s3:PutObject", "arn:aws:s3:::tls-only/*")
    assert function.refusal() == ""


def test_a_stale_record_of_another_process_is_ignored(own: Sandbox) -> None:
    own.home.mkdir(exist_ok=True)
    (own.home / "sandbox.json").write_text(f'{{"pid": {os.getpid()}, "endpoint": "{own.endpoint}", "birth": 1}}')
    assert not own.status().running
    own.down()  # ends nothing


def test_another_version_of_the_emulator_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert server.ministack_problem() is None
    monkeypatch.setattr(server, "version", lambda _: "1.5.34")
    assert "needs ministack 1.5.33, found 1.5.34" in (server.ministack_problem() or "")


def test_the_server_refuses_to_listen_elsewhere() -> None:
    code = (
        "import socket; from rollout.sandbox import server; server.listen_on_loopback_only();"
        "s = socket.socket(); s.bind(('0.0.0.0', 0))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "PermissionError: the sandbox listens on the loopback address only" in ended.stderr


def test_the_environment_leads_to_the_sandbox_and_nowhere_else(sandbox: Sandbox) -> None:
    mine = {"PATH": "/bin", "AWS_PROFILE": "production", "AWS_SESSION_TOKEN": "secret", "HOME": "/home/me"}
    environment = isolated_environment(sandbox.endpoint, mine)
    assert environment["PATH"] == "/bin"
    assert "AWS_PROFILE" not in environment
    assert "AWS_SESSION_TOKEN" not in environment
    assert environment["AWS_ENDPOINT_URL"] == sandbox.endpoint
    assert httpx.get(f"{environment['AWS_ENDPOINT_URL']}/_ministack/health").status_code == 200


def test_who_starts_it_again_after_it_died_can_know_that_all_is_gone(own: Sandbox) -> None:
    assert not own.died
    pid = own.up().pid or 0
    assert not own.died
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while not own.died and time.monotonic() < deadline:
        time.sleep(0.01)
    assert own.died
    own.up()
    assert not own.died
    own.down()
    assert not own.died
