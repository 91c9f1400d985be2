"""One deployment of the whole platform for the session, in a sandbox of its own, by the command that users run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.credentials import Credentials

from rollout.payments import Signature, act_as
from rollout.target import Target
from shared.capabilities import CAPABILITIES
from shared.config import Environment, load
from shared.site import Site
from shared.tags import PIPELINE_TAGS
from tests.ports import free_port

SUFFIX = "itest"
ORDER = {"amount": 1299, "currency": "EUR", "merchant_id": "m-1", "payment_method": "tok_visa"}
FINAL = {"SETTLED", "DECLINED", "FAILED", "REFUNDED"}


def tripoint(*words: str, config: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "rollout.cli", *words, "--config", str(config)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@dataclass
class Api:
    """One region's payment API, by its published URL, for a merchant."""

    region: str
    url: str
    client: httpx.Client

    def pay(self, key: str, **changes: Any) -> httpx.Response:
        body = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
        return self.client.post(f"{self.url}/payments", json=body, headers={"Idempotency-Key": key})

    def read(self, payment_id: str) -> httpx.Response:
        return self.client.get(f"{self.url}/payments/{payment_id}")

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"{self.url}{path}")

    def post(self, path: str, body: Any) -> httpx.Response:
        return self.client.post(f"{self.url}{path}", json=body)

    def final(self, payment_id: str, timeout_s: float = 120) -> dict[str, Any]:
        """The payment in its final state, polled until then."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = self.read(payment_id)
            if answer.status_code == 200 and answer.json()["status"] in FINAL:
                found: dict[str, Any] = answer.json()
                return found
            assert time.monotonic() < deadline, f"{payment_id} in {self.region}: {answer.status_code} {answer.text}"
            time.sleep(0.25)


@dataclass
class Deployment:
    """The deployed environment: what the rollout wrote, and ways to talk to it."""

    config: Path
    environment: Environment
    variables: dict[str, str]
    outputs_file: Path
    rollout_log: str
    _apis: dict[tuple[str, str], Api] = field(default_factory=dict)

    @property
    def outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.outputs_file.read_text())
        return found

    @property
    def regions(self) -> list[str]:
        return list(self.environment.regions)

    def output(self, stack: str, region: str, name: str) -> Any:
        return self.outputs[f"{stack}-{region}.{name}"]

    def api(self, region: str, merchant: str = "m-1") -> Api:
        """The API of a region, whose requests a merchant's role signs."""
        if (region, merchant) not in self._apis:
            site = Site(self.environment, region)
            signature = Signature(act_as(merchant, site=site, target=Target(self.environment)), region)
            client = httpx.Client(timeout=60, auth=signature)
            self._apis[region, merchant] = Api(region, self.output("edge", region, "api_url"), client)
        return self._apis[region, merchant]

    def operator(self, region: str) -> Api:
        """The API of a region, whose requests the account's administrator signs."""
        client = httpx.Client(timeout=60, auth=Signature(Credentials("test", "test"), region))
        return Api(region, self.output("edge", region, "api_url"), client)

    def client(self, service: str, region: str) -> Any:
        """A boto3 client of the deployed region."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.environment.target.endpoint,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(inject_host_prefix=False, retries={"max_attempts": 3}),
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return tripoint(*words, config=self.config, environment=self.variables)


def _deployed(config: Path) -> Deployment:
    environment = load(config)
    outputs = Path(os.environ.get("TRIPOINT_OUTPUTS", "cfn-outputs/flat-outputs.json"))
    return Deployment(config, environment, dict(os.environ), outputs, "")


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment for the session; with TRIPOINT_TEST_CONFIG the one of that configuration, which must be there."""
    if "TRIPOINT_TEST_CONFIG" in os.environ:
        yield _deployed(Path(os.environ["TRIPOINT_TEST_CONFIG"]))
        return
    home = tmp_path_factory.mktemp("deployment")
    config = home / "itest.toml"
    text = Path("config/sandbox.toml").read_text()
    text = re.sub(r"^suffix = .*$", f'suffix = "{SUFFIX}"', text, flags=re.MULTILINE)
    text = re.sub(r"http://127\.0\.0\.1:\d+", f"http://127.0.0.1:{free_port()}", text)
    # One region's workflow is of the other type: it must be correct under both.
    config.write_text(text + '\n[regions.ap-southeast-1.workflow]\ntype = "EXPRESS"\n')
    variables = {
        # Less the tags of the pipeline that runs the tests.
        **{name: value for name, value in os.environ.items() if name not in PIPELINE_TAGS},
        "TRIPOINT_HOME": str(home / "home"),
        "TRIPOINT_OUTPUTS": str(home / "cfn-outputs" / "flat-outputs.json"),
    }
    try:
        run = tripoint("rollout", config=config, environment=variables)
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]
        yield Deployment(config, load(config), variables, home / "cfn-outputs" / "flat-outputs.json", run.stdout)
    finally:
        tripoint("sandbox", "down", config=config, environment=variables)


@pytest.fixture(scope="session")
def full(deployment: Deployment) -> Deployment:
    """The same deployment after every capability of `config/sandbox-full.toml` has been switched on."""
    ours, theirs = deployment.config.read_text(), Path("config/sandbox-full.toml").read_text()
    lines = [line for line in theirs.splitlines() if line.startswith(tuple(f"{name}." for name in CAPABILITIES))]
    if not deployment.environment.capabilities:
        deployment.config.write_text("\n".join(lines) + "\n" + ours)
        deployment.environment = load(deployment.config)
        run = deployment.run("rollout")
        assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]
    return deployment


@pytest.fixture(autouse=True)
def scenario(request: pytest.FixtureRequest) -> None:
    """What the sandbox records of IAM from here on came with this test (`test_least_privilege.py`)."""
    if "deployment" in request.fixturenames:
        deployed: Deployment = request.getfixturevalue("deployment")
        if deployed.environment.target.enforce_iam:
            httpx.put(
                f"{deployed.environment.target.endpoint}/_ministack/iam/scenario/{request.node.originalname}",
                timeout=60,
            )


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """Call until the result is true, and give it back."""

    def wait(probe: Callable[[], Any], *, timeout_s: float = 60, every_s: float = 0.5) -> Any:
        deadline = time.monotonic() + timeout_s
        while not (found := probe()):
            assert time.monotonic() < deadline, f"still {found!r} after {timeout_s} s"
            time.sleep(every_s)
        return found

    return wait
