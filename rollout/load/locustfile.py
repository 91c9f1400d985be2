"""The callers: merchants' systems in several cities that send the planned payments, patiently.

Every answer goes into a file of JSON lines. A caller that is told to wait (429, 503) waits as long as `Retry-After`
says; whatever went wrong, it sends the same request with the same key again, to wherever its DNS answer leads by then.
A final state is not awaited here: the ledger has it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import gevent
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from locust import HttpUser, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

from rollout import dns
from rollout.load.plan import MIXES, Planned, plan
from rollout.load.routing import Routes
from rollout.outputs import api_url
from rollout.payments import act_as
from rollout.project import Project
from shared.errors import TripointError
from shared.site import Site

# A session of a merchant's role lasts an hour.
CREDENTIALS_FOR_S = 45 * 60.0
GIVE_UP_AFTER_S = 900.0
PAUSE_S = 1.0
SPAWNED_WITHIN_S = 30.0


def options(parser: Any) -> None:
    group = parser.add_argument_group("tripoint")
    group.add_argument("--tripoint-config", default="config/sandbox.toml", help="the environment's configuration")
    group.add_argument("--tripoint-outputs", default="", help="the flat outputs, if not to be read from the states")
    group.add_argument("--payments", type=int, default=100, help="how many payments, over all workers")
    group.add_argument("--share-among", type=int, default=1, help="how many workers share the plan")
    group.add_argument("--seed", type=int, default=1, help="what the plan follows from")
    group.add_argument("--mix", choices=sorted(MIXES), default="everything", help="what is sent")
    group.add_argument("--run-name", default="load", help="part of every idempotency key")
    group.add_argument("--pace", type=float, default=1.0, help="how much faster than deployed DNS goes")
    group.add_argument("--answers", default="answers.jsonl", help="where every answer is written, a line each")


class Signed(requests.auth.AuthBase):
    """Signature version 4, as a merchant."""

    def __init__(self, credentials: Credentials, region: str) -> None:
        self._signer = SigV4Auth(credentials, "execute-api", region)

    def __call__(self, request: Any) -> Any:
        signed = AWSRequest(request.method, request.url, data=request.body)
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers))
        return request


class Work:
    """What the users of one process share: the plan, the way to each region, and the file of answers."""

    def __init__(self, environment: Environment) -> None:
        asked: Any = environment.parsed_options
        self.project = Project.open(Path(asked.tripoint_config))
        given = asked.tripoint_outputs
        self.outputs: dict[str, Any] = json.loads(Path(given).read_text()) if given else self.project.read_outputs()
        deployed = self.project.environment
        runner = environment.runner
        mine, workers = 0, 1
        if isinstance(runner, WorkerRunner):
            mine, workers = runner.worker_index, asked.share_among
        planned = plan(
            asked.payments,
            asked.seed,
            mix=MIXES[asked.mix],
            run=asked.run_name,
            merchants=list(deployed.merchants),
            regions=list(deployed.regions),
        )
        self.left: Iterator[Planned] = iter(planned[mine::workers])
        self.under_way = 0
        self.routes = Routes(
            dns.read_name(deployed, self.outputs, target=self.project.target), self._probe, pace=asked.pace
        )
        self._signatures: dict[tuple[str, str], tuple[Signed, float]] = {}
        answers = Path(asked.answers)
        self._file = (answers if workers == 1 else answers.with_suffix(f".{mine}{answers.suffix}")).open("a")

    def signature(self, merchant: str, region: str) -> Signed:
        known = self._signatures.get((merchant, region))
        if known is None or time.monotonic() > known[1]:
            site = Site(self.project.environment, region)
            signed = Signed(act_as(merchant, site=site, target=self.project.target), region)
            known = self._signatures[merchant, region] = (signed, time.monotonic() + CREDENTIALS_FOR_S)
        return known[0]

    def note(self, **answer: Any) -> None:
        self._file.write(json.dumps(answer) + "\n")
        self._file.flush()

    def watch_health(self) -> None:
        """Keep asking the health checks' endpoints, as Route 53 does."""
        told: Mapping[str, bool] = self.routes.healthy
        while True:
            gevent.sleep(self.routes.interval_s)
            healthy = self.routes.check()
            if healthy != told:
                self.note(kind="health", at=time.time(), healthy=healthy)
                told = healthy

    def _probe(self, check: dns.HealthCheck) -> bool:
        environment = self.project.environment
        url = dns.probe_url(environment, self.outputs, check)
        patience = dns.SANDBOX_ANSWER_WITHIN_S if environment.is_sandbox else dns.ANSWER_WITHIN_S
        return dns.passes(url, local=environment.is_sandbox, answer_within_s=patience)


