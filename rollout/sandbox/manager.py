"""Starts, watches and stops the sandbox process of one endpoint.

The sandbox keeps its state in memory: `down` loses every resource in it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from rollout.sandbox import processes

_HEALTH_PATH = "/_ministack/health"
_PROJECT_ROOT = Path(__file__).resolve().parents[2]
# What requests without a signature or a region count as, as AWS's global endpoints do.
_FALLBACK_REGION = "us-east-1"
# The only variables of the caller that the sandbox sees. Anything else (a virtual environment, a
# PYTHONPATH, AWS profiles, proxies) could change what a Lambda function finds when it runs.
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "PYTHONDONTWRITEBYTECODE")
_GRACE_S = 5.0


class SandboxError(Exception):
    """The sandbox could not be started or stopped; the message is one line that says what to do."""


@dataclass(frozen=True)
class SandboxStatus:
    """What is known of the sandbox at one endpoint.

    `running` is the process, `healthy` its answer over HTTP. Memory is resident set size in MB,
    None where the operating system has no /proc.
    """

    endpoint: str
    port: int
    running: bool
    healthy: bool
    pid: int | None = None
    started_at: datetime | None = None
    memory_mb: float | None = None
    lambda_workers: int | None = None
    lambda_workers_memory_mb: float | None = None
    log: Path | None = None


def sandbox_environment(endpoint: str) -> dict[str, str]:
    """The variables with which Terraform and boto3 talk to the sandbox and to nothing else.

    Merge it over the environment of a process; `isolated_environment` does that and also drops
    what would still get in the way (a profile, a session token).
    """
    host, port = _loopback(endpoint)
    no_proxy = [name for name in os.environ.get("NO_PROXY", "").split(",") if name]
    no_proxy += [name for name in ("127.0.0.1", "localhost") if name not in no_proxy]
    return {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        # boto3's StartSyncExecution would otherwise ask for the host "sync-127.0.0.1".
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "NO_PROXY": ",".join(no_proxy),
    }


def isolated_environment(endpoint: str, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """`base` (default: this process's environment) less its AWS settings, aimed at the sandbox."""
    environment = os.environ if base is None else base
    kept = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return kept | sandbox_environment(endpoint)


class Sandbox:
    """The sandbox of one endpoint, with its files under `home`.

    Parameters
    ----------
    endpoint
        `http://127.0.0.1:<port>`; any host but the loopback one is refused with `SandboxError`.
    home
        Directory of the log, the record of the running process and the emulator's own files. Two
        sandboxes on one machine need two ports and two homes.
    enforce_iam
        Whether functions may do only what their roles allow. The key `test` itself may do everything.
    """

    server = "rollout.sandbox.server"

    def __init__(self, endpoint: str, home: Path, *, enforce_iam: bool = False) -> None:
        host, self.port = _loopback(endpoint)
        self.endpoint = f"http://{host}:{self.port}"
        self.home = home.resolve()
        self.enforce_iam = enforce_iam
        self.log = self.home / "sandbox.log"
        self._record_file = self.home / "sandbox.json"
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def up(self, timeout_s: float = 120.0) -> SandboxStatus:
        """Start the sandbox unless it already runs, and wait until it answers.

        Raises `SandboxError` when the port belongs to something else, when the process ends while
        starting, when it does not answer in time, and when it listens beyond the loopback address.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        deadline = time.monotonic() + timeout_s
        with self._exclusive():
            pid = self._running_pid()
            if pid is None:
                self._refuse_taken_port()
                pid = self._start()
            self._wait_until_healthy(pid, deadline, timeout_s)
            self._refuse_exposure(pid)
        return self.status()

    def down(self) -> None:
        """Stop the sandbox and its Lambda workers; all state is lost. Does nothing when it's stopped."""
        if not self.home.is_dir():
            return
        with self._exclusive():
            pid = self._running_pid()
            if pid is not None:
                self._stop(pid)
            self._record_file.unlink(missing_ok=True)
            self._discard_files()

    def status(self) -> SandboxStatus:
        """What runs now. Never raises, changes nothing."""
        pid = self._running_pid()
        if pid is None:
            return SandboxStatus(self.endpoint, self.port, running=False, healthy=False)
        workers = processes.descendants(pid)
        started = self._record().get("started_at")
        return SandboxStatus(
            self.endpoint,
            self.port,
            running=True,
            healthy=self._healthy(),
            pid=pid,
            started_at=datetime.fromisoformat(str(started)) if started else None,
            memory_mb=processes.memory_mb([pid]),
            lambda_workers=len(workers),
            lambda_workers_memory_mb=processes.memory_mb(workers),
            log=self.log,
        )

    @property
    def died(self) -> bool:
        """Whether it ended without having been stopped: by a kill, a crash or with the machine."""
        return self._record().get("endpoint") == self.endpoint and self._running_pid() is None

    # -- starting ---------------------------------------------------------------------------------

    def _start(self) -> int:
        self._discard_files()
        for directory in self._directories():
            directory.mkdir(parents=True)
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", self.server],
                cwd=_PROJECT_ROOT,
                env=self._process_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its own session: Ctrl-C in the terminal of a rollout must not end the sandbox.
                start_new_session=True,
            )
        pid = self._child.pid
        record = {
            "pid": pid,
            "endpoint": self.endpoint,
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "birth": processes.birth(pid),
        }
        self._record_file.write_text(json.dumps(record, indent=2) + "\n")
        return pid

    def _process_environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        temporary, state, objects = self._directories()
        own = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": _FALLBACK_REGION,
            "AWS_DEFAULT_REGION": _FALLBACK_REGION,
            "HOME": str(self.home),
            "TMPDIR": str(temporary),
            "STATE_DIR": str(state),
            "S3_DATA_DIR": str(objects),
            "IOT_MTLS_ENABLED": "0",
            "IOT_MTLS_PORT": str(_free_port()),
            "SFTP_ENABLED": "0",
            # No containers: functions run as local processes, databases as control plane only.
            "DOCKER_HOST": f"unix://{temporary / 'no-docker.sock'}",
            "LAMBDA_EXECUTOR": "local",
            "AUTH": "true" if self.enforce_iam else "false",
            "PYTHONUNBUFFERED": "1",
            "TRIPOINT_PROJECT_ROOT": str(_PROJECT_ROOT),
        }
        return inherited | sandbox_environment(self.endpoint) | own

    def _refuse_taken_port(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.settimeout(1.0)
            if probe.connect_ex(("127.0.0.1", self.port)) != 0:
                return
        owner = processes.listener(self.port)
        who = f"process {owner}" if owner else "another process"
        raise SandboxError(
            f"port {self.port} is taken by {who}, which is not the sandbox of {self.home}; "
            "stop it or choose another port for the endpoint"
        )

    def _wait_until_healthy(self, pid: int, deadline: float, timeout_s: float) -> None:
        while not self._healthy():
            if not self._alive(pid):
                self._record_file.unlink(missing_ok=True)
                raise SandboxError(f"the sandbox on port {self.port} ended while starting: {self._last_words()}")
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"the sandbox on port {self.port} did not answer within {timeout_s:g} s; see {self.log}"
                )
            time.sleep(0.05)

    def _refuse_exposure(self, pid: int) -> None:
        exposed = [
            f"{address}:{port}"
            for address, port in processes.listening_addresses(pid)
            if address not in ("127.0.0.1", "::1")
        ]
        if exposed:
            self._stop(pid)
            self._record_file.unlink(missing_ok=True)
            raise SandboxError(
                f"the sandbox on port {self.port} listened beyond the loopback address "
                f"({', '.join(exposed)}) and was stopped; see {self.log}"
            )

    # -- stopping ---------------------------------------------------------------------------------

    def _stop(self, pid: int) -> None:
        family = [pid, *processes.descendants(pid)]
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        self._wait_gone([pid])
        # A Lambda worker in the middle of an invocation outlives the server.
        for member in family:
            with suppress(ProcessLookupError):
                os.kill(member, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        if not self._wait_gone(family):
            raise SandboxError(
                f"the sandbox on port {self.port} (process {pid}) does not end; end it with: kill -9 {pid}"
            )

    def _wait_gone(self, pids: list[int]) -> bool:
        deadline = time.monotonic() + _GRACE_S
        while time.monotonic() < deadline:
            if not any(self._alive(pid) for pid in pids):
                return True
            time.sleep(0.02)
        return False

    # -- what is known ----------------------------------------------------------------------------

    def _running_pid(self) -> int | None:
        record = self._record()
        pid = record.get("pid")
        if not isinstance(pid, int) or record.get("endpoint") != self.endpoint:
            return None
        # The id may have been given to another process after a reboot or a kill.
        return pid if self._alive(pid) and record.get("birth") == processes.birth(pid) else None

    def _record(self) -> dict[str, object]:
        try:
            record = json.loads(self._record_file.read_text())
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _alive(self, pid: int) -> bool:
        if self._child is not None and self._child.pid == pid:
            return self._child.poll() is None
        return processes.alive(pid)

    def _healthy(self) -> bool:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=2.0)
        try:
            connection.request("GET", _HEALTH_PATH)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def _last_words(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").split("\n")
        except OSError:
            lines = []
        said = [line.strip() for line in lines if line.strip()]
        return " | ".join(said[-3:]) if said else f"it said nothing; see {self.log}"

    # -- files ------------------------------------------------------------------------------------

    def _directories(self) -> tuple[Path, Path, Path]:
        return self.home / "tmp", self.home / "state", self.home / "objects"

    def _discard_files(self) -> None:
        for directory in self._directories():
            shutil.rmtree(directory, ignore_errors=True)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Two commands at once must not start two processes on one port."""
        with (self.home / "sandbox.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _loopback(endpoint: str) -> tuple[str, int]:
    remedy = "use http://127.0.0.1:<port> with a port from 1024 to 65535"
    try:
        url = urlsplit(endpoint)
        host, port = url.hostname, url.port
    except ValueError:
        raise SandboxError(f"endpoint {endpoint!r} is no address; {remedy}") from None
    if url.scheme != "http" or host not in ("127.0.0.1", "localhost"):
        raise SandboxError(f"endpoint {endpoint!r} is not on the loopback address; {remedy}")
    if port is None or port < 1024 or url.path not in ("", "/") or url.query:
        raise SandboxError(f"endpoint {endpoint!r} names no usable port; {remedy}")
    return "127.0.0.1", port


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