class Merchant(HttpUser):
    """One payment after the other, until the plan is done."""

    host = "http://sandbox"  # each request says its whole address
    work: Work

    def on_start(self) -> None:
        self.work = _WORK[id(self.environment)]
        self.client.trust_env = not self.work.project.environment.is_sandbox

    @task
    def pay(self) -> None:
        payment = next(self.work.left, None)
        if payment is None:
            raise StopUser
        self.work.under_way += 1
        try:
            if payment.copies == "elsewhere":
                here, *others = self.work.routes.fresh(payment.caller)
                copies = [
                    gevent.spawn(self._send, payment, number, region) for number, region in enumerate([here, others[0]])
                ]
                gevent.joinall(copies, raise_error=True)
            else:
                for number in range(2 if payment.copies == "again" else 1):
                    self._send(payment, number, None)
        finally:
            self.work.under_way -= 1

    def _send(self, payment: Planned, copy: int, first: str | None) -> None:
        """Send one payment until it is answered for good. `first` is the region of the first attempt, if not DNS's."""
        begun, attempt = time.monotonic(), 0
        while True:
            region = first if first and attempt == 0 else self.work.routes.region_for(payment.caller)
            answer = self._ask(payment, region)
            attempt += 1
            self.work.note(
                kind="answer",
                number=payment.number,
                copy=copy,
                attempt=attempt,
                region=region,
                caller=payment.caller,
                token=payment.token,
                **answer,
            )
            if 200 <= answer["status"] < 300 or (400 <= answer["status"] < 500 and answer["status"] != 429):
                return
            if time.monotonic() - begun > GIVE_UP_AFTER_S:
                self.work.note(kind="gave_up", number=payment.number, copy=copy, at=time.time())
                return
            gevent.sleep(answer["retry_after"] if answer["retry_after"] is not None else PAUSE_S)

    def _ask(self, payment: Planned, region: str) -> dict[str, Any]:
        """One request. `status` is 0 when there was no answer; `retry_after` is in seconds, None without one."""
        at, begun = time.time(), time.monotonic()
        said: dict[str, Any] = {"status": 0, "payment_id": "", "said": "", "retry_after": None}
        with self.client.post(
            f"{api_url(self.work.outputs, region)}/payments",
            json=dict(payment.body),
            headers={"Idempotency-Key": payment.key},
            auth=self.work.signature(payment.body["merchant_id"], region),
            name=region,
            timeout=30,
            catch_response=True,
        ) as answer:
            took_ms = (time.monotonic() - begun) * 1000
            said["status"] = answer.status_code or 0
            with suppress(ValueError, AttributeError, TypeError):
                body = answer.json()
                said["payment_id"] = body.get("payment_id", "")
                said["said"] = body.get("status", "") or body.get("error", {}).get("code", "")
            with suppress(KeyError, ValueError, TypeError):
                said["retry_after"] = float(answer.headers["Retry-After"])
            if answer.status_code in (429, 503):
                answer.success()  # being told to wait is an answer; whether it says how long is checked afterwards
        return {"at": at, "took_ms": round(took_ms, 1), **said}


_WORK: dict[int, Work] = {}


def begin(environment: Environment, **_: Any) -> None:
    runner = environment.runner
    if not isinstance(runner, MasterRunner):  # a master sends nothing itself
        try:
            work = _WORK[id(environment)] = Work(environment)
        except TripointError as error:
            # Locust would go on without; and a traceback says less.
            print(f"error: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        gevent.spawn(work.watch_health)
    if not isinstance(runner, WorkerRunner):
        gevent.spawn(_end_when_done, environment)


def _end_when_done(environment: Environment) -> None:
    runner, work = environment.runner, _WORK.get(id(environment))
    assert runner is not None
    with gevent.Timeout(SPAWNED_WITHIN_S, False):
        while not runner.user_count:
            gevent.sleep(0.2)
    while runner.user_count or (work is not None and work.under_way):
        gevent.sleep(0.5)
    runner.quit()


events.init_command_line_parser.add_listener(options)  # type: ignore[no-untyped-call]
events.test_start.add_listener(begin)  # type: ignore[no-untyped-call]
